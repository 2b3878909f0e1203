/** One run: clients at work, one fault after the other, and the judgement on what the clients were told. */
import { setTimeout as pause } from 'node:timers/promises';
import { countedByName } from '../../bench/failover/record.ts';
import { Random } from '../fuzz/random.ts';
import { startNetworkGroup } from '../support/network-group.ts';
import type { Scope } from '../support/scope.ts';
import { checkLists } from './check-lists.ts';
import { checkRegisters } from './check-registers.ts';
import { Clients, CREATE_TABLES, type Histories, readAll } from './clients.ts';
import { FAULTS, type FaultName } from './faults.ts';
import type { Anomaly, Operation } from './history.ts';

export type CampaignOptions = {
  readonly seed: number;
  /** No fault is begun after that time. */
  readonly seconds: number;
  /** Drawn from in any order; every one is used before one is used again. */
  readonly faults: readonly FaultName[];
  /** Default 6. */
  readonly clients?: number;
};

export type Campaign = {
  readonly histories: Histories;
  readonly inflicted: readonly FaultName[];
  readonly anomalies: readonly Anomaly[];
};

/** Must be called in a network namespace of its own. */
export async function runCampaign(scope: Scope, options: CampaignOptions): Promise<Campaign> {
  const random = fractions(options.seed);
  const stage = await startNetworkGroup(scope);
  const { group } = stage;
  const primary = await group.primary();
  for (const statement of CREATE_TABLES) await primary.query(statement);
  const { host, ports } = stage.router;
  const clients = new Clients(host, ports.rw, options.clients ?? 6, fractions(options.seed + 1));
  const endAtMs = performance.now() + options.seconds * 1000;
  const inflicted: FaultName[] = [];
  let bag: FaultName[] = [];
  do {
    if (bag.length === 0) bag = [...options.faults];
    const [fault] = bag.splice(Math.floor(random() * bag.length), 1);
    if (fault === undefined) break;
    await pause(CALM_MS);
    scope.comment(`fault ${inflicted.length + 1}: ${fault}`);
    await FAULTS[fault](stage, random);
    inflicted.push(fault);
    await group.waitUntilOnline();
  } while (performance.now() < endAtMs);
  await pause(CALM_MS);
  await clients.stop();
  await group.waitUntilApplied();
  const { histories } = clients;
  for (const member of group.members) await readAll(member, histories);
  const anomalies = [...checkRegisters(histories.registers), ...checkLists(histories.lists)];
  scope.comment(summary('registers', histories.registers));
  scope.comment(summary('lists', histories.lists));
  scope.comment(`errors clients saw: ${countedByName(clients.errors)}`);
  return { histories, inflicted, anomalies };
}

/** 0 to 1. Clients have numbers of their own: how many they take depends on how fast they are. */
function fractions(seed: number): () => number {
  const random = new Random(seed * 2_654_435 + 1);
  return () => random.below(BOUND) / BOUND;
}

function summary(name: string, history: readonly Operation[]): string {
  const reads = history.filter(({ kind }) => kind === 'read').length;
  const count = (outcome: string): number =>
    history.filter((operation) => operation.kind === 'write' && operation.outcome === outcome).length;
  return (
    `${name}: ${reads} reads; ${count('acknowledged')} writes acknowledged, ${count('failed')} refused,` +
    ` ${count('unknown')} of unknown outcome`
  );
}

const BOUND = 1_000_000;
/** Between two faults clients get on with their work. */
const CALM_MS = 1500;
