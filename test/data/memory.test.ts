/** What a client costs that asks for much and reads nothing: its server has to wait, and the router keeps one chunk. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { encodePacket } from '../../protocol/packet-header.ts';
import type { ProcessReport } from '../support/data-thread-process.ts';
import { LOGIN, loginPayload, RawClient } from '../support/raw-client.ts';
import { ScriptedServer, type ServerPeer } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

const CLIENTS = 12;
const STRANGERS = 200;

for (const mode of ['fast', 'portable'] as const) {
  t.test(`stalled clients of 1 GB results cost a bounded amount (${mode})`, async (t) => {
    const sent: number[] = [];
    const server = await ScriptedServer.start(async (peer) => {
      if (!(await peer.logIn())) return;
      await peer.readPacket();
      await sendResult(peer, (bytes) => {
        sent[peer.connectionId - 1] = bytes;
      });
    });
    t.teardown(() => server.close());
    const router = await startRouter(t, mode, server.port);
    // Whatever the first sessions need is not what is measured.
    await stall(router.port, 3);
    await until('the first to be stalled', async () => isAtRest(await router.memory(), 3));
    const before = await router.memory();

    const clients = await stall(router.port, CLIENTS);
    await until('all to be stalled', async () => isAtRest(await router.memory(), 3 + CLIENTS));
    await until('the servers to be stopped', () => hasStopped(sent), 10_000);
    const after = await router.memory();

    const perSession = (after.rssBytes - before.rssBytes) / CLIENTS;
    const queued = after.queuedBytes / (CLIENTS + 3);
    const sentInAll = sumOf(sent);
    const sentMiB = sentInAll / sent.length / 2 ** 20;
    const buffers = after.bufferBytes / (CLIENTS + 3);
    t.comment(
      `${mode}: for each stalled client ${(perSession / 1024).toFixed(0)} KiB more RSS; ${(queued / 1024).toFixed(0)} KiB ` +
        `are queued and ${(buffers / 1024).toFixed(0)} KiB allocated for buffers; its server has sent ` +
        `${sentMiB.toFixed(1)} MiB of 1024, which are in kernel buffers`,
    );
    t.ok(queued <= 128 * 1024, `${queued} bytes are queued for each`);
    t.ok(buffers <= 256 * 1024, `${buffers} bytes are allocated for each`);
    // The portable transport has the garbage of the chunks it has moved on top: the allocator keeps it for the next.
    if (mode === 'fast') t.ok(perSession < 256 * 1024, `${perSession} bytes of RSS for each`);
    t.ok(sentMiB < 64, 'the server has to wait');

    let read = 0;
    while (sumOf(sent) < sentInAll + 10 * 2 ** 20 && read < 300 * 2 ** 20)
      read += (await clients[0]?.readSome())?.length ?? 0;
    t.ok(sumOf(sent) > sentInAll, 'whoever reads on gets on');
    for (const client of clients) client.close();
  });
}

for (const { does, login, kibAllowed } of [
  { does: 'are greeted and say nothing', login: Buffer.alloc(0), kibAllowed: 64 },
  { does: 'send half a login', login: LOGIN.subarray(0, LOGIN.length - 10), kibAllowed: 64 },
  {
    does: 'send all but the end of the largest login',
    login: encodePacket(loginPayload('app', 200 * 1024), 1).subarray(0, -10),
    kibAllowed: 640,
  },
]) {
  t.test(`strangers that ${does} cost a constant amount each`, async (t) => {
    const server = await ScriptedServer.start(async (peer) => {
      await peer.logIn();
    });
    t.teardown(() => server.close());
    const router = await startRouter(t, 'fast', server.port);
    const knock = async (count: number): Promise<readonly RawClient[]> => {
      const clients: RawClient[] = [];
      for (let index = 0; index < count; index += 1) {
        const client = await RawClient.connect(router.port);
        await client.readPacket();
        client.write(login);
        clients.push(client);
      }
      return clients;
    };
    const first = await knock(STRANGERS / 2);
    const before = await router.memory();
    const then = await knock(STRANGERS);
    const after = await router.memory();
    const kibEach = (after.rssBytes - before.rssBytes) / STRANGERS / 1024;
    t.comment(`${kibEach.toFixed(1)} KiB for each of ${STRANGERS}`);
    t.ok(kibEach < kibAllowed, `${kibEach.toFixed(1)} KiB each`);
    for (const client of [...first, ...then]) client.close();
  });
}

/** Clients that have asked and do not read. */
async function stall(port: number, count: number): Promise<readonly RawClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => RawClient.logIn(port)));
  for (const client of clients) client.send(0, Buffer.of(COM_QUERY));
  return clients;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

type Memory = Extract<ProcessReport, { readonly kind: 'memory' }>;

function isAtRest({ stalls, queuedBytes }: Memory, sessions: number): boolean {
  return stalls >= sessions && queuedBytes > 0;
}

/** Nothing more goes out: asked twice, with time between for megabytes. */
async function hasStopped(sent: readonly number[]): Promise<boolean> {
  const before = [...sent];
  await new Promise((resolve) => setTimeout(resolve, 100));
  return before.length > CLIENTS && sent.every((bytes, index) => bytes === before[index]);
}

/** One packet after another up to 1 GB, as fast as they are taken. */
async function sendResult(peer: ServerPeer, onSent: (bytes: number) => void): Promise<void> {
  const chunk = Buffer.alloc(256 * 1024, 'row');
  for (let bytes = 0; bytes < 2 ** 30 && peer.end === null; bytes += chunk.length) {
    peer.write(chunk);
    await peer.drained();
    onSent(bytes);
  }
}

async function startRouter(t: Test, mode: string, serverPort: number) {
  const file = fileURLToPath(new URL('../support/data-thread-process.ts', import.meta.url));
  const child = fork(file, [mode, String(serverPort)], { execArgv: ['--expose-gc'] });
  t.teardown(() => child.kill());
  const died = once(child, 'exit').then(([code]) => {
    throw new Error(`the router ended with ${code}`);
  });
  // Heard by whoever waits for a report; nobody does at the end of the test.
  died.catch(() => undefined);
  // The child sends reports and nothing else.
  const next = async (): Promise<ProcessReport> =>
    (await Promise.race([once(child, 'message'), died]))[0] as ProcessReport;
  const listening = await next();
  if (listening.kind !== 'listening') throw new Error('the router tells its port first');
  const memory = async (): Promise<Memory> => {
    child.send('memory');
    const report = await next();
    if (report.kind !== 'memory') throw new Error('the router tells its memory');
    return report;
  };
  return { port: listening.port, memory };
}

const COM_QUERY = 3;
