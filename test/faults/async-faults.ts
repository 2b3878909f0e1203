/** Three plain servers, a source and its two replicas, and a router, and what is done to them. */
import { setTimeout as pause } from 'node:timers/promises';
import { CREATE_WRITES } from '../../bench/failover/load.ts';
import { createSandbox, type Replication, type Server } from '../../src/sandbox/index.ts';
import { RouterProcess } from '../support/router-process.ts';
import type { Scope } from '../support/scope.ts';
import { tellTopology } from './group-faults.ts';
import type { Fault, Forgone, Watched } from './stage.ts';

export type AsyncStage = Watched & { readonly replication: Replication };

export async function startAsyncStage(scope: Scope): Promise<AsyncStage> {
  const sandbox = await createSandbox({ log: (message) => scope.comment(message) });
  scope.teardown(() => sandbox.close());
  const replication = await sandbox.startReplication({ size: 3 });
  const [source] = replication.members;
  await source?.query("GRANT REPLICATION CLIENT ON *.* TO router@'%'");
  const router = await RouterProcess.start(scope, sandbox, {
    seeds: replication.members.map(({ address }) => address),
    flags: ['--hold-timeout=20s', '--threads=1', '--reads-max-lag=3s'],
  });
  await router.untilServing(2);
  await source?.query('CREATE DATABASE app');
  await source?.query(CREATE_WRITES);
  await pause(1000);
  const writer = async (): Promise<Server> => {
    const { primary } = await router.topology();
    const found = replication.members.find(({ address }) => address === primary);
    if (found === undefined) throw new Error('nobody takes writes');
    return found;
  };
  return { replication, router, members: replication.members, writer, whyUnfit: async () => null };
}

export const ASYNC_FAULTS: Readonly<Record<string, Fault<AsyncStage>>> = {
  'applier-stops': async (stage, note) => {
    const [, replica] = await sourceFirst(stage);
    await stage.replication.stopApplier(replica);
    await pause(8000);
    await tellTopology(stage, note);
    await stage.replication.startApplier(replica);
  },
  'receiver-stops': async (stage, note) => {
    const [, replica] = await sourceFirst(stage);
    await replica.query('STOP REPLICA IO_THREAD');
    await pause(8000);
    await tellTopology(stage, note);
    await replica.query('START REPLICA');
  },
  'replication-breaks': async (stage, note) => {
    const [source, replica] = await sourceFirst(stage);
    await replica.query('SET GLOBAL super_read_only = OFF');
    await replica.query('CREATE TABLE app.torn (id INT)');
    await replica.query('SET GLOBAL super_read_only = ON');
    await source.query('CREATE TABLE app.torn (id INT)');
    await pause(8000);
    await tellTopology(stage, note);
    await replica.query('SET GLOBAL super_read_only = OFF');
    await replica.query('SET sql_log_bin = 0');
    await replica.query('DROP TABLE app.torn');
    await replica.query('SET GLOBAL super_read_only = ON');
    await replica.query('START REPLICA');
    await pause(1000);
    await source.query('DROP TABLE app.torn');
  },
  'promoted-by-hand': async (stage, note) => {
    const [source, replica, other] = await sourceFirst(stage);
    await stage.replication.demote(source);
    await pause(1500);
    await stage.replication.promote(replica);
    await stage.replication.follow(source, replica);
    await stage.replication.follow(other, replica);
    await pause(2000);
    await tellTopology(stage, note);
  },
  'promoted-beside-a-living-source': async (stage, note, forgo) => {
    const [source, replica, other] = await sourceFirst(stage);
    await replica.query('STOP REPLICA');
    await replica.query('RESET REPLICA ALL');
    await replica.query('SET GLOBAL read_only = OFF');
    await pause(4000);
    await tellTopology(stage, note);
    await stage.replication.demote(source);
    forgo(await onlyOn(source, replica, note));
    await stage.replication.follow(source, replica);
    await stage.replication.follow(other, replica);
  },
  'source-killed-and-replica-promoted': async (stage, note, forgo) => {
    const [source, replica, other] = await sourceFirst(stage);
    await source.kill();
    await pause(2000);
    await tellTopology(stage, note);
    await stage.replication.promote(replica);
    await stage.replication.follow(other, replica);
    await pause(3000);
    await source.start(['--super-read-only=ON']);
    await pause(3000);
    await tellTopology(stage, note);
    forgo(await onlyOn(source, replica, note));
    await stage.replication.follow(source, replica);
  },
  'source-frozen': async (stage, note) => {
    const [source] = await sourceFirst(stage);
    source.freeze();
    await pause(7000);
    await tellTopology(stage, note);
    source.thaw();
  },
};

/** What was acknowledged by one alone: with asynchronous replication, and of two that are writable, that may be. */
async function onlyOn(former: Server, heir: Server, note: (text: string) => void): Promise<Forgone> {
  const ids = new Set((await former.query('SELECT id FROM app.writes')).map(({ id }) => Number(id)));
  for (const { id } of await heir.query('SELECT id FROM app.writes')) ids.delete(Number(id));
  note(`${ids.size} writes are on the former source alone`);
  return { ids, transactions: ids.size };
}

async function sourceFirst({ members, writer }: AsyncStage): Promise<readonly [Server, Server, Server]> {
  const source = await writer();
  const [replica, other] = members.filter((member) => member !== source);
  if (replica === undefined || other === undefined) throw new Error('there are three');
  return [source, replica, other];
}
