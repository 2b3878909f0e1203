import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { type ConfigSources, loadConfig, reloadConfig } from '../../src/config/load.ts';
import { describeProblem } from '../../src/config/problems.ts';

const nothing = { environment: {}, flags: {} };

async function problemsOf(sources: ConfigSources): Promise<readonly string[]> {
  const loaded = await loadConfig(sources);
  return loaded.ok ? [] : loaded.problems.map(describeProblem);
}

t.test(
  'the password file is read beside the configuration that names it, without its last line break',
  async (t) => {
    const folder = t.testdir({
      'f.yaml': 'cluster: { seeds: [db], user: router, passwordFile: secrets/pw }',
      secrets: { pw: ' ge heim \r\n' },
    });
    const loaded = await loadConfig({ ...nothing, file: join(folder, 'f.yaml') });
    t.match(loaded, { ok: true, config: { cluster: { password: ' ge heim ' } } });
  },
);

t.test(
  'a password file named by a flag or the environment is looked for from the working directory',
  async (t) => {
    const folder = t.testdir({ 'f.yaml': 'cluster: { seeds: [db], user: router }', pw: 'geheim\n\n' });
    const file = join(folder, 'f.yaml');
    const flags = { 'cluster.passwordFile': [join(folder, 'pw')] };
    t.match(await loadConfig({ file, environment: {}, flags }), {
      config: { cluster: { password: 'geheim\n' } },
    });
    const [problem] = await problemsOf({
      file,
      environment: { FAIRLEAD_CLUSTER_PASSWORD_FILE: 'pw' },
      flags: {},
    });
    t.match(problem, /FAIRLEAD_CLUSTER_PASSWORD_FILE: cluster\.passwordFile = "pw": cannot be used: ENOENT/);
    t.ok(problem?.includes(join(process.cwd(), 'pw')), 'the message names the file that was looked for');
  },
);

t.test(
  'a secret that cannot be read is reported with the file and the reason, beside all other problems',
  async (t) => {
    const folder = t.testdir({
      'f.yaml': 'cluster: { seeds: [db], passwordFile: gone }\nthreads: 0\n',
      empty: '\n',
    });
    const file = join(folder, 'f.yaml');
    t.match(await problemsOf({ ...nothing, file }), [
      /threads = 0/,
      /cluster\.user: is missing/,
      /cluster\.passwordFile = "gone": cannot be used: ENOENT: no such file or directory, open '.*\/gone'$/,
    ]);
    const flags = { threads: ['1'], 'cluster.user': ['r'], 'cluster.passwordFile': [folder] };
    t.match(await problemsOf({ file, environment: {}, flags }), [
      /cannot be used: it is a directory, not a file/,
    ]);
    const withEmpty = { ...flags, 'cluster.passwordFile': [join(folder, 'empty')] };
    t.match(await problemsOf({ file, environment: {}, flags: withEmpty }), [
      /cannot be used: the file is empty$/,
    ]);
  },
);

t.test('a configuration file that cannot be read is the one problem', async (t) => {
  t.match(await problemsOf({ ...nothing, file: '/nowhere/f.yaml' }), [
    /^\/nowhere\/f\.yaml: cannot be read: ENOENT: no such file or directory, open '\/nowhere\/f\.yaml'$/,
  ]);
});

t.test('a reload reads file and secret again, tells what changed, and refuses what is wrong', async (t) => {
  const folder = t.testdir({});
  const file = join(folder, 'f.yaml');
  const write = (text: string) =>
    writeFile(file, `cluster: { seeds: [db], user: r, passwordFile: pw }\n${text}`);
  await writeFile(join(folder, 'pw'), 'one\n');
  await write('hold: { timeout: 1s }');
  const sources = { ...nothing, file };
  const first = await loadConfig(sources);
  if (!first.ok) throw new Error('the first configuration is right');

  t.match(await reloadConfig(sources, first.config), { ok: true, changed: { length: 0 } });

  await write('hold: { timeout: 2s }');
  await writeFile(join(folder, 'pw'), 'two\n');
  const second = await reloadConfig(sources, first.config);
  t.match(second, { ok: true, config: { cluster: { password: 'two' }, hold: { timeoutMs: 2_000 } } });
  t.strictSame(second.ok && second.changed, ['cluster', 'hold']);

  await write('hold: { timeout: 2 }');
  const refused = await reloadConfig(sources, first.config);
  t.match(refused, { ok: false, problems: [{ key: 'hold.timeout', value: '2' }] });
});

t.test('threads auto becomes the CPUs of this process', async (t) => {
  const environment = { FAIRLEAD_CLUSTER_SEEDS: 'db', FAIRLEAD_CLUSTER_USER: 'r' };
  const loaded = await loadConfig({ file: null, environment, flags: {} });
  t.ok(loaded.ok && loaded.config.threads >= 1);
});
