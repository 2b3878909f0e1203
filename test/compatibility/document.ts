/** docs/compatibility.md: prose that people write around parts that programs write. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const DOCUMENT = join(import.meta.dirname, '..', '..', 'docs', 'compatibility.md');

/** Replaces what stands between the two marks of `part`. */
export async function writePart(part: string, text: string): Promise<void> {
  const document = await readFile(DOCUMENT, 'utf8');
  const [begin, end] = marksOf(part);
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${DOCUMENT} has no part ${part}`);
  await writeFile(
    DOCUMENT,
    `${document.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${document.slice(to)}`,
  );
}

export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  return [tableLine(head), tableLine(head.map(() => '---')), ...rows.map(tableLine)].join('\n');
}

/** What stands between the two marks of `part`. */
export async function readPart(part: string): Promise<string> {
  const document = await readFile(DOCUMENT, 'utf8');
  const [begin, end] = marksOf(part);
  return document.slice(document.indexOf(begin) + begin.length, document.indexOf(end));
}

/** The rows below `head` in `text`, as {@link markdownTable} wrote them; none where it has no such table. */
export function readTable(text: string, head: readonly string[]): readonly (readonly string[])[] {
  const lines = text.split('\n');
  const first = lines.indexOf(tableLine(head));
  if (first < 0) return [];
  const rows = lines.slice(first + 2);
  const length = rows.findIndex((line) => !line.startsWith('|'));
  return rows.slice(0, length < 0 ? rows.length : length).map((line) =>
    line
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.replaceAll('\\|', '|')),
  );
}

function tableLine(cells: readonly (string | number)[]): string {
  return `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}

function marksOf(part: string): readonly [begin: string, end: string] {
  return [`<!-- ${part}: written by npm -->`, `<!-- end of ${part} -->`];
}
