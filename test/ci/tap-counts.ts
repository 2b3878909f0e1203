/**
 * What a run of tap amounts to, from the TAP it wrote with `--output-file`: a test is a named block without named blocks
 * in it. Prints every failed and every skipped test with its reason, and last `<passed> <failed> <skipped>`.
 *
 *     node test/ci/tap-counts.ts .cache/ci/results.tap
 */
import { readFileSync } from 'node:fs';

export type TapCounts = {
  readonly passed: number;
  readonly failed: readonly FailedTest[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
};

export type FailedTest = {
  /** Names of the blocks around it and its own, joined with " > ". */
  readonly name: string;
  /** Failed points with what tap says of them, as it stands in the text. */
  readonly details: readonly string[];
};

/** Blocks that have not ended when the text does, as after a crash, count as failed. */
export function countTap(text: string): TapCounts {
  const skipped: TapCounts['skipped'][number][] = [];
  const failed: FailedTest[] = [];
  const open: Block[] = [];
  let passed = 0;
  const nameIn = (name: string) => [...open.map((block) => block.name), name].join(' > ');
  const closeInnermost = (isOk: boolean, details: readonly string[]) => {
    const block = open.pop();
    if (block === undefined) return;
    if (isOk) {
      if (block.isLeaf) passed++;
      return;
    }
    // A block around a failed one fails with it, and says nothing new.
    if (block.isLeaf || block.details.length > 0 || failed.length === block.failedBefore) {
      failed.push({ name: nameIn(block.name), details: block.details.length > 0 ? block.details : details });
    }
  };

  for (const { line, diagnostics } of linesOf(text)) {
    const indent = line.length - line.trimStart().length;
    const around = open.at(-1);
    const subtest = /^# Subtest: (.*)$/.exec(line.slice(indent));
    if (subtest !== null) {
      if (around !== undefined) around.isLeaf = false;
      const name = subtest[1] ?? '';
      open.push({ name, indent, isLeaf: true, details: [], failedBefore: failed.length });
      continue;
    }
    const point = POINT.exec(line.slice(indent));
    if (point === null) continue;
    const { not, name = '', directive, reason = '' } = point.groups ?? {};
    const isOk = not === undefined || directive !== undefined;
    const details = [line, ...diagnostics];
    if (around?.indent === indent) closeInnermost(isOk, details);
    else if (directive !== undefined) skipped.push({ name: nameIn(name), reason: reason || directive });
    else if (!isOk) around?.details.push(...details);
  }
  while (open.length > 0) closeInnermost(false, ['it did not end']);
  return { passed, failed, skipped };
}

type Block = {
  readonly name: string;
  readonly indent: number;
  /** Tests that had failed when it began. */
  readonly failedBefore: number;
  isLeaf: boolean;
  /** Of its own failed points. */
  readonly details: string[];
};

type Line = { readonly line: string; readonly diagnostics: readonly string[] };

/** Each line with the diagnostics behind it, which may quote anything. */
function* linesOf(text: string): Generator<Line> {
  let current: { readonly line: string; readonly diagnostics: string[] } | null = null;
  let diagnosticsEnd: string | null = null;
  for (const line of text.split('\n')) {
    if (diagnosticsEnd !== null) {
      if (line === diagnosticsEnd) diagnosticsEnd = null;
      else current?.diagnostics.push(line);
    } else if (/^ *---$/.test(line)) diagnosticsEnd = line.replace('---', '...');
    else {
      if (current !== null) yield current;
      current = { line, diagnostics: [] };
    }
  }
  if (current !== null) yield current;
}

const POINT =
  /^(?<not>not )?ok \d+(?: - (?<name>.*?))??(?: # time=\S+)?(?: # (?<directive>SKIP|TODO)(?: (?<reason>.*))?)?$/;

/** A diff may be as long as what was compared. */
const MAX_DETAIL_LINES = 60;

const [file] = process.argv.slice(2);
if (import.meta.main && file !== undefined) {
  const { passed, failed, skipped } = countTap(readFileSync(file, 'utf8'));
  for (const { name, details } of failed) {
    console.log(`failed: ${name}`);
    for (const line of details.slice(0, MAX_DETAIL_LINES)) console.log(line);
  }
  for (const { name, reason } of skipped) console.log(`skipped: ${name}: ${reason}`);
  console.log(`${passed} ${failed.length} ${skipped.length}`);
}
