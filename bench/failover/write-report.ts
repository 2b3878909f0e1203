/** `npm run bench:failover:report`: puts the figures of bench/results/failover.json into docs/failover.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { judgeAims } from './aims.ts';
import { LATEST_RESULT } from './options.ts';
import { type FailoverResult, readResult } from './result.ts';
import { COLUMNS, headline, rowsOf } from './table.ts';

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'failover.md');
const BEGIN = '<!-- Figures: made from bench/results/failover.json by `npm run bench:failover:report`. -->';
const END = '<!-- End of the figures. -->';

const result = await readResult(process.argv[2] ?? LATEST_RESULT);
const page = await readFile(PAGE, 'utf8');
const begin = page.indexOf(BEGIN);
const end = page.indexOf(END);
if (begin < 0 || end < begin) throw new Error(`${PAGE} has lost its marks "${BEGIN}" and "${END}"`);
await writeFile(PAGE, `${page.slice(0, begin)}${BEGIN}\n\n${render(result)}\n\n${page.slice(end)}`);

function render(result: FailoverResult): string {
  const { machine, events } = result;
  const versions = Object.entries(machine.versions)
    .filter(([program]) => program !== 'sysbench')
    .map(([program, version]) => `${program} ${version}`);
  const date = events.at(-1)?.date.slice(0, 10) ?? '';
  return [
    `Measured on ${date}: ${machine.cores} × ${machine.cpu}, ${machine.memoryGib} GiB, Linux ${machine.kernel}; ${versions.join(', ')}. ` +
      `Everything runs on this one machine: three servers, three proxies, and their clients.`,
    table(
      ['event', 'seen by clients of', ...COLUMNS],
      events.flatMap((event) =>
        rowsOf(event).map(({ proxy, cells }, index) => [index === 0 ? headline(event) : '', proxy, ...cells]),
      ),
    ),
    '### What we aim for',
    table(
      ['Fairlead', 'limit', 'reached', ''],
      judgeAims(result).map(({ text, limit, reached, isMet }) => [
        text,
        limit,
        reached ?? 'not measured',
        isMet === undefined ? '' : isMet ? 'met' : '**not met**',
      ]),
    ),
  ].join('\n\n');
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [header, header.map(() => '---'), ...rows].map(line).join('\n');
}
