/** Files an operator names by mistake end in an error, soon and without taking memory. */
import { spawnSync } from 'node:child_process';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readPassword } from '../../src/config/load.ts';
import { MAX_SECRET_BYTES } from '../../src/shared/text-file.ts';

t.test('what is no file of a sensible size is refused with the reason', async (t) => {
  const folder = t.testdir({ huge: '', pipe: {}, full: 'x'.repeat(MAX_SECRET_BYTES) });
  truncateSync(join(folder, 'huge'), 10 * 1024 ** 3);
  const pipe = join(folder, 'fifo');
  spawnSync('mkfifo', [pipe]);
  const cases: readonly (readonly [string, string])[] = [
    ['/dev/zero', 'it is larger than 64 KiB'],
    [join(folder, 'huge'), 'it is larger than 64 KiB'],
    [folder, 'it is a directory, not a file'],
    [pipe, 'it is a pipe, and nobody writes to it'],
    ['/dev/null', 'the file is empty'],
  ];
  for (const [path, reason] of cases) t.same(await readPassword(path), { ok: false, reason }, path);
  t.match(await readPassword(join(folder, 'full')), { ok: true }, 'as much as is allowed');
});

t.test('a pipe that a shell makes is read to its end, however slowly it comes', async (t) => {
  const parts = ['cluster: { seeds: [db],', 'user: router }'];
  const script = '"$0" "$1" check --config <(printf "$2"; sleep 0.3; printf "$3")';
  const { status, stderr } = spawnSync('bash', ['-c', script, process.execPath, MAIN, ...parts], {
    encoding: 'utf8',
  });
  t.equal(status, 0, stderr);
});

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
