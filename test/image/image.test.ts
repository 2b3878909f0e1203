/** The image without an engine: its Dockerfile judged, its steps carried out, its entry point run as a container would. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createSandbox, missingParts, runCommand, SandboxError, waitFor } from '../../src/sandbox/index.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { messageOf } from '../../src/shared/message-of.ts';
import { configOf } from '../config/sources.ts';
import { RawClient } from '../support/raw-client.ts';
import { ScriptedServer, serveOk } from '../support/scripted-server.ts';
import { build, CERTIFICATES } from './builder.ts';
import { Container } from './container.ts';
import { type Dockerfile, parseDockerfile } from './dockerfile.ts';
import { evaluateInThread } from './inspector.ts';
import { lint } from './lint.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const TEXT = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
const IGNORED = readFileSync(join(ROOT, '.dockerignore'), 'utf8');
const DOCKERFILE = parseDockerfile(TEXT);

t.test('the Dockerfile keeps to the rules, and the rules find what breaks them', async (t) => {
  t.same(lint(DOCKERFILE, IGNORED), []);
  const broken: readonly (readonly [was: string, is: string, problem: RegExp])[] = [
    ['node:24-slim', 'node', /no tag/],
    ['npm ci --ignore-scripts', 'npm install', /lock file/],
    ['USER 999:999', 'USER root', /not root/],
    ['COPY routing routing', 'COPY test test', /dockerignore leaves out test/],
    ['--from=libraries', '--from=librarys', /no stage librarys/],
    ['ENTRYPOINT ["node", "dist/src/main.js"]', 'ENTRYPOINT node dist/src/main.js', /shell/],
    ['ENV NODE_ENV=production', 'ENV DB_PASSWORD=x', /every copy/],
    ['WORKDIR /opt/fairlead', 'WORKDIR opt', /not absolute/],
  ];
  for (const [was, is, problem] of broken) {
    t.ok(TEXT.includes(was), was);
    t.match(lint(parseDockerfile(TEXT.replace(was, is)), IGNORED).join('\n'), problem);
  }
});

t.test('it exposes what the program listens on by default', async (t) => {
  const config = configOf({ file: 'cluster: { seeds: [db], user: router }' });
  const ports = [...config.routes.map(({ listen }) => listen.port), config.admin.listen.port];
  t.same(stepOf(DOCKERFILE, 'EXPOSE').words.map(Number), ports);
});

t.test('the image is built and runs within its limits', { skip: await whyNot() }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const image = await build({
    dockerfile: DOCKERFILE,
    context: ROOT,
    base: await sandbox.part('image-base'),
    directory: sandbox.directory,
    log: (line) => t.comment(line),
  });
  t.notOk(
    existsSync(join(image.root, 'opt/fairlead/node_modules/typescript')),
    'without what only builds it',
  );
  const server = await ScriptedServer.start(serveOk);
  t.teardown(() => server.close());
  const [rw = 0, admin = 0, inspector = 0] = await sandbox.reservePorts(3);
  const container = await Container.start({
    image,
    memoryBytes: MEMORY_BYTES,
    mark: sandbox.directory,
    environment: {
      FAIRLEAD_CLUSTER_TOPOLOGY: 'static',
      FAIRLEAD_CLUSTER_SEEDS: `127.0.0.1:${server.port}`,
      FAIRLEAD_ROUTES: `name=rw,listen=127.0.0.1:${rw},role=primary`,
      FAIRLEAD_ADMIN_LISTEN: `127.0.0.1:${admin}`,
      FAIRLEAD_DRAIN_DELAY: '0',
      FAIRLEAD_DRAIN_TIMEOUT: '5s',
      // More threads than there are CPUs: the worst case for memory.
      FAIRLEAD_THREADS: '2',
      NODE_OPTIONS: `--inspect-port=127.0.0.1:${inspector}`,
    },
  });
  t.teardown(() => container.remove());
  await untilReady(container, admin);
  t.comment(`its memory is bounded by ${container.memoryLimiter}`);

  await t.test('as somebody who may do nothing', async (t) => {
    t.equal(container.status('NSpid').split(/\s+/).at(-1), '1', 'process 1');
    t.equal(container.status('Uid').split(/\s+/)[0], '999');
    t.match(container.status('Groups'), /^(999)?$/);
    for (const set of ['CapEff', 'CapPrm', 'CapBnd']) t.match(container.status(set), /^0+$/, set);
    t.equal(container.status('NoNewPrivs'), '1');
    t.equal(container.status('Cpus_allowed_list'), '0');
    await t.rejects(container.exec(['node', '-e', "fs.writeFileSync('x', '')"]), /EROFS|EACCES/);
    await container.exec(['node', '-e', "fs.rmSync('/tmp/x', { force: true })"]);
  });
  await t.test('its health check says yes', async (t) => {
    await container.exec(image.healthCheck);
    t.pass('exit code 0');
  });
  await t.test('it serves, also after a thread has eaten up its memory', async (t) => {
    const held = await Promise.all(Array.from({ length: 200 }, () => RawClient.logIn(rw)));
    container.signal('SIGUSR1');
    await evaluateInThread(
      inspector,
      1,
      'const eaten = []; for (;;) eaten.push(new Array(1e5).fill(eaten.length))',
    );
    await until(t, 'the thread to be started again', () => {
      if (!container.isRunning)
        throw new SandboxError(`the container has ended:\n${container.lines.join('\n')}`);
      return container.lines.some((line) => line.includes('"event":"data_thread_restarted"'));
    });
    t.ok(
      container.lines.some((line) => /heap|memory/i.test(line)),
      'its log says of what the thread died',
    );
    const left = await Promise.all(held.map((client) => client.command(COM_PING)));
    t.ok(
      left.some((answer) => answer !== null),
      'sessions of the other thread go on',
    );
    for (const client of held) client.close();
    await until(t, 'both threads to serve', async () =>
      /fairlead_data_threads_alive 2/.test(await metrics(admin)),
    );
    const client = await RawClient.logIn(rw);
    t.ok(await client.command(COM_PING));
    client.close();
    const { peakBytes } = container;
    if (peakBytes !== null) {
      t.comment(`at most ${(peakBytes / MIB).toFixed(0)} MiB of ${MEMORY_BYTES / MIB}`);
      t.ok(peakBytes < MEMORY_BYTES, 'the limit was not reached');
    }
  });
  await t.test('SIGTERM ends it in order, and it leaves nothing', async (t) => {
    t.same(container.otherProcesses, [], 'no process beside it, no zombie');
    t.same(container.temporaryFiles, [], 'nothing written, no core');
    const client = await RawClient.logIn(rw);
    const startedAtMs = performance.now();
    container.signal('SIGTERM');
    t.equal(await client.readBytes(1), null, 'the session ends');
    t.equal(client.end, 'fin');
    t.equal(await container.exitCode(), 0);
    t.ok(performance.now() - startedAtMs < GRACE_MS, 'within the grace');
    t.match(container.lines.at(-1), /"event":"stopped"/);
  });
});

/** Why it cannot be built and run here, for tap's `skip`. */
async function whyNot(): Promise<string | false> {
  if (process.getuid?.() !== 0) return 'a chroot and namespaces need root';
  if (!existsSync(CERTIFICATES)) return `no ${CERTIFICATES} to check the registry's certificate with`;
  const trial = {
    file: 'unshare',
    args: ['--mount', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'trial', '/mnt'],
  };
  try {
    await runCommand({ ...trial, env: inheritedEnvironment() });
  } catch (error) {
    return `no namespaces can be made here: ${messageOf(error)}`;
  }
  return missingParts('image-base');
}

async function untilReady(container: Container, admin: number): Promise<void> {
  await waitFor({ what: 'the container to be ready', timeoutMs: 60_000 }, async () => {
    if (!container.isRunning) throw new SandboxError('it has ended');
    const { status } = await fetch(`http://127.0.0.1:${admin}/readyz`);
    return status === 200 ? true : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; it said\n${container.lines.join('\n')}`);
  });
}

async function metrics(admin: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
}

async function until(t: Test, what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  await waitFor({ what, timeoutMs: 60_000 }, async () => ((await holds()) ? true : undefined));
  t.pass(what);
}

function stepOf({ stages }: Dockerfile, instruction: string) {
  const step = stages.at(-1)?.steps.findLast((candidate) => candidate.instruction === instruction);
  if (step === undefined) throw new Error(`the last stage has no ${instruction}`);
  return step;
}

const MIB = 1024 * 1024;
const MEMORY_BYTES = 256 * MIB;
/** What Kubernetes allows. */
const GRACE_MS = 30_000;
const COM_PING = 0x0e;
