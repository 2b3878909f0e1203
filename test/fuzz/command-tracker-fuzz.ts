/**
 * Feeds changed conversations to the command-phase tracker: it must not throw, must tell the same however the bytes
 * are cut, and must not contradict itself.
 *
 *     node test/fuzz/command-tracker-fuzz.ts --seconds 60 [--seed 1] [--grow]
 *
 * A conversation that fails is made smaller and written to the corpus, where the tests find it again. With --grow,
 * small ones that make the tracker give up where none did before are added to the corpus too.
 */

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CLIENT_DEPRECATE_EOF } from '../../protocol/capability-flags.ts';
import type { TrackerCapabilities } from '../../protocol/command-tracker.ts';
import { stackOf } from '../../src/shared/message-of.ts';
import {
  type Conversation,
  joinSegments,
  replay,
  replayChunked,
  replayCut,
  type Segment,
} from '../protocol/tracker/conversation.ts';
import { formatRecording, readRecordings } from '../protocol/tracker/recording.ts';
import { SCRIPTED } from '../protocol/tracker/scripted.ts';
import { mutateConversation } from './mutate-conversation.ts';
import { Random } from './random.ts';

export type FuzzOptions = {
  readonly seconds: number;
  readonly seed: number;
  /** Whether small conversations at whose end the tracker gives up in a new way are added to the corpus. */
  readonly grow: boolean;
};

export type FuzzResult = {
  readonly conversations: number;
  /** What the tracker was seen to say, counted without numbers. */
  readonly features: number;
  /** How the first conversation failed that did, and the file it is in. */
  readonly failure: string | undefined;
};

/** Runs the corpus, then changed conversations until the time is up or one fails. */
export function fuzzCommandTracker({ seconds, seed, grow }: FuzzOptions): FuzzResult {
  const deadline = performance.now() + seconds * 1000;
  const random = new Random(seed);
  const pool = [...SCRIPTED, ...readRecordings(), ...readRecordings(CORPUS)];
  const features = new Set<string>();
  const ends = new Set<string>();
  let conversations = 0;
  for (const conversation of pool) {
    const failure = faultOf(random, conversation);
    if (failure !== undefined)
      return { conversations, features: features.size, failure: `${conversation.name}: ${failure}` };
    noteFeatures(features, conversation);
    noteEnd(ends, conversation);
  }
  while (performance.now() < deadline) {
    const changed = mutateConversation(random, pick(random, pool), pick(random, pool));
    conversations++;
    const failure = faultOf(random, changed);
    if (failure !== undefined) {
      const file = keep(shrink(changed));
      return { conversations, features: features.size, failure: `${file}: ${failure}` };
    }
    if (bytesOf(changed) > MAX_POOL_BYTES) continue;
    if (noteFeatures(features, changed)) pool.push(changed);
    if (grow && bytesOf(changed) <= MAX_CORPUS_BYTES && noteEnd(ends, changed)) keep(changed);
  }
  return { conversations, features: features.size, failure: undefined };
}

/** What is wrong with the tracker, shown by `conversation`; `undefined` when nothing is. */
function faultOf(random: Random, { agreed, segments }: Conversation): string | undefined {
  try {
    const joined = joinSegments(segments);
    const log = replay(agreed, joined);
    const contradiction = contradictionIn(log);
    if (contradiction !== undefined) return `${contradiction}:\n${log.join('\n')}`;
    const again = replayOtherwise(random, agreed, joined);
    return again.join('\n') === log.join('\n')
      ? undefined
      : `cut otherwise it tells\n${again.join('\n')}\ninstead of\n${log.join('\n')}`;
  } catch (error) {
    return `it throws ${stackOf(error)}`;
  }
}

function replayOtherwise(
  random: Random,
  agreed: TrackerCapabilities,
  segments: readonly Segment[],
): readonly string[] {
  if (random.chance(0.3))
    return replayChunked(agreed, segments, () => (random.chance(0.001) ? 100_000 : 1 + random.below(9)));
  if (random.chance(0.5)) return replayChunked(agreed, segments, () => 1 + random.below(70_000));
  const index = random.below(segments.length);
  return replayCut(agreed, segments, index, random.below((segments[index]?.bytes.length ?? 0) + 1));
}

