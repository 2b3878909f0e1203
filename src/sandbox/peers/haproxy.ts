import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Part } from '../parts.ts';
import { reservePorts } from '../ports.ts';
import { createPeer, type Peer, type PeerContext } from './peer.ts';

export type HaproxyOptions = {
  /** "host:port" of the server that takes writes. */
  readonly primary: string;
  /** "host:port" of those that take reads, in turn. */
  readonly secondaries: readonly string[];
  /** More words on each `server` line, such as `send-proxy-v2 check`. Default none. */
  readonly serverWords?: string;
  /** Worker threads. Default 1. */
  readonly threads?: number;
};

export type Haproxy = Peer<'rw' | 'ro'>;

/** HAProxy in TCP mode with static servers: it passes bytes and knows nothing of MySQL. */
export async function startHaproxy(
  haproxy: Part,
  context: PeerContext,
  options: HaproxyOptions,
): Promise<Haproxy> {
  const [rw = 0, ro = 0] = await reservePorts(2, context.run.path);
  const configuration = join(context.directory, 'haproxy.cfg');
  await writeFile(configuration, renderConfiguration(options, rw, ro));
  return createPeer(context, {
    name: 'haproxy',
    command: haproxy.command('haproxy', ['-db', '-f', configuration]),
    ports: { rw, ro },
  });
}

function renderConfiguration(options: HaproxyOptions, rw: number, ro: number): string {
  const servers = (addresses: readonly string[]): string =>
    addresses
      .map((address, index) => `  server s${index} ${address} ${options.serverWords ?? ''}\n`)
      .join('');
  return `global
  nbthread ${options.threads ?? 1}
defaults
  mode tcp
  timeout connect 5s
  timeout client 8h
  timeout server 8h
listen rw
  bind 127.0.0.1:${rw}
${servers([options.primary])}listen ro
  bind 127.0.0.1:${ro}
  balance roundrobin
${servers(options.secondaries)}`;
}
