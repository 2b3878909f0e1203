/** What clients saw, one line for each event and proxy; for the terminal and for docs/failover.md. */
import { PROXIES } from './proxies.ts';
import type { EventResult, Figures } from './result.ts';

export const COLUMNS = [
  'no write for, ms',
  'after the group, ms',
  'errors of who had a session',
  'errors of who came new',
  'connects refused',
  'longest connect, ms',
  'lost',
  'by two at once',
] as const;

export type TableRow = { readonly proxy: string; readonly cells: readonly string[] };

export function rowsOf(event: EventResult): readonly TableRow[] {
  return event.figures.map((figures) => ({ proxy: titleOf(figures.proxy), cells: cellsOf(figures) }));
}

/** Fixed columns, for the terminal. */
export function renderTable(events: readonly EventResult[]): string {
  const rows = events.flatMap((event) => [
    [headline(event), ...COLUMNS.map(() => '')],
    ...rowsOf(event).map(({ proxy, cells }) => [`  ${proxy}`, ...cells]),
  ]);
  const table = [['', ...COLUMNS], ...rows];
  const widths = table[0]?.map((_, column) =>
    // A headline may run over the columns beside it.
    Math.max(...table.filter((row) => row[1] !== '').map((row) => row[column]?.length ?? 0)),
  );
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function headline({ title, groupMs, directCommitMs }: EventResult): string {
  if (groupMs === null) return title;
  const direct = directCommitMs === null ? '' : `, a direct client ${directCommitMs} ms more`;
  return `${title}: the group itself took ${groupMs} ms${direct}`;
}

function cellsOf({ gapMs, afterGroupMs, clients, connects, lost, overlapping }: Figures): readonly string[] {
  const isNew = (kind: string): boolean => kind.startsWith('new');
  return [
    String(gapMs),
    afterGroupMs === null ? '–' : String(afterGroupMs),
    describe(clients.filter(({ kind }) => !isNew(kind))),
    describe(clients.filter(({ kind }) => isNew(kind))),
    `${connects.refused} of ${connects.attempts}`,
    String(connects.longestMs),
    String(lost),
    String(overlapping),
  ];
}

/** E.g. "writers 1290 ×2 (most: 1), readers none". */
function describe(clients: Figures['clients']): string {
  const parts = ['writer', 'reader'].map((role) => {
    const own = clients.filter(({ kind }) => kind.endsWith(role));
    const errors = new Map<string, number>();
    for (const { errors: counts } of own) {
      for (const [name, count] of Object.entries(counts)) errors.set(name, (errors.get(name) ?? 0) + count);
    }
    const most = Math.max(0, ...own.map(({ mostErrorsOfOne }) => mostErrorsOfOne));
    if (errors.size === 0) return `${role}s none`;
    const named = [...errors].map(([name, count]) =>
      count === 1 ? shorten(name) : `${shorten(name)} ×${count}`,
    );
    return `${role}s ${named.join(', ')}${most > 1 ? ` (at most ${most} each)` : ''}`;
  });
  return parts.every((part) => part.endsWith(' none'))
    ? 'none'
    : parts.filter((part) => !part.endsWith(' none')).join('; ');
}

/** mysql2's names are long; 2013 and 2055 are what other clients say in these cases. */
function shorten(name: string): string {
  if (name === 'PROTOCOL_CONNECTION_LOST') return 'lost';
  if (name.startsWith("Can't add new command")) return 'closed';
  return name;
}

function titleOf(name: string): string {
  return PROXIES.find((proxy) => proxy.name === name)?.title ?? name;
}
