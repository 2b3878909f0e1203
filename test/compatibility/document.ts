/** docs/compatibility.md: prose that people write around parts that programs write. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const DOCUMENT = join(import.meta.dirname, '..', '..', 'docs', 'compatibility.md');

/** Replaces what stands between the two marks of `part`. */
export async function writePart(part: string, text: string): Promise<void> {
  const document = await readFile(DOCUMENT, 'utf8');
  const [begin, end] = [`<!-- ${part}: written by npm -->`, `<!-- end of ${part} -->`];
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
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
