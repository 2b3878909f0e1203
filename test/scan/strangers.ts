/** Who connects to a port and is no client of it: scanners, health checkers, browsers, people with bad intentions. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Random } from '../fuzz/random.ts';
import { LOGIN, SSL_REQUEST } from '../support/raw-client.ts';

export type Stranger = {
  readonly name: string;
  /** Does what it came for; whoever called it closes the socket afterwards. */
  visit(socket: Socket, random: Random): Promise<void>;
};

export const STRANGERS: readonly Stranger[] = [
  { name: 'leaves at once', visit: async () => {} },
  { name: 'resets at once', visit: async (socket) => void socket.resetAndDestroy() },
  { name: 'listens and leaves', visit: (socket) => heard(socket) },
  {
    name: 'sends random bytes',
    visit: async (socket, random) => {
      socket.write(randomBytes(random, 1 + random.below(4096)));
      await heard(socket);
    },
  },
  {
    name: 'sends random bytes when greeted',
    visit: async (socket, random) => {
      await heard(socket);
      socket.write(randomBytes(random, 1 + random.below(4096)));
      await heard(socket);
    },
  },
  {
    name: 'speaks HTTP',
    visit: async (socket) => {
      socket.write('GET /admin HTTP/1.1\r\nHost: localhost\r\nUser-Agent: scanner\r\n\r\n');
      await heard(socket);
    },
  },
  {
    name: 'begins with TLS',
    visit: async (socket) => {
      const tls = connectTls({ socket, rejectUnauthorized: false });
      await Promise.race([once(tls, 'secureConnect').catch(() => undefined), closed(socket), pause()]);
      tls.destroy();
    },
  },
  {
    name: 'asks for TLS and sends something else',
    visit: async (socket, random) => {
      await heard(socket);
      socket.write(Buffer.concat([SSL_REQUEST, randomBytes(random, 100)]));
      await heard(socket);
    },
  },
  {
    name: 'asks for TLS and leaves inside it',
    visit: async (socket) => {
      await heard(socket);
      socket.write(SSL_REQUEST);
      const tls = connectTls({ socket, rejectUnauthorized: false });
      await Promise.race([once(tls, 'secureConnect').catch(() => undefined), closed(socket), pause()]);
      tls.destroy();
    },
  },
  {
    name: 'sends half a packet',
    visit: async (socket, random) => {
      await heard(socket);
      socket.write(LOGIN.subarray(0, random.below(LOGIN.length)));
      if (random.chance(0.3)) await pause();
    },
  },
  {
    name: 'announces the largest packet',
    visit: async (socket) => {
      await heard(socket);
      socket.write(Buffer.from([0xff, 0xff, 0xff, 0x01, 0x8d, 0xa6]));
      await heard(socket);
    },
  },
  {
    name: 'sends a changed login',
    visit: async (socket, random) => {
      await heard(socket);
      const login = Buffer.from(LOGIN);
      for (let count = 1 + random.below(8); count > 0; count -= 1)
        login[random.below(login.length)] = random.below(256);
      socket.write(login);
      await heard(socket);
    },
  },
  {
    name: 'tries a password',
    visit: async (socket) => {
      await heard(socket);
      socket.write(LOGIN);
      await heard(socket);
    },
  },
];

/** One byte of a login at a time, for as long as it is let. @returns when the other side has closed */
export async function crawl(port: number, everyMs: number): Promise<void> {
  const socket = open(port);
  let sent = 0;
  const timer = setInterval(() => {
    socket.write(LOGIN.subarray(sent, sent + 1));
    sent = Math.min(sent + 1, LOGIN.length - 2);
  }, everyMs);
  socket.resume();
  await closed(socket);
  clearInterval(timer);
  socket.destroy();
}

export async function visit(port: number, stranger: Stranger, random: Random): Promise<void> {
  const socket = open(port);
  try {
    await Promise.race([once(socket, 'connect'), closed(socket)]);
    if (!socket.destroyed) await stranger.visit(socket, random);
  } finally {
    if (random.chance(0.3)) socket.resetAndDestroy();
    else socket.destroy();
  }
}

function open(port: number): Socket {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  // A stranger is thrown out as often as not: that is no error of the scan.
  socket.on('error', () => undefined);
  return socket;
}

/** Something came, or the end, or neither for a moment. */
async function heard(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  await Promise.race([once(socket, 'data').catch(() => undefined), closed(socket), pause()]);
}

function closed(socket: Socket): Promise<void> {
  if (socket.closed) return Promise.resolve();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PATIENCE_MS));
}

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)));
}

const PATIENCE_MS = 250;
