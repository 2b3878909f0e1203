/** What is done to the group and its router meanwhile. Each fault is over, and the group whole again, when it returns. */
import { setTimeout as pause } from 'node:timers/promises';
import type { NetworkGroup } from '../support/network-group.ts';

/** @param random 0 to 1 */
export type Fault = (stage: NetworkGroup, random: () => number) => Promise<void>;

export const FAULTS = {
  switchover: async ({ group }, random) => {
    const secondaries = await group.secondaries();
    const next = secondaries[Math.floor(random() * secondaries.length)];
    if (next !== undefined) await group.setPrimary(next);
  },
  kill: async ({ group }) => {
    const primary = await group.primary();
    await primary.kill();
    await group.rejoin(primary);
  },
  stop: async ({ group }) => {
    const primary = await group.primary();
    await primary.stop();
    await group.rejoin(primary);
  },
  freeze: async ({ group }, random) => {
    const primary = await group.primary();
    primary.freeze();
    await lasting(3000, 9000, random);
    primary.thaw();
    await group.rejoin(primary);
  },
  'leave-group': async ({ group }) => {
    const primary = await group.primary();
    await primary.query('STOP GROUP_REPLICATION');
    await group.waitForNewPrimary(primary);
    await group.rejoin(primary);
  },
  /** A minority that keeps the primary, and is reached by router and clients. */
  minority: async ({ group, network }, random) => {
    const primary = await group.primary();
    const others = group.members.filter((member) => member !== primary);
    await network.partition(
      [primary.host],
      others.map(({ host }) => host),
    );
    await lasting(3000, 10_000, random);
    await network.heal();
    await group.rejoin(primary);
  },
  cable: async ({ group, podOf }, random) => {
    const primary = await group.primary();
    await podOf(primary).cutCable();
    await lasting(3000, 10_000, random);
    await podOf(primary).plugCable();
    await group.rejoin(primary);
  },
  /** The group is whole, but its answers do not reach the router. */
  unheard: async ({ group, network, routerPod }, random) => {
    const primary = await group.primary();
    await network.drop(primary.host, routerPod.host);
    await lasting(500, 4000, random);
    await network.heal();
  },
  sessions: async ({ group }) => {
    const primary = await group.primary();
    const rows = await primary.query("SELECT id FROM information_schema.processlist WHERE user = 'app'");
    for (const { id } of rows) await primary.query('KILL ?', [id]).catch(isGoneAlready);
  },
  router: async (stage) => {
    await stage.router.kill();
    await stage.startRouter();
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

export function isFaultName(name: string): name is FaultName {
  return name in FAULTS;
}

/** How long a fault lasts is part of it. */
async function lasting(fromMs: number, toMs: number, random: () => number): Promise<void> {
  await pause(fromMs + (toMs - fromMs) * random());
}

function isGoneAlready(error: unknown): void {
  const isUnknownThread = error instanceof Error && 'errno' in error && error.errno === 1094;
  if (!isUnknownThread) throw error;
}
