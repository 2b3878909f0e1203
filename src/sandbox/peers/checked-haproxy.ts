import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS } from '../accounts.ts';
import type { Part } from '../parts.ts';
import { reservePorts } from '../ports.ts';
import type { ServerPlace } from '../server.ts';
import type { Haproxy } from './haproxy.ts';
import { createPeer, type PeerContext } from './peer.ts';

export type CheckedHaproxyOptions = {
  /** "host:port" of every member. */
  readonly members: readonly string[];
  /** Where it runs; default loopback. */
  readonly place?: ServerPlace;
};

/**
 * HAProxy before a group as it is customarily set up: a script asks each member by SQL every second whether it is an
 * ONLINE primary (or secondary) of a group with quorum and takes writes, a member is out after two failures and in after
 * one success, and its sessions are ended when it is marked down.
 */
export async function startCheckedHaproxy(
  haproxy: Part,
  mysql: Part,
  context: PeerContext,
  options: CheckedHaproxyOptions,
): Promise<Haproxy> {
  const [rw = 0, ro = 0] = await reservePorts(2, context.run.path);
  const primaryCheck = await writeCheck(mysql, context, 'PRIMARY');
  const secondaryCheck = await writeCheck(mysql, context, 'SECONDARY');
  const configuration = join(context.directory, 'haproxy.cfg');
  const host = context.place?.host ?? '127.0.0.1';
  const servers = options.members.map((address, index) => `  server m${index} ${address} check\n`).join('');
  await writeFile(
    configuration,
    `global
  nbthread 1
  external-check
  insecure-fork-wanted
defaults
  mode tcp
  timeout connect 5s
  timeout client 8h
  timeout server 8h
  timeout check 3s
  retries 3
  option redispatch
  option external-check
  external-check path "/usr/sbin:/usr/bin:/sbin:/bin"
  default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
listen rw
  bind ${host}:${rw}
  external-check command ${primaryCheck}
${servers}listen ro
  bind ${host}:${ro}
  balance roundrobin
  external-check command ${secondaryCheck}
${servers}`,
  );
  return createPeer(context, {
    name: 'haproxy',
    command: haproxy.command('haproxy', ['-db', '-f', configuration]),
    ports: { rw, ro },
  });
}

/** A script that HAProxy calls with its own address and port, then the server's. */
async function writeCheck(mysql: Part, context: PeerContext, role: 'PRIMARY' | 'SECONDARY'): Promise<string> {
  const { file, env } = mysql.command('mysql', []);
  const { LD_LIBRARY_PATH: libraries = '' } = env;
  const { user, password } = ACCOUNTS.router;
  const query = `SELECT SUM(member_id = @@server_uuid AND member_state = 'ONLINE' AND member_role = '${role}')
    AND SUM(member_state IN ('ONLINE', 'RECOVERING')) * 2 > COUNT(*)
    AND @@global.super_read_only = ${role === 'PRIMARY' ? 0 : 1}
    FROM performance_schema.replication_group_members`;
  const script = join(context.directory, `check-${role.toLowerCase()}.sh`);
  await writeFile(
    script,
    `#!/bin/sh
answer=$(LD_LIBRARY_PATH='${libraries}' '${file}' --no-defaults --connect-timeout=2 -h"$3" -P"$4" \\
  -u${user} -p'${password}' -NBe "${query}" 2>/dev/null)
[ "$answer" = 1 ]
`,
  );
  await chmod(script, 0o755);
  return script;
}
