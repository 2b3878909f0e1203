/** When it is decided, and what becomes of a decision that cannot be made. */
import t from 'tap';
import { DecisionSchedule } from '../../src/control/decision-schedule.ts';
import { pause, until } from '../support/until.ts';

t.test('a defect in a decision is told, and it is decided again', async (t) => {
  const defects: unknown[] = [];
  let decisions = 0;
  const schedule = new DecisionSchedule({
    decide: () => {
      if (++decisions < 3) throw new Error('an answer nobody has foreseen');
      return 'still';
    },
    onDefect: (error) => defects.push(error),
    isStill: () => true,
    onStall: () => undefined,
    hasHeardAllSince: () => true,
    now: () => performance.now(),
  });
  t.teardown(() => schedule.close());
  schedule.decide('start');
  t.match(defects, [{ message: 'an answer nobody has foreseen' }]);
  await until('a decision to be made', () => decisions === 3);
  t.equal(defects.length, 2);
});

t.test('a process that has stood still hears its members before it decides anything', async (t) => {
  let skippedMs = 0;
  let haveAnswered = false;
  const causes: string[] = [];
  const stalls: number[] = [];
  const schedule = new DecisionSchedule({
    decide: (cause) => {
      causes.push(cause);
      return 'unsettled';
    },
    onDefect: (error) => t.fail(String(error)),
    isStill: () => false,
    onStall: () => stalls.push(causes.length),
    hasHeardAllSince: (ms) => {
      t.ok(ms > 30_000, 'since it woke up, that is');
      return haveAnswered;
    },
    now: () => performance.now() / 1000 + skippedMs,
  });
  t.teardown(() => schedule.close());
  schedule.decide('start');
  skippedMs = 30_000;
  schedule.note('the deadline of a probe has passed', 'news');
  await until('it to notice', () => stalls.length > 0);
  schedule.note('another', 'news');
  await pause(200);
  t.same(causes, ['start'], 'nothing is decided upon what looks like silence');
  t.equal(stalls.length, 1);
  haveAnswered = true;
  await until('a decision', () => causes.length > 1);

  // Those that stay silent are not waited for without end: a second by its clock.
  haveAnswered = false;
  const decisions = causes.length;
  skippedMs = 60_000;
  await until('it to notice again', () => stalls.length > 1);
  skippedMs += 1001;
  await until('the next decision', () => causes.length > decisions);
});
