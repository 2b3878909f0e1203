/** The result as one table for the terminal. */
import { type BenchResult, medianOf, ratioTo } from './result.ts';

/** Fairlead first; the others with Fairlead's figure divided by theirs. */
export function renderTable(result: BenchResult): string {
  const header = ['', ...result.targets.map((target) => target.title)];
  const rows: (readonly string[])[] = [header];
  const notes: string[] = [];
  for (const workload of result.workloads) {
    rows.push([workload.title]);
    for (const measure of workload.measures) {
      const cells = result.targets.map(({ name }) => {
        const value = medianOf(workload, name, measure.name);
        if (value === undefined) return '-';
        const ratio = ratioTo(workload, measure, name);
        return ratio === undefined ? formatFigure(value) : `${formatFigure(value)} (${ratio.toFixed(2)})`;
      });
      rows.push([`  ${measure.title}`, ...cells]);
    }
    for (const outcome of workload.outcomes) {
      if (outcome.kind === 'measured') continue;
      notes.push(`${workload.title}, ${outcome.target}: ${outcome.kind}: ${firstLine(outcome.reason)}`);
    }
  }
  const explanation =
    'Medians. In parentheses: Fairlead divided by this one, round by round, of which the median.';
  return [...alignColumns(rows), '', explanation, ...notes].join('\n');
}

/** Three digits that count. */
export function formatFigure(value: number): string {
  if (value === 0) return '0';
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  if (magnitude >= 2) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(2 - Math.max(magnitude, -1));
}

function alignColumns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
