/** The part of docs/performance.md that is made from the result file. */
import { judgeAims } from './aims.ts';
import { relativeSpread } from './measure/statistics.ts';
import { type BenchResult, medianOf, ratioTo, type Spread } from './result.ts';
import { formatFigure } from './table.ts';

export function renderReport(result: BenchResult): string {
  return [
    machineSentence(result),
    '![Processor time of every proxy, relative to HAProxy](performance.svg)',
    '### Fairlead beside the others',
    'Fairlead’s figure divided by the other’s, taken round by round, and of these ratios the median: 0.50 in a row of CPU or memory means half, 2.00 in a row of throughput twice as much.',
    ratioTable(result),
    ...addedLatency(result),
    '### What we aim for',
    aimTable(result),
    ...(result.spread === undefined ? [] : spreadSection(result.spread)),
    '### The medians behind the ratios',
    `They are this machine’s, on that day, with what else ran on it; only what stands in one row can be compared. “±” is half the distance between the quartiles of the rounds, for the first figure of each work.`,
    medianTable(result),
    ...gaps(result),
  ].join('\n\n');
}

function machineSentence({ date, machine, secondsPerRound, workloads }: BenchResult): string {
  const rounds = Math.max(
    0,
    ...workloads.flatMap(({ outcomes }) =>
      outcomes.flatMap((outcome) =>
        outcome.kind === 'measured' ? Object.values(outcome.rounds).map((values) => values.length) : [],
      ),
    ),
  );
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return (
    `Measured on ${date.slice(0, 10)}: ${machine.cores} × ${machine.cpu}, ${machine.memoryGib} GiB, Linux ${machine.kernel}; ` +
    `${versions.join(', ')}. Medians of up to ${rounds} rounds of ${secondsPerRound} s. ` +
    `Load average before the run: ${machine.loadAverage.toFixed(1)}.`
  );
}

function ratioTable(result: BenchResult): string {
  const others = result.targets.filter(({ name }) => name !== 'fairlead' && name !== 'direct');
  const rows = result.workloads.flatMap((workload) =>
    workload.measures
      .filter(({ isDifference, name }) => !isDifference && name !== 'sessions')
      .flatMap((measure) => {
        const ratios = others.map(({ name }) => ratioTo(workload, measure, name));
        if (ratios.every((ratio) => ratio === undefined)) return [];
        return [[workload.title, measure.title, ...ratios.map((ratio) => ratio?.toFixed(2) ?? '–')]];
      }),
  );
  return table(['work', 'measure', ...others.map(({ title }) => title)], rows);
}

function addedLatency(result: BenchResult): readonly string[] {
  const targets = result.targets.filter(({ name }) => name !== 'direct');
  const rows = result.workloads.flatMap((workload) =>
    workload.measures
      .filter(({ isDifference }) => isDifference)
      .map((measure) => [
        workload.title,
        measure.title,
        ...targets.map(({ name }) => figure(medianOf(workload, name, measure.name))),
      ]),
  );
  if (rows.length === 0) return [];
  return [
    '### Added latency at a fixed rate',
    'Each target’s percentile less that without a proxy in the same round. A read-write transaction is 20 round trips.',
    table(['work', 'measure', ...targets.map(({ title }) => title)], rows),
  ];
}

function aimTable(result: BenchResult): string {
  const rows = judgeAims(result).map(({ text, unit, limit, reached, isMet }) => [
    text,
    `${limit.toLocaleString('en-US')} ${unit}`,
    reached === undefined ? 'not measured' : formatFigure(reached),
    isMet === undefined ? '' : isMet ? 'met' : '**not met**',
  ]);
  return table(['aim', 'limit', 'reached', ''], rows);
}

function spreadSection({ sessions, threads, secondaries }: Spread): readonly string[] {
  return [
    '### Spread',
    `${sessions} connections to the read route of a Fairlead with two data threads: ${threads.join(' and ')} by thread, ` +
      `${secondaries.join(' and ')} by secondary. The kernel chooses the thread, Fairlead the secondary.`,
  ];
}

function medianTable(result: BenchResult): string {
  const rows = result.workloads.flatMap((workload) =>
    workload.measures
      .filter(({ isDifference }) => !isDifference)
      .map((measure, index) => {
        const cells = result.targets.map(({ name }) => {
          const text = figure(medianOf(workload, name, measure.name));
          const outcome = workload.outcomes.find(({ target }) => target === name);
          const rounds = outcome?.kind === 'measured' ? outcome.rounds[measure.name] : undefined;
          if (index > 0 || rounds === undefined || rounds.length < 3) return text;
          return `${text} ±${Math.round(relativeSpread(rounds) * 100)} %`;
        });
        return [workload.title, measure.title, ...cells];
      }),
  );
  return table(['work', 'measure', ...result.targets.map(({ title }) => title)], rows);
}

/** What could not be measured, and why. */
function gaps(result: BenchResult): readonly string[] {
  const lines = result.workloads.flatMap(({ title, outcomes }) =>
    outcomes.flatMap((outcome) =>
      outcome.kind === 'measured'
        ? []
        : [`- ${title}, ${outcome.target}: ${outcome.reason.split('\n', 1)[0] ?? ''}`],
    ),
  );
  return lines.length === 0 ? [] : ['Not measured:', lines.join('\n')];
}

function figure(value: number | undefined): string {
  return value === undefined ? '–' : formatFigure(value);
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = header.map((_, column) => (column < 2 ? '---' : '---:'));
  // The same work again is left out: a table reads better with gaps.
  const shown = rows.map((row, index) => (row[0] === rows[index - 1]?.[0] ? ['', ...row.slice(1)] : row));
  return [header, rule, ...shown].map(line).join('\n');
}
