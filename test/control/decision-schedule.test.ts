/** When it is decided, and what becomes of a decision that cannot be made. */
import t from 'tap';
import { DecisionSchedule } from '../../src/control/decision-schedule.ts';
import { until } from '../support/until.ts';

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
    now: () => performance.now(),
  });
  t.teardown(() => schedule.close());
  schedule.decide('start');
  t.match(defects, [{ message: 'an answer nobody has foreseen' }]);
  await until('a decision to be made', () => decisions === 3);
  t.equal(defects.length, 2);
});
