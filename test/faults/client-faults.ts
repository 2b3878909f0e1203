/** Clients that behave badly beside those that do not. */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createConnection } from 'mysql2';
import { countedByName } from '../../bench/failover/record.ts';
import { streamOf } from '../../src/control/server-connection.ts';
import { ACCOUNTS, waitFor } from '../../src/sandbox/index.ts';
import { codeOf } from '../../src/sandbox/outcome.ts';
import { connectTo } from '../support/clients.ts';
import type { NetworkGroup } from '../support/network-group.ts';
import type { Fault } from './stage.ts';

export const CLIENT_FAULTS: Readonly<Record<string, Fault>> = {
  'two-thousand-connects': async (stage, note) => {
    const { host, ports } = stage.router;
    const outcomes = await Promise.all(
      Array.from({ length: 2000 }, async (_, index) => {
        await pause(index / 2);
        return visit(host, index % 2 === 0 ? ports.rw : ports.ro);
      }),
    );
    note(countedByName(outcomes));
  },
  'two-thousand-silent': async (stage, note) => {
    const sockets = await Promise.all(Array.from({ length: 2000 }, () => open(stage)));
    await pause(3000);
    note(`a client beside them: ${await visit(stage.router.host, stage.router.ports.rw)}`);
    for (const socket of sockets) socket.destroy();
  },
  'reset-in-mid-write': async (stage) => {
    for (let round = 0; round < 40; round += 1) {
      const client = await connectTo(stage.router.ports.rw, { host: stage.router.host });
      client.on('error', () => undefined);
      const text = 'z'.repeat(3_000_000);
      client.query('SELECT LENGTH(?)', [text]).catch(() => undefined);
      await pause(2 + (round % 5));
      streamOf(client).resetAndDestroy();
    }
  },
  'half-close': async (stage, note) => {
    const outcomes = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = await open(stage);
        socket.end();
        return untilClosed(socket);
      }),
    );
    note(countedByName(outcomes));
  },
  'byte-by-byte': async (stage, note) => {
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const socket = await open(stage);
        const login = Buffer.concat([Buffer.from([0x54, 0, 0, 1]), randomBytes(84)]);
        for (const byte of login) {
          if (socket.destroyed || socket.readableEnded) break;
          socket.write(Buffer.from([byte]));
          await pause(1000);
        }
        return untilClosed(socket);
      }),
    );
    note(countedByName(outcomes));
  },
  'never-reads': async (stage, note) => {
    const clients = await Promise.all(
      Array.from({ length: 20 }, () => connectTo(stage.router.ports.ro, { host: stage.router.host })),
    );
    for (const client of clients) {
      client.on('error', () => undefined);
      const socket = streamOf(client);
      client.query("SELECT REPEAT('q', 30000000)").catch(() => undefined);
      socket.pause();
      socket.removeAllListeners('data');
    }
    await waitFor({ what: 'a pause of a server', timeoutMs: 30_000 }, async () =>
      (await stage.router.metric('fairlead_backpressure_pauses_total')) > 0 ? true : undefined,
    );
    const queue = await stage.router.metric('fairlead_write_queue_bytes');
    const pauses = await stage.router.metric('fairlead_backpressure_pauses_total');
    note(`queued ${queue} bytes, ${pauses} pauses`);
    for (const client of clients) streamOf(client).destroy();
  },
  garbage: async (stage, note) => {
    const blobs: readonly Buffer[] = [
      Buffer.from('GET / HTTP/1.1\r\nHost: db\r\n\r\n'),
      Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
      Buffer.alloc(0x1_0000),
      Buffer.alloc(300_000, 0xff),
      Buffer.from([0, 0, 0, 1]),
      Buffer.from([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]),
      Buffer.from([0xff, 0xff, 0xff, 1, 1, 2, 3]),
      Buffer.from([0x20, 0, 0, 7, ...randomBytes(32)]),
      // SSLRequest, and then no TLS.
      Buffer.concat([
        Buffer.from([0x20, 0, 0, 1, 0x05, 0xae, 0x03, 0x00, 0, 0, 0, 1, 0x21]),
        Buffer.alloc(23),
        randomBytes(500),
      ]),
    ];
    const outcomes = await Promise.all(
      Array.from({ length: 270 }, async (_, index) => {
        await pause(index * 5);
        const socket = await open(stage);
        const blob = blobs[index % blobs.length] ?? Buffer.alloc(1);
        if (index % 2 === 0) await pause(50);
        socket.write(blob);
        return `${index % blobs.length}: ${await untilClosed(socket)}`;
      }),
    );
    note(countedByName(outcomes));
    note(`a client afterwards: ${await visit(stage.router.host, stage.router.ports.rw)}`);
  },
  'wrong-sequence-in-commands': async (stage, note) => {
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const client = createConnection({
          host: stage.router.host,
          port: stage.router.ports.rw,
          ...ACCOUNTS.app,
        });
        const ended = new Promise<string>((resolve) => {
          client.on('error', (error) => resolve(`${error.message}`));
          setTimeout(() => resolve('HUNG'), 20_000).unref();
        });
        await new Promise((resolve) => client.once('connect', resolve));
        streamOf({ connection: client }).write(WRONG[index % WRONG.length] ?? Buffer.alloc(1));
        const outcome = await ended;
        client.destroy();
        return `${index % WRONG.length}: ${outcome}`;
      }),
    );
    note(countedByName(outcomes));
  },
};

const WRONG: readonly Buffer[] = [
  Buffer.from([1, 0, 0, 9, 0x0e]),
  Buffer.from([0, 0, 0, 0]),
  Buffer.from([1, 0, 0, 0, 0xee]),
  Buffer.from([5, 0, 0, 0, 0x17, 1, 0, 0, 0]),
];

async function open({ router }: NetworkGroup): Promise<Socket> {
  const socket = connect({ host: router.host, port: router.ports.rw });
  socket.on('error', () => undefined);
  await new Promise((resolve) => {
    socket.once('connect', resolve);
    socket.once('close', resolve);
  });
  return socket;
}

async function untilClosed(socket: Socket): Promise<string> {
  let received = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk]).subarray(-200);
  });
  const startedAtMs = performance.now();
  const closed = new Promise<string>((resolve) => {
    if (socket.destroyed) resolve('closed');
    socket.once('close', () => resolve('closed'));
    socket.once('end', () => resolve('closed'));
  });
  const end = await Promise.race([closed, pause(45_000, 'HUNG', { ref: false })]);
  const said = /[A-Za-z' ]{12,}$/.exec(received.toString('latin1'))?.[0] ?? '';
  socket.destroy();
  return `${end} in ${Math.round((performance.now() - startedAtMs) / 1000)} s ${said}`;
}

async function visit(host: string, port: number): Promise<string> {
  try {
    const client = await connectTo(port, { host });
    client.on('error', () => undefined);
    await client.query('SELECT 1');
    client.destroy();
    return 'served';
  } catch (error) {
    return codeOf(error) ?? String(error);
  }
}
