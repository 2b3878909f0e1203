/**
 * Ports of our own on loopback, for servers that must be told their ports beforehand and keep them over a restart.
 * A reservation is a file named after the port, containing the run directory it is for: it holds as long as that
 * directory exists, so it ends with the sandbox, and every checkout of the same user sees it. The ports lie below the
 * kernel's range for outgoing connections, so that none of those takes one while its server is down.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { underLock } from './cache.ts';
import { codeOf, SandboxError } from './outcome.ts';

/** Reserves `count` free ports for as long as `runDirectory` exists. */
export async function reservePorts(count: number, runDirectory: string): Promise<readonly number[]> {
  const registry = `/tmp/fairlead-ports-${userInfo().uid}`;
  await mkdir(registry, { recursive: true });
  return underLock(join(registry, 'lock'), async () => {
    const ports: number[] = [];
    const start = Math.floor(Math.random() * PORT_COUNT);
    for (let step = 0; step < PORT_COUNT && ports.length < count; step += 1) {
      const port = FIRST_PORT + ((start + step) % PORT_COUNT);
      const file = join(registry, String(port));
      if ((await isReserved(file)) || !(await canListen(port))) continue;
      await writeFile(file, runDirectory);
      ports.push(port);
    }
    if (ports.length < count) throw new SandboxError(`no ${count} free ports from ${FIRST_PORT} on`);
    return ports;
  });
}

async function isReserved(file: string): Promise<boolean> {
  try {
    return existsSync(await readFile(file, 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

const FIRST_PORT = 11_000;
const PORT_COUNT = 20_000;
