/** The matrix as tables of docs/compatibility.md. */
import type { Client, Outcome } from './clients/client.ts';
import { markdownTable } from './document.ts';
import { explain } from './explanations.ts';
import { type Case, lostCompression, verdictOf } from './matrix.ts';

/** Who gets in directly, and the server's own answer to who does not. */
export function accountTable(cases: readonly Case[], clients: readonly Client[]): string {
  const accounts = [...new Set(cases.map(({ account }) => account))];
  const rows = accounts.map((account) => [
    account,
    ...clients.map(({ name }) => {
      const own = cases.filter((one) => one.account === account && one.client === name);
      return [...new Set(own.map(({ direct }) => describeShortly(direct)))].join('; ');
    }),
  ]);
  return markdownTable(['account', ...clients.map(({ name }) => name)], rows);
}

export type ModeTable = { readonly table: string; readonly notes: readonly string[] };

/** How many of a client's logins go as they do directly, by mode; notes tell of the others. */
export function modeTable(cases: readonly Case[], clients: readonly Client[]): ModeTable {
  const whys = new Map<string, Set<string>>();
  const cell = (own: readonly Case[]): string => {
    const others = own.filter((one) => verdictOf(one) === 'other');
    const marks = new Set<string>();
    for (const one of others) {
      const why = explain(one) ?? 'Unexplained.';
      const errors = whys.get(why) ?? new Set();
      whys.set(why, errors.add(`${one.client}: “${describe(one.routed)}”`));
      marks.add(`(${[...whys.keys()].indexOf(why) + 1})`);
    }
    const asDirect = own.length - others.length;
    if (others.length === 0) return `all ${own.length}`;
    return `${asDirect === 0 ? 'none' : `${asDirect} of ${own.length}`} ${[...marks].join(' ')}`;
  };
  const modes = [...new Map(cases.map(({ mode }) => [mode.name, mode])).values()];
  const rows = modes.flatMap((mode) =>
    [false, true].map((tls) => [
      ...[mode.client, mode.server, tls ? 'yes' : 'no'],
      ...clients.map(({ name }) =>
        cell(cases.filter((one) => one.mode === mode && one.tls === tls && one.client === name)),
      ),
    ]),
  );
  const head = ['clientSslMode', 'serverSslMode', 'client uses TLS', ...clients.map(({ name }) => name)];
  const notes = [...whys].map(
    ([why, errors], index) => `${index + 1}. ${why} ${[...errors].toSorted().join(', ')}.`,
  );
  return { table: markdownTable(head, rows), notes };
}

/** What a person has to look into: answers nobody has explained, and compression that got lost. */
export function faults(cases: readonly Case[]): readonly string[] {
  return cases.flatMap((one) => {
    const { client, account, tls, compression, mode, direct, routed } = one;
    const what = `${mode.client}/${mode.server}, ${client}, ${account}, ${tls ? 'TLS' : 'no TLS'}, ${compression}`;
    if (lostCompression(one)) return [`${what}: compressed directly, not through the router`];
    if (verdictOf(one) !== 'other' || explain(one) !== undefined) return [];
    return [`${what}: ${describe(direct)} directly, ${describe(routed)} through the router`];
  });
}

function describe(outcome: Outcome): string {
  return outcome.kind === 'in' ? 'in' : outcome.error;
}

function describeShortly(outcome: Outcome): string {
  if (outcome.kind === 'in') return 'in';
  if (/cannot be loaded|not configured|unknown to the client|is not supported/i.test(outcome.error))
    return 'the client has no such plugin';
  return outcome.error.replace(/for user '[^']*'@'[^']*' ?/, '').slice(0, 90);
}