/** The tracker must answer commands in the order they were sent, begin before it ends, and be silent once opaque. */
function contradictionIn(log: readonly string[]): string | undefined {
  const expected: string[] = [];
  let answering: string | undefined;
  for (const [index, line] of log.entries()) {
    const [event = '', command = ''] = line.split(' ');
    switch (event) {
      case 'begin':
        if (!UNANSWERED.has(command)) expected.push(command);
        break;
      case 'first':
        if (answering !== undefined || expected[0] !== command)
          return `line ${index} begins an answer out of turn`;
        answering = command;
        break;
      case 'end':
        if (answering !== command) return `line ${index} ends what had not begun`;
        expected.shift();
        answering = undefined;
        if (!line.endsWith(` left=${expected.length}`))
          return `line ${index} counts other commands in flight`;
        if (/-\d|NaN|undefined/.test(line)) return `line ${index} has an impossible number`;
        break;
      case 'opaque':
        return index + 2 >= log.length ? undefined : 'it speaks after it became opaque';
      case 'idle,':
        return expected.length === 0 ? undefined : 'it calls itself idle with commands in flight';
      case 'busy':
        return command === `${expected.length},`
          ? undefined
          : 'it counts other commands in flight at the end';
    }
  }
  return undefined;
}

/** Whether the log has something no other had: two lines in a row, without numbers and texts of errors. */
function noteFeatures(features: Set<string>, { agreed, segments }: Conversation): boolean {
  const lines = replay(agreed, joinSegments(segments)).map((line) =>
    line.replace(/error=\S+/, 'error').replace(/\d+/g, (digits) => (digits === '0' ? '0' : 'n')),
  );
  const before = features.size;
  for (const [index, line] of lines.entries()) features.add(`${lines[index - 1] ?? ''} > ${line}`);
  return features.size > before;
}

/** Whether no other conversation became opaque for the same reason at the same point; for the corpus. */
function noteEnd(ends: Set<string>, { agreed, segments }: Conversation): boolean {
  const log = replay(agreed, joinSegments(segments));
  if (log.at(-1) !== 'opaque') return false;
  const end = `${log.at(-3)?.split(' ', 1)[0]} > ${log.at(-2)}, ${agreed.sharedCapabilities & CLIENT_DEPRECATE_EOF}`;
  const isNew = !ends.has(end);
  ends.add(end);
  return isNew;
}

/** The smallest conversation found by leaving out segments that still fails. */
function shrink(conversation: Conversation): Conversation {
  const fails = (segments: readonly Segment[]) => {
    const random = new Random(1);
    for (let attempt = 0; attempt < 50; attempt++)
      if (faultOf(random, { ...conversation, segments }) !== undefined) return true;
    return false;
  };
  let segments = conversation.segments;
  for (let index = segments.length - 1; index >= 0; index--) {
    const without = segments.toSpliced(index, 1);
    if (fails(without)) segments = without;
  }
  return { ...conversation, segments };
}

function keep(conversation: Conversation): string {
  const content = formatRecording({ ...conversation, name: `from ${conversation.name}`, expected: [] });
  const file = join(CORPUS, `${createHash('sha256').update(content).digest('hex').slice(0, 12)}.txt`);
  writeFileSync(file, content);
  return file;
}

function bytesOf({ segments }: Conversation): number {
  return segments.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function pick(random: Random, pool: readonly Conversation[]): Conversation {
  const conversation = pool[random.below(pool.length)];
  if (conversation === undefined) throw new RangeError('there is no conversation to change');
  return conversation;
}

const CORPUS = join(import.meta.dirname, 'corpus', 'command-tracker');
const UNANSWERED: ReadonlySet<string> = new Set(['QUIT', 'STMT_CLOSE', 'STMT_SEND_LONG_DATA']);
const MAX_POOL_BYTES = 20_000;
const MAX_CORPUS_BYTES = 400;

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(1 + (Date.now() % 0x7fff_fffe)) },
      grow: { type: 'boolean', default: false },
    },
  });
  const seed = Number(values.seed);
  const result = fuzzCommandTracker({ seconds: Number(values.seconds), seed, grow: values.grow });
  console.log(`seed ${seed}: ${result.conversations} conversations, ${result.features} features`);
  if (result.failure !== undefined) {
    console.error(result.failure);
    process.exitCode = 1;
  }
}
