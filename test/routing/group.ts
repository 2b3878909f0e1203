/** Observations of a simulated group, written as short as they are read. */
import {
  type Decision,
  type DecisionInput,
  type DecisionSettings,
  EMPTY_MEMORY,
  type Failure,
  type FailureKind,
  type GroupAnswer,
  type Lag,
  type MemberAnswer,
  NO_LAG_KNOWN,
  type Observation,
  type ViewRow,
} from '../../routing/observations.ts';
import { EMPTY_TOPOLOGY, type MemberRole, type MemberState } from '../../routing/topology.ts';

/** Rows of a view: name, state (O R F E U) and role (P S -), as in "aOP bOS cUS". */
export function rowsOf(text: string): readonly ViewRow[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => ({
      id: `uuid-${word.charAt(0)}`,
      host: word.charAt(0),
      port: 3306,
      state: STATES[word.charAt(1)] ?? 'UNKNOWN',
      role: ROLES[word.charAt(2)] ?? 'UNKNOWN',
    }));
}

export type Said = {
  readonly viewId?: string | null;
  readonly askedAtMs?: number;
  readonly answeredAtMs?: number;
  readonly readOnly?: boolean;
  readonly superReadOnly?: boolean;
  readonly groupName?: string;
  readonly isSinglePrimary?: boolean;
  readonly serverUuid?: string;
  readonly failure?: FailureKind;
  readonly refusingSinceMs?: number;
  readonly serverId?: number;
  /** Default: of the server that bears `name`. */
  readonly instance?: string;
  readonly channels?: MemberAnswer['channels'];
  readonly lag?: Lag;
  readonly gtids?: string;
  readonly galera?: MemberAnswer['galera'];
  readonly aurora?: MemberAnswer['aurora'];
};

/** What `name` says: a view, or null for a server without a group. Secondaries are super_read_only unless said. */
export function says(name: string, view: string | null, said: Said = {}): Observation {
  const rows = view === null ? [] : rowsOf(view);
  const serverUuid = said.serverUuid ?? `uuid-${name}`;
  const isPrimary = rows.some((row) => row.id === serverUuid && row.role === 'PRIMARY');
  const askedAtMs = said.askedAtMs ?? NOW - 10;
  const group: GroupAnswer | null =
    view === null
      ? null
      : {
          groupName: said.groupName ?? 'group',
          isSinglePrimary: said.isSinglePrimary ?? true,
          viewId: said.viewId === undefined ? '100:3' : said.viewId,
          rows,
        };
  const answer: MemberAnswer = {
    askedAtMs,
    answeredAtMs: said.answeredAtMs ?? askedAtMs + 2,
    serverUuid,
    version: '9.7.0',
    readOnly: said.readOnly ?? (view !== null && !isPrimary),
    superReadOnly: said.superReadOnly ?? (view !== null && !isPrimary),
    serverId: said.serverId ?? name.charCodeAt(0),
    instance: said.instance ?? `host-of-${serverUuid}`,
    mysqlxPort: null,
    mysqlxGreets: false,
    galera: said.galera ?? null,
    aurora: said.aurora ?? null,
    channels: said.channels ?? null,
    lag: said.lag ?? NO_LAG_KNOWN,
    ...(said.gtids === undefined ? {} : { gtids: said.gtids }),
    group,
  };
  const failure: Failure | null = said.failure === undefined ? null : { kind: said.failure, atMs: NOW - 5 };
  return {
    address: `${name}:3306`,
    dial: { host: `10.0.0.${name.charCodeAt(0)}`, port: 3306 },
    answer,
    failure,
    ...(said.refusingSinceMs === undefined ? {} : { refusingSinceMs: said.refusingSinceMs }),
  };
}

/** `name` has never answered. */
export function fails(name: string, kind: FailureKind): Observation {
  return {
    address: `${name}:3306`,
    dial: kind === 'unknown-host' ? null : { host: `10.0.0.${name.charCodeAt(0)}`, port: 3306 },
    answer: null,
    failure: { kind, atMs: NOW - 5 },
  };
}

export function settingsOf(seeds: string, facts: Partial<DecisionSettings> = {}): DecisionSettings {
  return {
    topology: 'auto',
    seeds: [...seeds].map((name) => `${name}:3306`),
    quorumLoss: 'none',
    confirmationTtlMs: TTL,
    closeRoOnPromotion: false,
    ...facts,
  };
}

export function inputOf(
  observations: readonly Observation[],
  facts: Partial<DecisionSettings> = {},
  after?: Decision,
): DecisionInput {
  return {
    observations,
    previous: after?.topology ?? EMPTY_TOPOLOGY,
    memory: after?.memory ?? EMPTY_MEMORY,
    nowMs: NOW,
    settings: settingsOf('abc', facts),
  };
}

/** A decision in one line: who takes writes; who takes reads; what ends. */
export function inShort(decision: Decision): string {
  const { topology } = decision;
  const names = (wanted: (member: (typeof topology.members)[number]) => boolean) =>
    topology.members
      .filter(wanted)
      .map((member) => member.address.charAt(0))
      .join('');
  const parts = [
    `rw=${names((member) => member.acceptsWrites)}`,
    `ro=${names((member) => member.acceptsReads)}`,
  ];
  const draining = names((member) => member.primarySessions === 'drain');
  const promoted = names((member) => member.secondarySessions === 'drain');
  const cut = names((member) => member.primarySessions === 'cut' && member.secondarySessions === 'cut');
  if (draining !== '') parts.push(`drain=${draining}`);
  if (promoted !== '') parts.push(`drain-ro=${promoted}`);
  if (cut !== '') parts.push(`cut=${cut}`);
  if (!topology.hasQuorum) parts.push('no-quorum');
  if (topology.alarms.length > 0) parts.push(`alarms=${topology.alarms.length}`);
  return parts.join(' ');
}

export const NOW = 100_000;
export const TTL = 3000;

const STATES: Readonly<Record<string, MemberState>> = {
  O: 'ONLINE',
  R: 'RECOVERING',
  F: 'OFFLINE',
  E: 'ERROR',
  U: 'UNREACHABLE',
};
const ROLES: Readonly<Record<string, MemberRole>> = { P: 'PRIMARY', S: 'SECONDARY' };
