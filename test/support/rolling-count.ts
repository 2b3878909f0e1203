/** Clients that reconnect, and what they saw of routers that were replaced. */
import { Load } from '../../bench/failover/load.ts';
import { type Attempt, countedByName } from '../../bench/failover/record.ts';

/** Clients of `host` that look before they speak, and repeat what a session that was closed in order has not answered. */
export function startRollingClients(host: string): Load {
  return Load.start({ host, rw: 6446, ro: 6447 }, Date.now() * 1000, {
    clients: 3,
    everyMs: 70,
    connectEveryMs: 20,
    looksFirst: true,
    repeats: true,
  });
}

export type RollingCount = {
  /** Attempts that began with a connect of their own. */
  readonly connects: number;
  readonly statements: number;
  /** E.g. "new reader 17: ECONNRESET". */
  readonly failedConnects: readonly string[];
  readonly failedStatements: readonly string[];
  /** Clients whose session was closed in order with a statement unanswered, once for each time. They repeated it. */
  readonly repeated: readonly string[];
  readonly longestConnectMs: number;
};

export function countRolling(attempts: readonly Attempt[]): RollingCount {
  const failed = (during: 'connect' | 'work') =>
    attempts.flatMap(({ client, outcome }) => {
      if (outcome.kind === 'served' || outcome.during !== during) return [];
      return [`${client}: ${outcome.kind === 'hung' ? 'hung' : outcome.error}`];
    });
  return {
    connects: attempts.filter(({ client }) => client.startsWith('new')).length,
    statements: attempts.length,
    failedConnects: failed('connect'),
    failedStatements: failed('work'),
    repeated: attempts.flatMap(({ client, repeats = 0 }) => Array.from({ length: repeats }, () => client)),
    longestConnectMs: Math.max(0, ...attempts.map(({ connectMs = 0 }) => connectMs)),
  };
}

export function describeRolling(count: RollingCount): string {
  const { connects, statements, failedConnects, failedStatements, repeated, longestConnectMs } = count;
  return (
    `${connects} new connections, ${failedConnects.length} of them failed, the longest took ${longestConnectMs.toFixed(0)} ms; ` +
    `${statements} statements, ${failedStatements.length} of them failed, ` +
    `${repeated.length} met the end of their session and were repeated (${countedByName(repeated.map(kindOf))})`
  );
}

/** "kept writer 1" is one of the kept writers. */
function kindOf(client: string): string {
  return client.replace(/ \d+$/, '');
}
