/**
 * What a run of tap amounts to, from the TAP it wrote with `--output-file`: a test is a named block without named blocks
 * in it. Prints every failed and every skipped test with its reason, and last `<passed> <failed> <skipped>`.
 *
 *     node test/ci/tap-counts.ts .cache/ci/results.tap
 */
import { readFileSync } from 'node:fs';

export type TapCounts = {
  readonly passed: number;
  /** Names with those of the blocks around them, joined with " > ". */
  readonly failed: readonly string[];
  readonly skipped: readonly { readonly name: string; readonly reason: string }[];
};

/** Blocks that have not ended when the text does, as after a crash, count as failed. */
export function countTap(text: string): TapCounts {
  const counts = { passed: 0, failed: [] as string[], skipped: [] as TapCounts['skipped'][number][] };
  const open: Block[] = [];
  const nameIn = (name: string) => [...open.map((block) => block.name), name].join(' > ');
  const closeInnermost = (isOk: boolean) => {
    const block = open.pop();
    if (block === undefined) return;
    if (isOk) {
      if (block.isLeaf) counts.passed++;
      return;
    }
    // A block around a failed one fails with it, and says nothing new.
    if (block.isLeaf || block.hasFailedPoint || counts.failed.length === block.failedBefore) {
      counts.failed.push(nameIn(block.name));
    }
  };

  for (const line of linesOf(text)) {
    const indent = line.length - line.trimStart().length;
    const subtest = /^# Subtest: (.*)$/.exec(line.slice(indent));
    if (subtest !== null) {
      const around = open.at(-1);
      if (around !== undefined) around.isLeaf = false;
      const name = subtest[1] ?? '';
      open.push({ name, indent, isLeaf: true, hasFailedPoint: false, failedBefore: counts.failed.length });
      continue;
    }
    const point = POINT.exec(line.slice(indent));
    if (point === null) continue;
    const { not = '', name = '', directive, reason = '' } = point.groups ?? {};
    const isOk = not === '' || directive !== undefined;
    if (open.at(-1)?.indent === indent) closeInnermost(isOk);
    else if (directive !== undefined)
      counts.skipped.push({ name: nameIn(name), reason: reason || directive });
    else {
      const around = open.at(-1);
      if (around !== undefined && !isOk) around.hasFailedPoint = true;
    }
  }
  while (open.length > 0) closeInnermost(false);
  return counts;
}

type Block = {
  readonly name: string;
  readonly indent: number;
  /** Names counted as failed when it began. */
  readonly failedBefore: number;
  isLeaf: boolean;
  hasFailedPoint: boolean;
};

/** Without the diagnostics after a point, which may quote anything. */
function* linesOf(text: string): Generator<string> {
  let diagnosticsEnd: string | null = null;
  for (const line of text.split('\n')) {
    if (diagnosticsEnd === null) {
      if (/^ *---$/.test(line)) diagnosticsEnd = line.replace('---', '...');
      else yield line;
    } else if (line === diagnosticsEnd) diagnosticsEnd = null;
  }
}

const POINT =
  /^(?<not>not )?ok \d+(?: - (?<name>.*?))??(?: # time=\S+)?(?: # (?<directive>SKIP|TODO)(?: (?<reason>.*))?)?$/;

const [file] = process.argv.slice(2);
if (import.meta.main && file !== undefined) {
  const { passed, failed, skipped } = countTap(readFileSync(file, 'utf8'));
  for (const name of failed) console.log(`failed: ${name}`);
  for (const { name, reason } of skipped) console.log(`skipped: ${name}: ${reason}`);
  console.log(`${passed} ${failed.length} ${skipped.length}`);
}
