/** A member that comes and goes does not fill the log. */
import { pino } from 'pino';
import t from 'tap';
import { dampEvents } from '../../src/control/event-damper.ts';
import { createEventLog } from '../../src/shared/events.ts';

function start() {
  let nowMs = 0;
  const log = createEventLog(pino({ level: 'silent' }), 10_000);
  const damped = dampEvents(log, () => nowMs);
  return {
    log,
    damped,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

t.test('an hour of flapping is a few hundred lines at most, and says what it left out', async (t) => {
  const { log, damped, pass } = start();
  for (let flap = 0; flap < 36_000; flap++) {
    damped.record('warn', 'member_does_not_answer', 'away', { member: 'db-1:3306' });
    damped.record('info', 'member_answers', 'back', { member: 'db-1:3306' });
    pass(100);
  }
  const lines = log.recent(10_000);
  t.ok(lines.length <= 2 * (10 + 240), `${lines.length} lines`);
  const left = lines.reduce((sum, { fields }) => sum + Number(fields['suppressed_before'] ?? 0), 0);
  t.ok(left > 71_000, 'nothing is left out without being counted');
});

t.test('other members, other kinds, and what concerns the whole are not held up', async (t) => {
  const { log, damped } = start();
  for (let flap = 0; flap < 50; flap++) {
    damped.record('warn', 'member_does_not_answer', 'away', { member: 'db-1:3306' });
  }
  damped.record('warn', 'member_does_not_answer', 'away', { member: 'db-2:3306' });
  damped.record('info', 'member_state_changed', 'changed', { member: 'db-1:3306' });
  for (let change = 0; change < 50; change++)
    damped.record('warn', 'primary_changed', 'changed', { member: 'db-1:3306' });
  const count = (kind: string) => log.recent(1000).filter((event) => event.kind === kind).length;
  t.equal(count('member_does_not_answer'), 11);
  t.equal(count('member_state_changed'), 1);
  t.equal(count('primary_changed'), 50);
});

t.test(
  'an hour in which the primary comes and goes every second is some hundred lines, each with its number',
  async (t) => {
    const { log, damped, pass } = start();
    for (let flap = 0; flap < 3600; flap++) {
      damped.record('warn', 'no_primary', 'no member takes writes', { primary: null });
      damped.record('error', 'alarm_raised', 'two are writable', { alarm: 'two are writable' });
      damped.record('info', 'primary_changed', 'writes go to db-1:3306 again', { primary: 'db-1:3306' });
      pass(1000);
    }
    damped.record('error', 'alarm_raised', 'no member answers', { alarm: 'no member answers' });
    const lines = log.recent(10_000);
    t.ok(lines.length <= 3 * (100 + 720) + 1, `${lines.length} lines`);
    t.ok(
      lines.some(({ message }) => message === 'no member answers'),
      'another alarm is not held up',
    );
  },
);

t.test('after a quiet time all is told again', async (t) => {
  const { log, damped, pass } = start();
  const tell = () => damped.record('info', 'member_answers', 'back', { member: 'db-1:3306' });
  for (let flap = 0; flap < 15; flap++) tell();
  t.equal(log.recent(100).length, 10);
  pass(15_000);
  tell();
  t.equal(log.recent(1)[0]?.fields['suppressed_before'], 5);
});
