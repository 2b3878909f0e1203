import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createLogOutput } from '../../src/cli/log-output.ts';
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

t.test('a log that nobody reads is bounded, and what was dropped is counted', async (t) => {
  const path = join(t.testdir(), 'pipe');
  execFileSync('mkfifo', [path]);
  // Its own reader as well, which never reads.
  const pipe = openSync(path, constants.O_RDWR);
  t.teardown(() => closeSync(pipe));
  const output = createLogOutput(pipe);
  const line = `${'x'.repeat(1023)}\n`;
  for (let count = 0; count < 6000; count++) output.write(line);
  t.ok(output.droppedLines() > 1000 && output.droppedLines() < 3000, `${output.droppedLines()} dropped`);
  await output.flush();
  t.pass('the end of the program does not wait for a reader for ever');
});

t.test('a disk without room ends neither the log nor the program', async (t) => {
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  const output = createLogOutput(full);
  for (let count = 0; count < 3; count++) {
    output.write('a line\n');
    await output.flush();
  }
  t.equal(output.droppedLines(), 0, 'they wait for room');
});
