/** A Galera cluster of three and a router, and what is done to them. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CREATE_WRITES } from '../../bench/failover/load.ts';
import { createSandbox, type Galera, type Server } from '../../src/sandbox/index.ts';
import { RouterProcess } from '../support/router-process.ts';
import type { Scope } from '../support/scope.ts';
import { tellTopology } from './group-faults.ts';
import type { Fault, Watched } from './stage.ts';
import { whyUnfitInGalera } from './unfit-members.ts';

export type GaleraStage = Watched & { readonly galera: Galera };

export async function startGaleraStage(scope: Scope): Promise<GaleraStage> {
  const sandbox = await createSandbox({ log: (message) => scope.comment(message) });
  scope.teardown(() => sandbox.close());
  const galera = await sandbox.startGalera({ size: 3 });
  const router = await RouterProcess.start(scope, sandbox, {
    seeds: galera.nodes.map(({ address }) => address),
    flags: ['--hold-timeout=20s', '--threads=1'],
  });
  await router.untilServing(2);
  const [first] = galera.nodes;
  await first?.query('CREATE DATABASE app');
  await first?.query(CREATE_WRITES);
  const writer = async (): Promise<Server> => {
    const { primary } = await router.topology();
    const found = galera.nodes.find(({ address }) => address === primary);
    if (found === undefined) throw new Error('nobody takes writes');
    return found;
  };
  return { galera, router, members: galera.nodes, writer, whyUnfit: whyUnfitInGalera };
}

export const GALERA_FAULTS: Readonly<Record<string, Fault<GaleraStage>>> = {
  'killed-writer': async ({ galera, writer }) => {
    const node = await writer();
    await node.kill();
    await pause(8000);
    await galera.join(node);
  },
  'stopped-writer': async ({ galera, writer }) => {
    const node = await writer();
    await node.stop();
    await pause(3000);
    await galera.join(node);
  },
  'frozen-writer': async ({ galera, writer }) => {
    const node = await writer();
    node.freeze();
    await pause(9000);
    node.thaw();
    await galera.waitUntilSynced(node);
  },
  'frozen-reader': async (stage) => {
    // Longer than it is suspected for: until then the others wait for it with each commit.
    const node = await readerOf(stage);
    node.freeze();
    await pause(9000);
    node.thaw();
    await stage.galera.waitUntilSynced(node);
  },
  'desynced-writer': async (stage, note) => {
    const node = await stage.writer();
    await node.query('SET GLOBAL wsrep_desync = ON');
    await pause(4000);
    await tellTopology(stage, note);
    await node.query('SET GLOBAL wsrep_desync = OFF');
  },
  'copied-anew': async (stage, note) => {
    const node = await readerOf(stage);
    await node.stop();
    await rm(join(node.dataDirectory, 'grastate.dat'));
    const joining = stage.galera.join(node);
    await pause(2000);
    await tellTopology(stage, note);
    await joining;
  },
  'paused-by-flow-control': async (stage, note) => {
    const node = await readerOf(stage);
    await node.query('SET GLOBAL wsrep_provider_gcs_fc_limit = 1');
    const connection = await node.connect();
    connection.on('error', () => undefined);
    await connection.query('FLUSH TABLES WITH READ LOCK');
    await pause(5000);
    await tellTopology(stage, note);
    await connection.query('UNLOCK TABLES');
    connection.destroy();
    await node.query('SET GLOBAL wsrep_provider_gcs_fc_limit = 16');
  },
  'rejecting-reader': async (stage, note) => {
    const node = await readerOf(stage);
    await node.query("SET GLOBAL wsrep_reject_queries = 'ALL'");
    await pause(4000);
    await tellTopology(stage, note);
    await node.query("SET GLOBAL wsrep_reject_queries = 'NONE'");
  },
  'without-majority': async (stage, note) => {
    const { galera } = stage;
    const node = await stage.writer();
    const others = galera.nodes.filter((each) => each !== node);
    await Promise.all(others.map((each) => each.kill()));
    await pause(9000);
    await tellTopology(stage, note);
    await node.query('SET GLOBAL wsrep_provider_pc_bootstrap = ON');
    for (const each of others) await galera.join(each);
    // They may have come back under their old identities, and are younger all the same.
    await pause(14_000);
    if ((await stage.writer()) !== node) throw new Error('the writes went back to a node that had crashed');
  },
};

async function readerOf({ members, writer }: GaleraStage): Promise<Server> {
  const taken = await writer();
  const reader = members.find((node) => node !== taken);
  if (reader === undefined) throw new Error('there are three');
  return reader;
}
