/** The connection phase between a real mysqld and real clients, every byte fed by itself. */

import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createConnection } from 'mysql2/promise';
import t, { type Test } from 'tap';
import { decodeConnectionAttributes } from '../../protocol/connection-attributes.ts';
import { createErrPacket, encodeErr, encodeErrBeforeHandshake } from '../../protocol/err-packet.ts';
import { encodeHandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { encodeInitialHandshake } from '../../protocol/initial-handshake.ts';
import {
  createAccount,
  createSandbox,
  missingParts,
  runCommand,
  type Sandbox,
  SandboxError,
} from '../../src/sandbox/index.ts';
import { createWatchingRelay, portOf, type Watched } from './watching-relay.ts';

const GREETED = ['initial-handshake 0', 'handshake-response 1'];
const RSA_EXCHANGE = ['auth-more-data 2', 'auth-response 3', 'auth-more-data 4', 'auth-response 5'];
const PLAIN = '--ssl-mode=DISABLED';

interface Story {
  readonly name: string;
  readonly args: readonly string[];
  readonly events: readonly string[];
  readonly state: string;
  /** The client's words where it does not succeed. */
  readonly fails?: RegExp;
  readonly plugin?: string;
  readonly compression?: object;
}

/** In this order: what the server caches depends on it. */
const STORIES: readonly Story[] = [
  {
    name: 'a client over TLS',
    args: ['-ufresh', '-psecret', '--ssl-mode=REQUIRED', '--connect-timeout=5'],
    events: ['initial-handshake 0', 'ssl-request 1'],
    state: 'tls',
  },
  {
    name: 'a password the server does not have in its cache',
    args: ['-unew', '-psecret', PLAIN, '--get-server-public-key'],
    events: [...GREETED, ...RSA_EXCHANGE, 'ok 6'],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
  },
  {
    name: 'a password the server has in its cache',
    args: ['-unew', '-psecret', PLAIN],
    events: [...GREETED, 'fast-auth-ok 2', 'ok 3'],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
  },
  {
    name: 'a wrong password',
    args: ['-unew', '-pwrong', PLAIN, '--get-server-public-key'],
    events: [...GREETED, ...RSA_EXCHANGE, 'err 6'],
    state: 'refused',
    fails: /ERROR 1045 \(28000\): Access denied for user 'new'/,
  },
  {
    name: 'a client that begins with another plugin',
    args: ['-unew', '-psecret', PLAIN, '--default-auth=mysql_clear_password', '--enable-cleartext-plugin'],
    events: [...GREETED, 'auth-switch-request 2', 'auth-response 3', 'fast-auth-ok 4', 'ok 5'],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
  },
  {
    name: 'an account with another plugin',
    args: ['-uolder', '-psecret', PLAIN, '--get-server-public-key'],
    events: [
      ...GREETED,
      'auth-switch-request 2',
      'auth-response 3',
      'auth-more-data 4',
      'auth-response 5',
      'ok 6',
    ],
    state: 'command-phase',
    plugin: 'sha256_password',
  },
  {
    name: 'an account without a password',
    args: ['-uopen', PLAIN],
    events: [...GREETED, 'ok 2'],
    state: 'command-phase',
    plugin: 'caching_sha2_password',
  },
  {
    name: 'a database that does not exist',
    args: ['-uopen', PLAIN, '--database=nowhere'],
    events: [...GREETED, 'err 2'],
    state: 'refused',
    fails: /ERROR 1044 \(42000\)/,
  },
  {
    name: 'zlib',
    args: ['-uopen', PLAIN, '--compression-algorithms=zlib,zstd'],
    events: [...GREETED, 'ok 2'],
    state: 'command-phase',
    compression: { kind: 'zlib' },
  },
  {
    name: 'zstd',
    args: ['-uopen', PLAIN, '--compression-algorithms=zstd', '--zstd-compression-level=7'],
    events: [...GREETED, 'ok 2'],
    state: 'command-phase',
    compression: { kind: 'zstd', level: 7 },
  },
];

t.test('real clients and a real server', { skip: await missingParts('mysql') }, async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const server = await sandbox.startServer({ variables: { max_connections: 2 } });
  for (const user of ['fresh', 'new']) await createAccount(server, { user, password: 'secret' });
  await createAccount(server, { user: 'older', password: 'secret', plugin: 'sha256_password' });
  await createAccount(server, { user: 'open', password: '' });
  const relay = await createWatchingRelay(server.port);
  t.teardown(() => relay.close());

  for (const story of STORIES) {
    t.test(`${story.name}: the phase sees what was said, and the client notices nothing`, async (t) => {
      const said = await mysql(sandbox, relay.port, [...story.args, '--execute=SELECT CURRENT_USER()']);
      t.match(said, story.fails ?? /@%/);
      const watched = relay.sessions.at(-1);
      t.same(watched?.errors, []);
      t.same(
        watched?.events.map(({ kind, sequenceId }) => `${kind} ${sequenceId}`),
        story.events,
      );
      t.equal(watched?.phase.state, story.state);
      const last = watched?.events.at(-1);
      if (last?.kind !== 'ok') return;
      if (story.plugin !== undefined) t.equal(last.facts.authPluginName, story.plugin);
      t.same(last.facts.compression, story.compression ?? { kind: 'none' });
      const attributes = watched?.events.flatMap((event) =>
        event.kind === 'handshake-response' && event.handshakeResponse.attributes !== undefined
          ? decodeConnectionAttributes(event.handshakeResponse.attributes)
          : [],
      );
      t.match(attributes?.find(({ name }) => name === '_client_name')?.value, 'libmysql');
    });
  }

  t.test('what a real server and client sent is encoded again to the byte', async (t) => {
    await mysql(sandbox, relay.port, ['-uopen', PLAIN, '--execute=DO 1']);
    const connection = await createConnection({ host: '127.0.0.1', port: relay.port, user: 'open' });
    await connection.end();
    for (const watched of relay.sessions.slice(-2)) checkEncodedAgain(t, watched);
  });

  t.test('a server that is full says so before its handshake, without SQLSTATE', async (t) => {
    // One more than max_connections is greeted, for an administrator. Sessions of before may still be closing.
    for (let greeted = 0; greeted < 3; ) {
      const socket = connect(server.port, '127.0.0.1');
      t.teardown(() => socket.destroy());
      socket.on('error', () => socket.destroy());
      const [first]: Buffer[] = await once(socket, 'data');
      if (first?.[4] === 10) greeted++;
    }
    t.match(
      await mysql(sandbox, relay.port, ['-uopen', PLAIN]),
      /ERROR 1040 \(HY000\): Too many connections/,
    );
    const [event] = relay.sessions.at(-1)?.events ?? [];
    t.match(event, {
      kind: 'err',
      sequenceId: 0,
      isBeforeHandshake: true,
      err: { errorCode: 1040, sqlState: undefined, message: 'Too many connections' },
    });
  });

  t.test("the router's own refusal reads to a client as a server's", async (t) => {
    const err = createErrPacket('ER_CON_COUNT_ERROR');
    t.match(
      await refused(sandbox, encodeErrBeforeHandshake(err)),
      /ERROR 1040 \(HY000\): Too many connections/,
    );
    const withState = await refused(sandbox, encodeErr(err, 0));
    t.match(withState, /#08004Too many connections/, 'a state there would be taken for text');
  });
});

function checkEncodedAgain(t: Test, { events }: Watched): void {
  for (const event of events) {
    if (event.kind === 'initial-handshake')
      t.same(encodeInitialHandshake(event.initialHandshake), event.payload);
    if (event.kind === 'handshake-response')
      t.same(encodeHandshakeResponse41(event.handshakeResponse), event.payload);
  }
  t.ok(events.length > 2);
}

/** What the client wrote, whether it succeeded or not. */
async function mysql(sandbox: Sandbox, port: number, args: readonly string[]): Promise<string> {
  const part = await sandbox.part('mysql');
  try {
    const all = ['--no-defaults', '--host=127.0.0.1', `--port=${port}`, ...args];
    return (await runCommand(part.command('mysql', all))).stdout;
  } catch (error) {
    if (error instanceof SandboxError) return error.message;
    throw error;
  }
}

/** What the client writes when all it is sent is `packet`. */
async function refused(sandbox: Sandbox, packet: Buffer): Promise<string> {
  const listener = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(packet);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  try {
    return await mysql(sandbox, portOf(listener.address()), ['-uopen', PLAIN]);
  } finally {
    listener.close();
  }
}
