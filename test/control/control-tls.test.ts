/** The monitoring account's connections: with which TLS they begin, and which members they believe. */
import { createSecureContext } from 'node:tls';
import t, { type Test } from 'tap';
import { CLIENT_SSL } from '../../protocol/capability-flags.ts';
import { ControlFailure } from '../../src/control/control-failure.ts';
import type { ControlTls } from '../../src/control/control-tls.ts';
import { openConnection } from '../../src/control/server-connection.ts';
import { createAuthority, writeFiles } from '../support/certificates.ts';
import { ScriptedServer, SERVER_CAPABILITIES, type ServerPeer } from '../support/scripted-server.ts';

const authority = createAuthority();
const { cert, key } = authority.issue('db', ['db.example']);
const context = createSecureContext({ cert, key });
const NONE: ControlTls = {
  mode: 'as-needed',
  verify: 'disabled',
  caFile: null,
  certFile: null,
  keyFile: null,
};

t.test('TLS begins as cluster.sslMode says', async (t) => {
  const secure = await serve(t, greetWithTls);
  const plain = await serve(t, greetWithoutTls);
  t.equal(await visit(plain, { ...NONE, mode: 'disabled' }), 'in');
  t.equal(await visit(plain, { ...NONE, mode: 'preferred' }), 'in');
  t.equal(await visit(plain, { ...NONE, mode: 'required' }), 'tls-failed');
  t.equal(await visit(secure, { ...NONE, mode: 'preferred' }), 'in');
  t.equal(await visit(secure, { ...NONE, mode: 'required' }), 'in');
});

t.test('a member is believed whose certificate will do', async (t) => {
  const folder = await writeFiles(t, {
    'ca.pem': authority.cert,
    'other.pem': createAuthority('Other').cert,
  });
  const server = await serve(t, greetWithTls);
  const required: ControlTls = { ...NONE, mode: 'required', caFile: `${folder}/ca.pem` };
  for (const [verify, host, expected] of [
    ['verify-ca', 'elsewhere', 'in'],
    ['verify-identity', 'db.example', 'in'],
    ['verify-identity', 'elsewhere', 'tls-failed'],
    ['verify-identity', '127.0.0.1', 'tls-failed'],
  ] as const) {
    t.equal(await visit(server, { ...required, verify }, host), expected, `${verify}, ${host}`);
  }
  const other: ControlTls = { ...required, verify: 'verify-ca', caFile: `${folder}/other.pem` };
  t.equal(await visit(server, other), 'tls-failed', 'another CA');
  t.equal(await visit(server, { ...other, caFile: `${folder}/none.pem` }), 'tls-failed', 'no file');
});

async function serve(t: Test, script: (peer: ServerPeer) => Promise<void>): Promise<ScriptedServer> {
  const server = await ScriptedServer.start(script);
  t.teardown(() => server.close());
  return server;
}

/** Lets nobody in without TLS. */
async function greetWithTls(peer: ServerPeer): Promise<void> {
  const secured = await peer.secure(context);
  if (secured !== null && (await secured.logInSecurely()) !== null)
    await secured.answerCommands(() => secured.ok(1));
}

/** Lets nobody in with TLS, which it does not offer. */
async function greetWithoutTls(peer: ServerPeer): Promise<void> {
  if ((await peer.readLogin((SERVER_CAPABILITIES & ~CLIENT_SSL) >>> 0)) === null) return;
  peer.ok(2);
  await peer.answerCommands(() => peer.ok(1));
}

/** How it went in, or the kind of failure. */
async function visit({ host, port }: ScriptedServer, tls: ControlTls, memberHost = 'db'): Promise<string> {
  const account = { user: 'router', password: 'secret', tls };
  const { signal } = new AbortController();
  try {
    const target = { dial: { host, port }, memberHost, account, connectTimeoutMs: 5000, signal };
    const { connection } = await openConnection(target);
    await connection.query('DO 1');
    await connection.end();
    return 'in';
  } catch (error) {
    return error instanceof ControlFailure ? error.kind : String(error);
  }
}
