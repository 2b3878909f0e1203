import t from 'tap';
import { Refusals, refusalStandsForMs } from '../../src/control/refusals.ts';

t.test('a refused commit is taken back by the next answer, a handover under way is not', async (t) => {
  const hook = new Refusals();
  hook.note(100, refusalStandsForMs(3100) ?? -1);
  hook.answered(90, false);
  t.equal(hook.sinceMs, 100, 'an answer to what was asked before says nothing of it');
  hook.answered(101, false);
  t.equal(hook.sinceMs, null);

  const handover = new Refusals();
  const standsForMs = refusalStandsForMs(4094) ?? -1;
  handover.note(100, standsForMs);
  handover.answered(500, false);
  handover.note(900, standsForMs);
  handover.answered(5500, false);
  t.equal(handover.sinceMs, 100, 'the member answers as ever, and goes on refusing');
  handover.answered(5901, false);
  t.equal(handover.sinceMs, null, 'nobody has been refused for five seconds');

  handover.note(6000, standsForMs);
  handover.answered(6100, true);
  t.equal(handover.sinceMs, null, 'it has handed over, and may be the primary again at once');
});

t.test('other errors refuse no commits', async (t) => {
  for (const errorNumber of [0, 1053, 1290, 1836]) t.equal(refusalStandsForMs(errorNumber), null);
});
