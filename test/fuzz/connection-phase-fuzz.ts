/**
 * Feeds changed logins to the connection phase, as either side could send them: it must throw nothing but ProtocolErrors,
 * come to the same end however the bytes are cut, and lose no byte.
 *
 *     node test/fuzz/connection-phase-fuzz.ts --seconds 60 [--seed 1]
 *
 * A login that fails is made smaller and written to the corpus, where the tests find it again. The corpus was recorded
 * from real servers and clients (record-logins.ts).
 */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ConnectionPhaseOptions } from '../../protocol/connection-phase-feed.ts';
import { stackOf } from '../../src/shared/message-of.ts';
import { converse, type Outcome, type Step } from '../protocol/conversation.ts';
import { Random } from './random.ts';
import { SCRIPTED_LOGINS } from './scripted-logins.ts';

export type LoginFuzzResult = {
  readonly logins: number;
  /** Ends that were seen: states, errors and kinds of packets on the way there. */
  readonly ends: number;
  readonly failure: string | undefined;
};

/** Runs the corpus, then changed logins until the time is up or one fails. */
export function fuzzConnectionPhase(seconds: number, seed: number): LoginFuzzResult {
  const deadline = performance.now() + seconds * 1000;
  const random = new Random(seed);
  const pool = [...SCRIPTED_LOGINS, ...readLogins()];
  const ends = new Set<string>();
  let logins = 0;
  const tryLogin = (steps: readonly Step[]): string | undefined => {
    logins += 1;
    const outcome = outcomeOf(random, steps);
    if (typeof outcome === 'string') return outcome;
    ends.add(
      `${outcome.state} ${outcome.error} ${outcome.events.map((event) => event.split(' ')[0]).join(' ')}`,
    );
    return undefined;
  };
  for (const steps of pool) {
    const failure = tryLogin(steps);
    if (failure !== undefined) return { logins, ends: ends.size, failure };
  }
  while (performance.now() < deadline) {
    const changed = mutateLogin(random, pick(random, pool), pick(random, pool));
    const before = ends.size;
    const failure = tryLogin(changed);
    if (failure !== undefined) return { logins, ends: ends.size, failure: `${keep(changed)}: ${failure}` };
    // What led somewhere new is worth changing further.
    if (ends.size > before && bytesIn(changed) < MAX_POOL_BYTES) pool.push(changed);
  }
  return { logins, ends: ends.size, failure: undefined };
}

/** How a login ends, or what is wrong with that. */
function outcomeOf(random: Random, steps: readonly Step[]): Outcome | string {
  const options: ConnectionPhaseOptions = {
    maxHandshakeResponseBytes: 16_384,
    tls: random.chance(0.3) ? 'ended-here' : 'relayed',
  };
  try {
    const outcome = converse(steps, options);
    const again = converse(cutSteps(random, steps), options);
    const faults = [outcome, again].flatMap((one) => lostBytes(steps, one) ?? []);
    if (faults[0] !== undefined) return faults[0];
    // A client that is ahead, or has bytes of TLS to be decrypted, is not always read on at the same point.
    if (outcome.wasHeld || again.wasHeld || options.tls === 'ended-here') return outcome;
    // Where an error ends it, what came before it in the same chunk is not told.
    if (outcome.error !== again.error || outcome.state !== again.state) {
      return `cut otherwise it ends with ${again.error} in ${again.state} instead of ${outcome.error} in ${outcome.state}`;
    }
    if (outcome.error !== undefined) return outcome;
    if (JSON.stringify(outcome) !== JSON.stringify(again)) return 'cut otherwise it tells something else';
    return outcome;
  } catch (error) {
    return `it throws ${stackOf(error)}`;
  }
}

/** Every byte belongs to the login or to what follows it, unless a fault ended it. */
function lostBytes(steps: readonly Step[], { error, forwarded, rest }: Outcome): string | undefined {
  if (error !== undefined) return undefined;
  for (const side of ['client', 'server'] as const) {
    const sent = Buffer.concat(steps.flatMap(([from, bytes]) => (from === side ? [bytes] : [])));
    if (forwarded[side] + rest[side] !== sent.toString('hex')) return `bytes of the ${side} are lost`;
  }
  return undefined;
}

/** Adjacent bytes of one side may come in any chunks. */
function cutSteps(random: Random, steps: readonly Step[]): readonly Step[] {
  return steps.flatMap(([side, bytes]) => {
    const pieces: Step[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = random.chance(0.5) ? 1 + random.below(4) : 1 + random.below(bytes.length);
      pieces.push([side, bytes.subarray(at, at + size)]);
      at += size;
    }
    return pieces;
  });
}

