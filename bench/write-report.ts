/**
 * `npm run bench:report`: puts the figures of bench/results/latest.json into docs/performance.md, between its two
 * marks, and draws docs/performance.svg.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LATEST_RESULT } from './options.ts';
import { renderPlot } from './plot.ts';
import { renderReport } from './report.ts';
import { readResult } from './result.ts';

const DOCS = join(import.meta.dirname, '..', 'docs');
const PAGE = join(DOCS, 'performance.md');
const BEGIN = '<!-- Figures: made from bench/results/latest.json by `npm run bench:report`. -->';
const END = '<!-- End of the figures. -->';

const result = await readResult(process.argv[2] ?? LATEST_RESULT);
const page = await readFile(PAGE, 'utf8');
const begin = page.indexOf(BEGIN);
const end = page.indexOf(END);
if (begin < 0 || end < begin) throw new Error(`${PAGE} has lost its marks "${BEGIN}" and "${END}"`);
const figures = `${BEGIN}\n\n${renderReport(result)}\n\n`;
await writeFile(PAGE, page.slice(0, begin) + figures + page.slice(end));
await writeFile(join(DOCS, 'performance.svg'), `${renderPlot(result)}\n`);
