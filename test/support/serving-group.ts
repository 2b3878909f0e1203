/** A group of three behind one router, with a table to write to. */
import type { Test } from 'tap';
import { createSandbox, type Group, type Sandbox, type Server } from '../../src/sandbox/index.ts';
import { ask } from './clients.ts';
import { CREATE_WRITES } from './load.ts';
import { RouterProcess } from './router-process.ts';

export type ServingGroup = {
  readonly sandbox: Sandbox;
  readonly group: Group;
  readonly router: RouterProcess;
};

/**
 * Returns when it serves. All of it is gone at the end of `t`. Clients are held for longer than by default: a group
 * needs about seven seconds to replace a primary that is gone, on a busy machine more.
 */
export async function startServingGroup(t: Test): Promise<ServingGroup> {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const group = await sandbox.startGroup({ size: 3 });
  const seeds = group.members.map(({ address }) => address);
  const router = await RouterProcess.start(t, sandbox, { seeds, flags: ['--hold-timeout=20s'] });
  await router.untilServing(2);
  await ask(router.ports.rw, 'CREATE DATABASE app');
  await ask(router.ports.rw, CREATE_WRITES);
  await group.waitUntilApplied();
  return { sandbox, group, router };
}

export async function anySecondary(group: Group): Promise<Server> {
  const [secondary] = await group.secondaries();
  if (secondary === undefined) throw new Error('the group has no secondary');
  return secondary;
}
