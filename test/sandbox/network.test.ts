/** The test network itself: it is what later tests believe. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import {
  type CommandOutput,
  createSandbox,
  inOwnNetwork,
  type Network,
  type Pod,
  runCommand,
  waitFor,
} from '../../src/sandbox/index.ts';
import { codeOf } from '../../src/sandbox/outcome.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { testInOwnNetwork } from '../support/own-network.ts';

await testInOwnNetwork(t, import.meta.filename, 'a network of namespaces', async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const network = await sandbox.createNetwork();
  const [one, other] = await Promise.all([
    network.addPod({ name: 'one' }),
    network.addPod({ name: 'other' }),
  ]);

  await t.test('pods reach each other, and we them', async (t) => {
    t.equal(await answer(one, other), 'reached');
    t.equal(await answer(other, one), 'reached');
    t.equal(await answerTo(other.host), 'reached');
  });
  await t.test('packets are dropped one way', (t) => oneWay(t, network, one, other));
  await t.test('packets are dropped both ways between two sides', async (t) => {
    await network.partition([one.host, network.outside], [other.host]);
    t.equal(await answer(one, other), 'silence');
    t.equal(await answer(other, one), 'silence');
    t.equal(await answerTo(other.host), 'silence');
    t.equal(await answerTo(one.host), 'reached', 'and between no others');
    await network.heal();
    t.equal(await answer(one, other), 'reached');
  });
  await t.test('a cable is cut and plugged in again', async (t) => {
    await other.cutCable();
    t.equal(await answer(one, other), 'silence');
    await other.plugCable();
    t.equal(await answer(one, other), 'reached');
  });
  await t.test('a pod ends with its programs, and a new one takes its address', async (t) => {
    const sleeper = spawnIn(other, 'sleep', ['60']);
    await once(sleeper, 'spawn');
    await waitFor({ what: 'it to be in its pod', timeoutMs: 20_000 }, async () =>
      readlinkSync(`/proc/${sleeper.pid}/ns/net`) === readlinkSync('/proc/self/ns/net') ? undefined : true,
    );
    const ended = once(sleeper, 'exit');
    await other.delete('vanishes');
    t.same(await ended, [null, 'SIGKILL']);
    t.equal(await answer(one, other), 'silence');
    const heir = await network.addPod({ name: 'heir', address: other.host });
    t.equal(await answer(one, heir), 'reached');
    const held = await connectionTo(heir);
    const closed = once(held, 'close');
    await heir.delete('closes');
    await closed;
    t.pass('and one that is deleted without a cut closes its connections first');
  });
  await t.test('it goes with the process that made it, also by SIGKILL', (t) => killed(t));
});

async function oneWay(t: Test, network: Network, one: Pod, other: Pod): Promise<void> {
  const before = await received(other);
  await network.drop(other.host, one.host);
  t.equal(await answer(one, other), 'silence', 'no answer comes');
  t.ok((await received(other)) > before, 'but what was asked had arrived');
  await network.heal();
}

/** A program that made a network with a pod and is killed. */
async function killed(t: Test): Promise<void> {
  const command = inOwnNetwork(process.execPath, [
    join(import.meta.dirname, 'fixtures', 'hold-a-network.ts'),
  ]);
  const holder = spawn(command.file, command.args, {
    env: command.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface(holder.stdout);
  const [line] = await once(lines, 'line');
  const [directory = '', namespace = ''] = String(line).split(' ');
  t.ok(existsSync(directory));
  t.ok(isUsed(namespace));
  holder.kill('SIGKILL');
  await waitFor({ what: 'the namespace to be empty', timeoutMs: 20_000 }, async () =>
    isUsed(namespace) || existsSync(directory) ? undefined : true,
  );
}

function isUsed(namespace: string): boolean {
  return readdirSync('/proc').some((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      return readlinkSync(`/proc/${pid}/ns/net`) === namespace;
    } catch (error) {
      if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '')) return false;
      throw error;
    }
  });
}

/** To a program in the pod that accepts and says nothing. */
async function connectionTo(pod: Pod): Promise<Socket> {
  const program = `require('node:net').createServer(() => {}).listen(7, '${pod.host}')`;
  await once(spawnIn(pod, process.execPath, ['-e', program]), 'spawn');
  return waitFor({ what: 'the program to listen', timeoutMs: 10_000 }, async () => {
    const socket = createConnection({ host: pod.host, port: 7 });
    await once(socket, 'connect');
    socket.on('error', (error) => t.comment(error.message));
    return socket.resume();
  });
}

/** What a connect from one pod to another meets: nobody listens there, so being refused is being reached. */
function answer(from: Pod, to: Pod): Promise<string> {
  return outcome(runCommand(from.within(connect(to.host)), { timeoutMs: 20_000 }));
}

function answerTo(host: string): Promise<string> {
  return outcome(runCommand(connect(host), { timeoutMs: 20_000 }));
}

function connect(host: string): { file: string; args: string[]; env: Record<string, string> } {
  const program = `
    const socket = require('node:net').connect({ host: '${host}', port: 9, timeout: 700 });
    socket.on('timeout', () => { console.log('silence'); socket.destroy(); });
    socket.on('error', ({ code }) => console.log(code === 'ECONNREFUSED' ? 'reached' : 'silence'));`;
  return { file: process.execPath, args: ['-e', program], env: inheritedEnvironment({ NODE_OPTIONS: '' }) };
}

async function outcome(ran: Promise<CommandOutput>): Promise<string> {
  return (await ran).stdout.trim();
}

async function received(pod: Pod): Promise<number> {
  const { stdout } = await runCommand(
    pod.within({ file: 'cat', args: ['/proc/self/net/snmp'], env: inheritedEnvironment() }),
  );
  const rows = stdout.split('\n').filter((line) => line.startsWith('Tcp:'));
  const [names = '', values = ''] = rows;
  return Number(values.split(' ')[names.split(' ').indexOf('InSegs')]);
}

function spawnIn(pod: Pod, file: string, args: readonly string[]) {
  const command = pod.within({ file, args, env: inheritedEnvironment() });
  return spawn(command.file, command.args, { env: command.env, stdio: 'ignore' });
}