export function mutateLogin(random: Random, login: readonly Step[], other: readonly Step[]): readonly Step[] {
  let steps = login;
  for (let count = random.below(4); count >= 0; count -= 1) steps = mutateOnce(random, steps, other);
  return steps.slice(0, MAX_STEPS);
}

function mutateOnce(random: Random, steps: readonly Step[], other: readonly Step[]): readonly Step[] {
  const index = random.below(steps.length + 1);
  const step = steps[index];
  const donor = other[random.below(other.length)];
  if (step === undefined || donor === undefined) return steps;
  const [side, bytes] = step;
  switch (random.below(8)) {
    case 0:
      return steps.toSpliced(index, 1);
    case 1:
      return steps.toSpliced(index, 0, step);
    case 2:
      return steps.toSpliced(index, 0, donor);
    case 3:
      return steps.toSpliced(index, 1, [side === 'client' ? 'server' : 'client', bytes]);
    case 4: {
      // The donor's payload in this place of the sequence.
      const fitting = Buffer.from(donor[1]);
      if (fitting.length > 3) fitting[3] = bytes[3] ?? 0;
      return steps.toSpliced(index, 1, [donor[0], fitting]);
    }
    case 5:
      return steps.toSpliced(index, 1, [side, bytes.subarray(0, random.below(bytes.length + 1))]);
    case 6: {
      const longer = Buffer.concat([bytes, Buffer.alloc(random.below(300), random.below(256))]);
      if (longer.length > 3) longer.writeUIntLE(Math.min(longer.length - 4, 0xff_ffff), 0, 3);
      return steps.toSpliced(index, 1, [side, longer]);
    }
    default: {
      const changed = Buffer.from(bytes);
      for (let count = random.below(5); count >= 0 && changed.length > 0; count -= 1) {
        changed[random.below(Math.min(changed.length, random.chance(0.6) ? 48 : changed.length))] =
          TELLING_BYTES[random.below(TELLING_BYTES.length * 2)] ?? random.below(256);
      }
      return steps.toSpliced(index, 1, [side, changed]);
    }
  }
}

/** One step on each line: who, and the bytes in hex. */
export function formatLogin(steps: readonly Step[]): string {
  return `${steps.map(([side, bytes]) => `${side} ${bytes.toString('hex')}`).join('\n')}\n`;
}

export function readLogins(): (readonly Step[])[] {
  return readdirSync(LOGINS).map((name) =>
    readFileSync(join(LOGINS, name), 'utf8')
      .split('\n')
      .flatMap((line): readonly Step[] => {
        const [side, hex = ''] = line.split(' ');
        return side === 'client' || side === 'server' ? [[side, Buffer.from(hex, 'hex')]] : [];
      }),
  );
}

/** Leaves out what is not needed for it to fail, and writes the rest to the corpus. */
function keep(login: readonly Step[]): string {
  let steps = login;
  for (let index = steps.length - 1; index >= 0; index -= 1) {
    const without = steps.toSpliced(index, 1);
    const attempts = Array.from({ length: 20 }, (_, seed) => outcomeOf(new Random(seed + 1), without));
    if (attempts.some((outcome) => typeof outcome === 'string')) steps = without;
  }
  const text = formatLogin(steps);
  const file = join(LOGINS, `${createHash('sha256').update(text).digest('hex').slice(0, 12)}.txt`);
  writeFileSync(file, text);
  return file;
}

function bytesIn(steps: readonly Step[]): number {
  return steps.reduce((sum, [, bytes]) => sum + bytes.length, 0);
}

function pick(random: Random, pool: readonly (readonly Step[])[]): readonly Step[] {
  const login = pool[random.below(pool.length)];
  if (login === undefined) throw new RangeError('there is no login to change');
  return login;
}

/** Recorded logins, and those that have failed. */
export const LOGINS = join(import.meta.dirname, 'corpus', 'connection-phase');
const MAX_STEPS = 60;
const MAX_POOL_BYTES = 8000;
const TELLING_BYTES = [0x00, 0x01, 0x02, 0x03, 0x04, 0x0a, 0xfb, 0xfc, 0xfd, 0xfe, 0xff] as const;

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(1 + (Date.now() % 0x7fff_fffe)) },
    },
  });
  const result = fuzzConnectionPhase(Number(values.seconds), Number(values.seed));
  console.log(`seed ${values.seed}: ${result.logins} logins, ${result.ends} ways to end`);
  if (result.failure !== undefined) {
    console.error(result.failure);
    process.exitCode = 1;
  }
}
