/** How close together members are asked while something is in doubt. */
import t from 'tap';
import { createDoubtPace, createSteadyJitter } from '../../src/control/pace.ts';

const INTERVALS = { intervalMs: 250, doubtIntervalMs: 100, hurryGapMs: 20 };

t.test('members are asked often while there is something to be waited for', async (t) => {
  const pace = createDoubtPace(() => INTERVALS);
  const intervalAt = (nowMs: number, isNews = false) => pace.after(true, isNews, nowMs).intervalMs;
  t.same(
    pace.after(false, true, 1000),
    { intervalMs: 250, isMetadataHurried: false },
    'at the usual pace in calm',
  );
  t.same(
    pace.after(true, true, 2000),
    { intervalMs: 25, isMetadataHurried: true },
    'at once when doubt begins',
  );
  t.equal(intervalAt(6900), 25);
  t.equal(intervalAt(7100), 100, 'less so when nothing has happened for a while');
  t.equal(intervalAt(8000, true), 25, 'and again when an election goes on: its next step is near');
  t.equal(intervalAt(8900), 25);
  t.equal(intervalAt(13_100), 100);
  t.equal(intervalAt(61_900, true), 25);
  t.same(
    pace.after(true, true, 62_100),
    { intervalMs: 250, isMetadataHurried: false },
    'a minute of doubt is nothing to hurry for, whatever happens in it',
  );
  t.equal(pace.after(false, true, 70_000).intervalMs, 250);
  t.equal(intervalAt(71_000), 25, 'the next doubt begins anew, without news of members too');
});

t.test(
  'the wait between two probes is drawn anew now and then, and when another one is wanted',
  async (t) => {
    const draws = [0, 1, 0.5, 0.25];
    const jitter = createSteadyJitter(() => draws.shift() ?? Number.NaN);
    const waits = Array.from({ length: 17 }, () => jitter.of(250));
    t.strictSame(new Set(waits.slice(0, 16)), new Set([200]));
    t.equal(waits[16], 300);
    t.equal(jitter.of(100), 100);
    t.equal(jitter.of(250), 225);
  },
);
