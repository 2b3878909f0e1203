/** The failover bench without servers: what it makes of what clients did, and what it is told. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { judgeAims } from '../../bench/failover/aims.ts';
import { EVENTS } from '../../bench/failover/events.ts';
import { parseOptions } from '../../bench/failover/options.ts';
import {
  type Attempt,
  countedByName,
  errorsByClient,
  longestGapMs,
  lostWrites,
  type Outcome,
} from '../../bench/failover/record.ts';
import {
  CLIENT_KINDS,
  type EventResult,
  type FailoverResult,
  mergeResult,
  readResult,
} from '../../bench/failover/result.ts';
import { renderTable, rowsOf } from '../../bench/failover/table.ts';

const SERVED: Outcome = { kind: 'served' };
const attempt = (id: number | undefined, endedAtMs: number, outcome: Outcome = SERVED): Attempt => ({
  client: id === undefined ? 'kept reader 1' : 'kept writer 1',
  id,
  startedAtMs: endedAtMs - 1,
  endedAtMs,
  connectMs: undefined,
  outcome,
});

t.test('the longest gap reaches from the blow to the end, and only acknowledged writes end it', async (t) => {
  const failed: Outcome = { kind: 'failed', error: '1290', during: 'work' };
  const attempts = [
    attempt(1, 5),
    attempt(2, 30),
    attempt(3, 50, failed),
    attempt(undefined, 60),
    attempt(4, 90),
  ];
  t.equal(longestGapMs(attempts, 10, 100), 60);
  t.equal(longestGapMs(attempts, 10, 200), 110, 'also when nothing comes after');
  t.equal(longestGapMs([], 10, 200), 190);
});

t.test('only what was acknowledged can be lost', async (t) => {
  const hung: Outcome = { kind: 'hung', during: 'work' };
  const attempts = [attempt(1, 5), attempt(2, 10), attempt(3, 15, hung)];
  t.same(lostWrites(attempts, [{ id: 1, member: 1 }]), [2]);
  t.same([...errorsByClient(attempts)], [['kept writer 1', ['hung']]]);
  t.equal(countedByName(['1290', '1290', 'hung']), '1290 ×2, hung');
});

t.test('options are checked', async (t) => {
  t.same(parseOptions(['--help']), 'help');
  const all = parseOptions([]);
  t.equal(all === 'help' ? 0 : all.events.length, EVENTS.length);
  const some = parseOptions(['--events', 'cable, sigkill', '--proxies', 'fairlead']);
  t.same(some === 'help' ? [] : some.events.map(({ name }) => name), ['cable', 'sigkill']);
  t.throws(() => parseOptions(['--events', 'flood']), {
    message: /no event flood; there are set-as-primary/,
  });
  t.throws(() => parseOptions(['--proxies', 'nginx']), { message: /no proxy nginx/ });
});

const event = (name: string, gapMs: number): EventResult => ({
  name,
  title: `title of ${name}`,
  date: '2026-01-01T00:00:00.000Z',
  groupMs: 100,
  directCommitMs: 7,
  figures: [
    {
      proxy: 'fairlead',
      gapMs,
      afterGroupMs: 30,
      clients: CLIENT_KINDS.map((kind) => ({
        kind,
        attempts: 10,
        errors: kind === 'kept writer' ? { '1290': 1, PROTOCOL_CONNECTION_LOST: 2 } : {},
        mostErrorsOfOne: kind === 'kept writer' ? 3 : 0,
      })),
      connects: { attempts: 20, refused: 0, failed: 0, longestMs: 40, p99Ms: 20 },
      acknowledged: 100,
      lost: 0,
      overlapping: 0,
    },
  ],
});
const resultOf = (...events: EventResult[]): FailoverResult => ({
  machine: { cpu: 'c', cores: 2, memoryGib: 4, kernel: '6', loadAverage: 0, versions: {} },
  events,
});

t.test('an event that is played again replaces the one before, the others stay', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'fairlead-failover-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const path = join(directory, 'results', 'failover.json');
  const order = ['sigkill', 'cable'];
  await mergeResult(path, resultOf(event('cable', 1)), order);
  await mergeResult(path, resultOf(event('sigkill', 2)), order);
  await mergeResult(path, resultOf(event('cable', 3)), order);
  const { events } = await readResult(path);
  t.same(
    events.map(({ name, figures }) => [name, figures[0]?.gapMs]),
    [
      ['sigkill', 2],
      ['cable', 3],
    ],
  );
});

t.test('the table says who had which errors, the aims whether they are met', async (t) => {
  const result = resultOf(event('set-as-primary', 150));
  const [row] = rowsOf(event('set-as-primary', 150));
  t.same(row?.cells, [
    '150',
    '30',
    'writers 1290, lost ×2 (at most 3 each)',
    'none',
    '0 of 20',
    '40',
    '0',
    '0',
  ]);
  t.match(renderTable(result.events), 'the group itself took 100 ms, a direct client 7 ms more');
  const aims = judgeAims(result);
  t.match(
    aims.find(({ text }) => text === 'planned switchover: errors of a client that was writing'),
    { reached: '3', isMet: false },
  );
  t.match(
    aims.find(({ text }) => text === 'acknowledged writes lost, all events'),
    { reached: '0', isMet: true },
  );
  t.match(
    aims.find(({ text }) => text === 'frozen secondary: connects, p99, ms'),
    { reached: undefined, isMet: undefined },
  );
});

t.test('the page has a place for the figures', async (t) => {
  const page = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'failover.md'), 'utf8');
  t.match(page, '<!-- Figures: made from bench/results/failover.json');
  t.match(page, '<!-- End of the figures. -->');
});
