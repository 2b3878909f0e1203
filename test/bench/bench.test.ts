/** The bench's own arithmetic and reading. What it measures is not judged here: a test run is no place for timing. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { judgeAims } from '../../bench/aims.ts';
import { buildProgram } from '../../bench/c-program.ts';
import { parseDescriptorLimits } from '../../bench/descriptors.ts';
import { parseStatTicks, readCpuMs } from '../../bench/measure/cpu-time.ts';
import { parseRssKib, readRssKib } from '../../bench/measure/resident-memory.ts';
import { histogramPercentile, median, relativeSpread } from '../../bench/measure/statistics.ts';
import { latencyUs, parseSysbench, SysbenchFailure } from '../../bench/measure/sysbench-output.ts';
import { parseOptions } from '../../bench/options.ts';
import { renderPlot } from '../../bench/plot.ts';
import { selfTimes } from '../../bench/profile-top.ts';
import { renderReport } from '../../bench/report.ts';
import { type BenchResult, parseResult } from '../../bench/result.ts';
import { runWorkload, startTargets } from '../../bench/rounds.ts';
import { countBy } from '../../bench/spread.ts';
import { formatFigure, renderTable } from '../../bench/table.ts';
import { parseLoadOutput } from '../../bench/workloads/load-program.ts';
import { UnavailableError, waitFor } from '../../src/sandbox/index.ts';
import { runCommand } from '../../src/sandbox/run-command.ts';

const onLinux = process.platform === 'linux' ? false : 'reads /proc';

t.test('the median is the middle, or halfway between the two middle ones', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.equal(median([7]), 7);
  t.throws(() => median([]), RangeError);
});

t.test('the spread is half the distance between the quartiles, relative to the median', async (t) => {
  t.equal(relativeSpread([10, 10, 10]), 0);
  t.equal(relativeSpread([8, 9, 10, 11, 12]), 0.15);
  t.equal(relativeSpread([5]), 0);
});

t.test('a percentile lies inside its bucket, where the counts reach it', async (t) => {
  const buckets = [
    { value: 1, count: 50 },
    { value: 2, count: 40 },
    { value: 4, count: 10 },
  ];
  t.equal(histogramPercentile(buckets, 0.5), 1);
  t.equal(histogramPercentile(buckets, 0.9), 2);
  t.equal(histogramPercentile(buckets, 1), 4);
  t.equal(histogramPercentile(buckets, 0.7).toFixed(3), '1.414');
  t.throws(() => histogramPercentile([], 0.5), RangeError);
});

t.test('sysbench output gives queries, time and percentiles', async (t) => {
  const result = parseSysbench(SYSBENCH);
  t.equal(result.queries, 20400);
  t.equal(result.events, 1020);
  t.equal(result.seconds, 5.0102);
  t.equal(result.histogram.length, 3);
  t.ok(latencyUs(result, 0.5) > 9_000 && latencyUs(result, 0.5) <= 10_000);
  t.throws(() => parseSysbench('Segmentation fault'), TypeError);
});

t.test('a run in which statements failed is no measurement', async (t) => {
  t.throws(
    () => parseSysbench(SYSBENCH.replace('ignored errors:                      3', 'ignored errors: 2000')),
    SysbenchFailure,
  );
  t.throws(
    () => parseSysbench(SYSBENCH.replace('reconnects:                          0', 'reconnects: 1')),
    SysbenchFailure,
  );
});

t.test('processor time is read behind a name with spaces and parentheses', async (t) => {
  const stat = '42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 11 7 5 3 20 0 4 0 100 1000 200';
  t.equal(parseStatTicks(stat), 26);
  t.throws(() => parseStatTicks('42 (sh) S 1'), TypeError);
});

t.test('processor time of a process counts its threads and its children', { skip: onLinux }, async (t) => {
  const busyChild = 'const end = Date.now() + 60_000; while (Date.now() < end);';
  const parent = spawn(
    process.execPath,
    [
      '-e',
      `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(busyChild)}], {stdio: 'inherit'})`,
    ],
    // A group of its own: both end together.
    { detached: true, stdio: 'ignore' },
  );
  const { pid } = parent;
  if (pid === undefined) throw new Error('the process did not start');
  const exited = once(parent, 'exit');
  t.teardown(async () => {
    process.kill(-pid, 'SIGKILL');
    await exited;
  });
  await once(parent, 'spawn');
  // Its own start takes a tenth of a second; the rest can only be its child's.
  await waitFor({ what: 'a second of processor time', timeoutMs: 60_000 }, async () =>
    (await readCpuMs(pid)) > 1000 ? true : undefined,
  );
  t.pass('the child’s time is its parent’s');
});

t.test('resident memory is read in KiB', { skip: onLinux }, async (t) => {
  t.equal(parseRssKib('Name:\tnode\nVmRSS:\t   12345 kB\nRssAnon:\t1 kB\n'), 12345);
  t.throws(() => parseRssKib('Name:\tnode\nState:\tZ (zombie)\n'), TypeError);
  t.ok((await readRssKib(process.pid)) > 10_000);
});

t.test('descriptor limits are read', async (t) => {
  const limits =
    'Limit                     Soft Limit           Hard Limit           Units\nMax open files            1024                 524288               files\n';
  t.same(parseDescriptorLimits(limits), { soft: 1024, hard: 524288 });
});

t.test('the load’s last line is its result', async (t) => {
  const line = '{"operations":7,"seconds":1.5,"bytes":9,"p50Us":1,"p99Us":2,"p999Us":3}';
  t.match(parseLoadOutput(`ready\n${line}\n`), { operations: 7, seconds: 1.5, bytes: 9 });
  t.throws(() => parseLoadOutput('{"operations":7}'), TypeError);
});

t.test('the C programs compile and say how they are used', async (t) => {
  for (const folder of ['floor', 'load']) {
    const file = await buildProgram(folder).catch((error: unknown) => {
      if (error instanceof UnavailableError) return undefined;
      throw error;
    });
    if (file === undefined) {
      t.comment('no C compiler here: bench/floor and bench/load are not tried');
      return;
    }
    await t.rejects(runCommand({ file, args: [], env: {} }), {
      message: new RegExp(folder === 'load' ? 'load connect' : 'relay'),
    });
  }
});

t.test('targets take turns, the first round does not count, and who fails is left out', async (t) => {
  const order: string[] = [];
  const kinds = ['fairlead', 'broken', 'direct'].map((name) => ({
    name,
    title: name,
    start: async () => ({ port: name.length, pid: undefined, stop: async () => {} }),
  }));
  const missing = {
    name: 'missing',
    title: 'missing',
    start: async () => {
      throw new UnavailableError('not here');
    },
  };
  const workload = {
    name: 'work',
    title: 'Work',
    needsFreshTarget: false,
    variants: [],
    usualRounds: 2,
    measures: [
      { name: 'value', title: 'value', better: 'less' },
      { name: 'added', title: 'added', better: 'less', overDirect: 'value' },
    ],
    run: async (_bench: unknown, { port }: { port: number }) => {
      order.push({ 8: 'fairlead', 6: order.includes('broken') ? 'direct' : 'broken' }[port] ?? '');
      if (order.at(-1) === 'broken') throw new Error('fell over');
      return { value: order.at(-1) === 'fairlead' ? 50 + order.length : order.length };
    },
  } as const;
  // Neither kind of target nor the work looks at the bench.
  const bench = Object.create(null);
  const targets = await startTargets(bench, [...kinds, missing]);
  const options = { rounds: undefined, seconds: 1, isQuick: false, onProgress: () => {} };
  const { outcomes, measures } = await runWorkload(bench, workload, targets, options);
  t.same(order, ['fairlead', 'broken', 'direct', 'direct', 'fairlead', 'direct', 'fairlead']);
  t.match(outcomes[0], {
    kind: 'measured',
    rounds: { value: [55, 57], added: [51, 51] },
    medians: { value: 56 },
  });
  t.match(outcomes[1], { kind: 'failed', reason: 'fell over' });
  t.match(outcomes[2], { kind: 'measured', rounds: { value: [4, 6] } });
  t.match(outcomes[3], { kind: 'unavailable', reason: 'not here' });
  t.same(
    measures.map(({ isDifference }) => isDifference),
    [false, true],
  );
});

t.test('table, report, plot and aims are made from a result', async (t) => {
  const result = parseResult(structuredClone(RESULT));
  t.match(renderTable(result), /CPU µs\/query +26\.0 +52\.0 \(0\.50\)/);
  t.match(renderTable(result), /Point select, floor: unavailable: no C compiler/);
  const report = renderReport(result);
  t.match(report, '| Point select | CPU µs/query | 0.50 | – |');
  t.match(report, '2 × Some CPU');
  t.match(report, 'Not measured:\n\n- Point select, floor: no C compiler');
  const aims = judgeAims(result);
  t.match(
    aims.find(({ text }) => text.includes('(text)')),
    { reached: 0.5, isMet: true },
  );
  t.equal(aims.filter(({ isMet }) => isMet === undefined).length, aims.length - 1);
  const svg = renderPlot(result);
  t.match(svg, /^<svg [\s\S]*<\/svg>$/);
  t.match(svg, 'Point select');
  t.throws(() => parseResult({ ...RESULT, date: 1 }));
});

t.test('figures are shown with the digits that count', async (t) => {
  t.same([0, 0.0123, 0.5, 5.346, 53.46, 534.6, 12345].map(formatFigure), [
    '0',
    '0.012',
    '0.500',
    '5.35',
    '53.5',
    '535',
    '12,345',
  ]);
});

t.test('a profile is added up by function', async (t) => {
  const frame = (functionName: string) => ({ functionName, url: '', lineNumber: 1 });
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('one') },
      { id: 2, callFrame: frame('two') },
      { id: 3, callFrame: frame('one') },
    ],
    samples: [1, 2, 3],
    timeDeltas: [1000, 1500, 1000],
  };
  t.same(selfTimes(profile), [
    { name: 'one', selfMs: 2 },
    { name: 'two', selfMs: 1.5 },
  ]);
});

t.test('sessions are counted by what they have in common', async (t) => {
  t.same(
    countBy([1, 2, 3, 4, 5], (value) => value % 2),
    [3, 2],
  );
});

t.test('options name workloads and targets, and say which there are', async (t) => {
  const options = parseOptions(['--only', 'connect', '--proxies', 'fairlead,floor', '--rounds', '3']);
  if (options === 'help') throw new Error('nobody asked for help');
  t.same([options.workloads[0]?.name, options.workloads.length], ['connect', 1]);
  t.same([options.targets.length, options.rounds, options.seconds, options.isWhole], [2, 3, 3, false]);
  t.throws(() => parseOptions(['--only', 'nothing']), { message: /there are point-text/ });
  t.throws(() => parseOptions(['--rounds', '0']), { message: /whole number/ });
  t.equal(parseOptions(['--help']), 'help');
});

const SYSBENCH = `
Latency histogram (values are in milliseconds)
       value  ------------- distribution ------------- count
       9.000 |***                                      20
      10.000 |**************************************** 800
      20.000 |*****                                    200

SQL statistics:
    queries performed:
        read:                            14280
        write:                           4080
        other:                           2040
        total:                           20400
    transactions:                        1020   (203.58 per sec.)
    queries:                             20400  (4071.60 per sec.)
    ignored errors:                      3      (0.00 per sec.)
    reconnects:                          0      (0.00 per sec.)

General statistics:
    total time:                          5.0102s
    total number of events:              1020
`;

const RESULT: BenchResult = {
  date: '2025-01-02T03:04:05.000Z',
  isQuick: false,
  secondsPerRound: 4,
  machine: {
    cpu: 'Some CPU',
    cores: 2,
    memoryGib: 8,
    kernel: '6.1',
    loadAverage: 0.5,
    versions: { node: 'v24.0.0' },
  },
  targets: [
    { name: 'fairlead', title: 'Fairlead' },
    { name: 'haproxy', title: 'HAProxy' },
    { name: 'floor', title: 'floor' },
  ],
  workloads: [
    {
      name: 'point-text',
      title: 'Point select',
      measures: [{ name: 'cpuUs', title: 'CPU µs/query', better: 'less', isDifference: false }],
      outcomes: [
        { kind: 'measured', target: 'fairlead', rounds: { cpuUs: [25, 26, 27] }, medians: { cpuUs: 26 } },
        { kind: 'measured', target: 'haproxy', rounds: { cpuUs: [52, 52, 52] }, medians: { cpuUs: 52 } },
        { kind: 'unavailable', target: 'floor', reason: 'no C compiler' },
      ],
    },
  ],
};
