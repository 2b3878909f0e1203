/** The checker itself, on histories that are known to be good or bad: it is worth nothing unless it can fail. */
import t from 'tap';
import { type Attempt, overlappingWrites } from '../../bench/failover/record.ts';
import { checkLists } from './check-lists.ts';
import { checkRegisters } from './check-registers.ts';
import type { Operation, WriteOperation } from './history.ts';

type Outcome = WriteOperation['outcome'];

const key = 'k';
const write = (value: number, from: number, to: number, outcome: Outcome = 'acknowledged'): Operation => ({
  kind: 'write',
  key,
  value,
  startedAtMs: from,
  endedAtMs: outcome === 'unknown' ? Infinity : to,
  outcome,
});
const read = (values: readonly number[], from: number, to: number): Operation => ({
  kind: 'read',
  key,
  values,
  startedAtMs: from,
  endedAtMs: to,
});

const REGISTERS: readonly (readonly [string, readonly Operation[], readonly string[]])[] = [
  ['nothing happened', [], []],
  ['one after the other', [write(1, 0, 1), read([1], 2, 3), write(2, 4, 5), read([2], 6, 7)], []],
  [
    'a read beside a write sees either',
    [write(1, 0, 1), write(2, 2, 9), read([1], 3, 4), read([2], 5, 6)],
    [],
  ],
  ['writes at once may take either order', [write(1, 0, 5), write(2, 0, 5), read([1], 6, 7)], []],
  [
    'an unknown write may be applied late',
    [write(1, 0, 1), write(2, 2, 3, 'unknown'), read([1], 4, 5), read([2], 6, 7)],
    [],
  ],
  [
    'an unknown write may never be applied',
    [write(1, 0, 1), write(2, 2, 3, 'unknown'), read([1], 9, 10)],
    [],
  ],
  ['a register that nobody has set yet', [read([], 0, 1), write(1, 2, 3), read([1], 4, 5)], []],
  ['a lost acknowledgement', [write(1, 0, 1), write(2, 2, 3), read([1], 4, 5)], ['lost']],
  ['a lost first write', [write(1, 0, 1), read([], 2, 3)], ['lost']],
  [
    'a stale read after a newer was read',
    [write(1, 0, 1), write(2, 2, 8), read([2], 3, 4), read([1], 5, 6)],
    ['lost'],
  ],
  [
    'a value goes, comes back and goes',
    [write(1, 0, 1), write(2, 2, 3), read([2], 4, 5), read([1], 6, 7), read([2], 8, 9)],
    ['stale'],
  ],
  ['a read of what nobody wrote', [write(1, 0, 1), read([7], 2, 3)], ['invented']],
  ['a read of what is written later', [read([1], 0, 1), write(1, 2, 3)], ['invented']],
  [
    'a refused write that was applied',
    [write(1, 0, 1), write(2, 2, 3, 'failed'), read([2], 4, 5)],
    ['failed-but-applied'],
  ],
];

for (const [name, history, wanted] of REGISTERS) {
  t.test(`registers: ${name}`, async (t) => {
    t.same(
      checkRegisters(history).map(({ kind }) => kind),
      wanted,
    );
  });
}

const LISTS: readonly (readonly [string, readonly Operation[], readonly string[]])[] = [
  ['one after the other', [write(1, 0, 1), read([1], 2, 3), write(2, 4, 5), read([1, 2], 6, 7)], []],
  ['at once in either order', [write(1, 0, 5), write(2, 0, 5), read([2, 1], 6, 7)], []],
  [
    'an unknown append that was not applied',
    [write(1, 0, 1), write(2, 2, 3, 'unknown'), read([1], 9, 10)],
    [],
  ],
  [
    'an unknown append that was applied late',
    [write(2, 0, 1, 'unknown'), write(1, 2, 3), read([1], 4, 5), read([1, 2], 9, 10)],
    [],
  ],
  ['a lost acknowledgement', [write(1, 0, 1), write(2, 2, 3), read([2], 9, 10)], ['lost']],
  ['applied twice', [write(1, 0, 1), write(2, 2, 3), read([1, 1, 2], 9, 10)], ['duplicate']],
  ['a stale read', [write(1, 0, 1), write(2, 2, 3), read([1], 4, 5), read([1, 2], 9, 10)], ['stale']],
  ['against time', [write(1, 0, 1), write(2, 2, 3), read([2, 1], 9, 10)], ['order']],
  [
    'a read of an order that was not kept',
    [write(1, 0, 5), write(2, 0, 5), read([1, 2], 6, 7), read([2, 1], 9, 10)],
    ['order'],
  ],
  ['an element nobody appended', [write(1, 0, 1), read([1, 9], 9, 10)], ['invented']],
  ['a refused append that was applied', [write(1, 0, 1, 'failed'), read([1], 9, 10)], ['failed-but-applied']],
];

for (const [name, history, wanted] of LISTS) {
  t.test(`lists: ${name}`, async (t) => {
    t.same(
      checkLists(history).map(({ kind }) => kind),
      wanted,
    );
  });
}

t.test('keys are judged apart', async (t) => {
  const other = { ...read([1], 4, 5), key: 'other' };
  t.same(
    checkRegisters([write(1, 0, 1), write(2, 2, 3), other]).map((anomaly) => anomaly.key),
    ['other'],
  );
});

t.test('a write that a second member accepted between two of the first is seen', async (t) => {
  const attempt = (id: number, startedAtMs: number): Attempt => ({
    client: 'kept writer 1',
    id,
    startedAtMs,
    endedAtMs: startedAtMs + 1,
    connectMs: undefined,
    outcome: { kind: 'served' },
  });
  const attempts = [attempt(1, 0), attempt(2, 10), attempt(3, 20), attempt(4, 30)];
  const accepted = (...members: readonly number[]) =>
    members.map((member, index) => ({ id: index + 1, member }));
  t.same(overlappingWrites(attempts, accepted(1, 1, 2, 2)), [], 'a primary after the other');
  t.same(overlappingWrites(attempts, accepted(1, 2, 1, 1)), [2]);
  t.same(overlappingWrites(attempts, accepted(1, 2, 1, 2)), [2, 3]);
});
