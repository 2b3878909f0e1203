import t from 'tap';
import { createLog } from '../../src/cli/logger.ts';

t.test('a log line is JSON with a level in words and an ISO time, and never shows a password', async (t) => {
  const lines: string[] = [];
  const log = createLog('info', { write: (line) => void lines.push(line) });
  log.debug('not written');
  log.info(
    { event: 'started', config: { cluster: { user: 'router', password: 'hunter2' } } },
    'the router started',
  );
  log.warn({ password: 'hunter2', cluster: { password: 'hunter2' } }, 'careless');
  t.equal(lines.length, 2);
  const first: unknown = JSON.parse(lines[0] ?? '');
  t.match(first, { level: 'info', time: /^\d{4}-\d\d-\d\dT/, event: 'started', msg: 'the router started' });
  t.match(first, { config: { cluster: { user: 'router', password: '***' } } });
  t.notMatch(lines.join(''), 'hunter2');
});
