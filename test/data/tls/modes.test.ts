/** Every TLS mode of clients with every TLS mode of members, on a real server, with a cold and a warm password cache. */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2/promise';
import t, { type Test } from 'tap';
import { ERRORS } from '../../../protocol/error-codes.ts';
import { OK_HEADER } from '../../../protocol/ok-packet.ts';
import { encodePacket } from '../../../protocol/packet-header.ts';
import { ControlFailure } from '../../../src/control/control-failure.ts';
import type { ControlTls } from '../../../src/control/control-tls.ts';
import { openConnection } from '../../../src/control/server-connection.ts';
import {
  ACCOUNTS,
  createAccount,
  createSandbox,
  missingParts,
  type Sandbox,
  type Server,
} from '../../../src/sandbox/index.ts';
import { memberNamed } from '../../routing/members.ts';
import { ask, connectTo, errorName, loginFlags, mysqlClient } from '../../support/clients.ts';
import { DataLab } from '../../support/data-lab.ts';
import { loginPayload, RawClient } from '../../support/raw-client.ts';

const noMysql = await missingParts('mysql');

const CLIENT_MODES = ['disabled', 'preferred', 'required'] as const;
const SERVER_MODES = ['disabled', 'preferred', 'required', 'as-client'] as const;
const PAIRS = [
  ...CLIENT_MODES.flatMap((client) => SERVER_MODES.map((server) => ({ client, server }))),
  { client: 'passthrough', server: 'as-client' },
] as const;
type Pair = (typeof PAIRS)[number];

t.test('TLS modes on a real server', { skip: noMysql }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const server = await sandbox.startServer();
  await tryControlSessions(t, server);
  const certificates = server.dataDirectory;
  const strict = `  - { name: strict, listen: "127.0.0.1:0", role: primary, clientSslMode: preferred, serverSslMode: required, serverSslVerify: verify-ca, serverSslCa: ${certificates}/ca.pem, serverSslCert: ${certificates}/client-cert.pem, serverSslKey: ${certificates}/client-key.pem }`;
  for (const mode of ['fast', 'portable'] as const) {
    const lab = await DataLab.start(t, { mode, routes: [...PAIRS.map(routeLine), strict].join('\n') });
    lab.publish(memberOf(server));
    for (const pair of PAIRS) {
      for (const isSecure of [true, false]) await tryPair(t, lab, server, pair, isSecure);
    }
    for (const { name, isSecure } of MIXED) await tryChangesOfUser(t, lab, server, name, isSecure);
    await tryCommandsThatCome(t, lab, server);
    await trySha256(t, lab, server);
    await tryCertificates(t, lab, server);
    await tryCompression(t, sandbox, lab);
    await tryCompressedChanges(t, lab);
    await tryClaims(t, lab);
    t.match(
      await mysqlClient(sandbox, lab.port('preferred-required'), "SHOW STATUS LIKE 'Ssl_version'"),
      [/TLSv1/],
      'the mysql client, which takes TLS where it is offered',
    );
    await lab.settled();
  }
});

async function tryPair(t: Test, lab: DataLab, server: Server, pair: Pair, isSecure: boolean): Promise<void> {
  const name = `${pair.client}-${pair.server}`;
  const expected = expectedOf(pair, isSecure);
  for (const cache of ['cold', 'warm']) {
    if (cache === 'cold') await server.query('FLUSH PRIVILEGES');
    const seen = await visit(lab.port(name), isSecure);
    t.equal(seen, expected, `${name}, client ${isSecure ? 'with' : 'without'} TLS, ${cache}`);
  }
}

/** From one account to another and back, cold and warm, refused, and commands in between. */
async function tryChangesOfUser(t: Test, lab: DataLab, server: Server, name: string, isSecure: boolean) {
  const label = `${name}, client ${isSecure ? 'with' : 'without'} TLS`;
  const { root, app } = ACCOUNTS;
  const connection = await connectTo(lab.port(name), isSecure ? { ssl: { rejectUnauthorized: false } } : {});
  for (const account of [root, app, root]) {
    await server.query('FLUSH PRIVILEGES');
    for (const cache of ['cold', 'warm']) {
      await connection.changeUser(account);
      const [rows] = await connection.query({ sql: 'SELECT CURRENT_USER()', rowsAsArray: true });
      t.strictSame(rows, [[`${account.user}@%`]], `${label}: change to ${account.user}, ${cache}`);
    }
  }
  await server.query('FLUSH PRIVILEGES');
  await t.rejects(
    connection.changeUser({ ...app, password: 'wrong' }),
    { code: 'ER_ACCESS_DENIED_ERROR' },
    `${label}: refused`,
  );
  connection.destroy();
}

/** Where commands are looked at before they are sent on: one of no byte at all, one that is too long, two in one segment. */
async function tryCommandsThatCome(t: Test, lab: DataLab, server: Server): Promise<void> {
  await createAccount(server, { user: 'open', password: '' });
  const port = lab.port('preferred-required');
  const client = await logInOpen(port);
  client.write(encodePacket(Buffer.alloc(0), 0));
  const unknown = await client.readErr();
  t.equal(unknown.errorCode, ERRORS.ER_UNKNOWN_COM_ERROR.number, 'a packet without a command is answered');
  client.close();

  await server.query('SET GLOBAL max_allowed_packet = 1048576');
  const verbose = await logInOpen(port);
  // The server says what is wrong and closes, while this is still on its way.
  verbose.write(encodePacket(Buffer.alloc(8_000_000, 'SELECT 1 '), 0));
  t.equal((await verbose.readErr()).errorCode, ER_NET_PACKET_TOO_LARGE, 'a packet that is too long');
  verbose.close();
  await server.query('SET GLOBAL max_allowed_packet = DEFAULT');

  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const connection = await connectTo(port, { stream: socket });
  const statement = await connection.prepare('SELECT 1');
  await server.query('FLUSH PRIVILEGES');
  socket.cork();
  // Nobody answers this one, so the next is in the same segment; its password is not cached by the server.
  statement.close();
  const changed = connection.changeUser(ACCOUNTS.root);
  await setImmediate();
  socket.uncork();
  await changed;
  const [rows] = await connection.query({ sql: 'SELECT CURRENT_USER()', rowsAsArray: true });
  t.strictSame(rows, [[`${ACCOUNTS.root.user}@%`]], 'COM_CHANGE_USER right behind COM_STMT_CLOSE');
  connection.destroy();
}

/** As the account that has no password. */
async function logInOpen(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  await client.readPacket();
  client.write(encodePacket(loginPayload('open'), 1));
  for (;;) {
    const answer = await client.readPacket();
    if (answer === null) throw new Error('not let in');
    if (answer.payload[0] === OK_HEADER) return client;
  }
}

/** Compressed packets inside TLS that ends here, on either side or both. */
async function tryCompression(t: Test, sandbox: Sandbox, lab: DataLab): Promise<void> {
  const sql =
    "SELECT variable_value FROM performance_schema.session_status WHERE variable_name = 'Compression_algorithm'";
  const long = "REPEAT('long ', 1000000)";
  for (const name of ['required-required', 'required-disabled', 'passthrough-as-client']) {
    for (const algorithm of ['zlib', 'zstd']) {
      const { stdout } = await sandbox.run('mysql', 'mysql', [
        ...loginFlags(lab.port(name)),
        '--ssl-mode=REQUIRED',
        `--compression-algorithms=${algorithm}`,
        '-NBe',
        `${sql}; SELECT SHA2(${long}, 256); SELECT ${long}`,
      ]);
      const [seen, digest, value = ''] = stdout.split('\n');
      const hash = createHash('sha256').update(value).digest('hex');
      t.same([seen, digest, value.length], [algorithm, hash, 5_000_000], `${algorithm} through ${name}`);
    }
  }
}

/** What is inside compressed packets is not translated: where that would matter, it does not leave the router. */
async function tryCompressedChanges(t: Test, lab: DataLab): Promise<void> {
  for (const { name, isSecure, isTranslated } of [
    { name: 'required-required', isSecure: true, isTranslated: false },
    ...MIXED.map((mixed) => ({ ...mixed, isTranslated: true })),
  ]) {
    const ssl = isSecure ? { ssl: { rejectUnauthorized: false } } : {};
    const connection = await connectTo(lab.port(name), { ...ssl, compress: true });
    await connection.query('SELECT 1');
    const outcome = await connection.changeUser(ACCOUNTS.app).then(() => 'changed', errorName);
    t.equal(outcome, isTranslated ? '2026' : 'changed', `a compressed change of user through ${name}`);
    connection.destroy();
  }
}

/** Whatever a client says of itself, at its login or later. */
async function tryClaims(t: Test, lab: DataLab): Promise<void> {
  const claim = { connectAttributes: { _client_ip: '6.6.6.6', _client_ssl_version: 'none' } };
  for (const [name, ssl] of [
    ['disabled-disabled', {}],
    ['passthrough-as-client', {}],
    ['required-required', { ssl: { rejectUnauthorized: false } }],
    ['required-disabled', { ssl: { rejectUnauthorized: false } }],
  ] as const) {
    const connection = await connectTo(lab.port(name), { ...ssl, ...claim });
    for (const when of ['login', 'change of user']) {
      if (when !== 'login') await connection.changeUser(ACCOUNTS.app);
      const [rows] = await connection.query<RowDataPacket[]>(VALUES);
      const values = Object.fromEntries(rows.map(({ attr_name, attr_value }) => [attr_name, attr_value]));
      t.equal(values['_client_ip'], '127.0.0.1', `${name}: the address at the ${when} is the router’s word`);
      t.match(values['_client_ssl_version'] ?? 'plain', 'ssl' in ssl ? /^TLSv1/ : 'plain');
    }
    await connection.end();
  }
}

/** An account that needs a certificate gets the router's. */
async function tryCertificates(t: Test, lab: DataLab, server: Server): Promise<void> {
  const account = { user: 'certified', password: 'certified-secret' };
  await createAccount(server, account);
  await server.query('ALTER USER ?@? REQUIRE X509', [account.user, '%']);
  for (const ssl of [{}, { ssl: { rejectUnauthorized: false } }]) {
    const rows = await ask(lab.port('strict'), 'SELECT CURRENT_USER()', { ...account, ...ssl }).catch(
      errorName,
    );
    t.strictSame(rows, [[`${account.user}@%`]], 'an account with REQUIRE X509');
  }
  const refused = await ask(lab.port('preferred-required'), 'SELECT 1', account).catch(errorName);
  t.equal(refused, '1045', 'which the server refuses where the router has no certificate');
}

/** The monitoring account's own connections. */
async function tryControlSessions(t: Test, server: Server): Promise<void> {
  const none = {
    mode: 'as-needed',
    verify: 'disabled',
    caFile: null,
    certFile: null,
    keyFile: null,
  } as const;
  const required = { ...none, mode: 'required', caFile: `${server.dataDirectory}/ca.pem` } as const;
  const visit = async (tls: ControlTls, memberHost = server.host): Promise<string> => {
    const { host, port } = server;
    const account = { ...ACCOUNTS.router, tls };
    const { signal } = new AbortController();
    try {
      const target = { dial: { host, port }, memberHost, account, connectTimeoutMs: 5000, signal };
      const { connection } = await openConnection(target);
      const [rows] = await connection.query({ sql: "SHOW STATUS LIKE 'Ssl_version'", rowsAsArray: true });
      await connection.end();
      return JSON.stringify(rows).includes('TLSv1') ? 'TLS' : 'plain';
    } catch (error) {
      return error instanceof ControlFailure ? error.kind : errorName(error);
    }
  };
  t.equal(await visit(none), 'plain');
  t.equal(await visit({ ...none, mode: 'preferred' }), 'TLS');
  t.equal(await visit({ ...none, mode: 'required' }), 'TLS');
  t.equal(await visit({ ...none, mode: 'disabled' }), 'plain');
  t.equal(await visit({ ...required, verify: 'verify-ca' }), 'TLS');
  t.equal(
    await visit({ ...required, verify: 'verify-identity' }, 'db.example'),
    'tls-failed',
    'another name',
  );
  t.equal(await visit({ ...required, verify: 'verify-identity' }), 'tls-failed', 'no name at all');
  const other = `${server.dataDirectory}/public_key.pem`;
  t.equal(await visit({ ...required, verify: 'verify-ca', caFile: other }), 'tls-failed', 'another CA');
  t.equal(await visit({ ...required, verify: 'verify-ca', caFile: '/nowhere' }), 'tls-failed', 'no file');
}

/** The plugin whose first answer is the password, or a request for a key. */
async function trySha256(t: Test, lab: DataLab, server: Server): Promise<void> {
  const plugin = 'sha256_password';
  const found = await server.query('SELECT 1 FROM information_schema.plugins WHERE plugin_name = ?', [
    plugin,
  ]);
  if (found.length === 0) return void t.comment(`this server has no ${plugin}`);
  const account = { user: 'old', password: 'old-secret' };
  await createAccount(server, { ...account, plugin });
  for (const { name, isSecure } of MIXED) {
    const ssl = isSecure ? { ssl: { rejectUnauthorized: false } } : {};
    const rows = await ask(lab.port(name), 'SELECT CURRENT_USER()', { ...account, ...ssl }).catch(errorName);
    t.strictSame(rows, [[`${account.user}@%`]], `${plugin} through ${name}`);
  }
}

/** What a session sees of the server's TLS, or the error it is refused with. */
async function visit(port: number, isSecure: boolean): Promise<string> {
  try {
    const ssl = isSecure ? { ssl: { rejectUnauthorized: false } } : {};
    const connection = await connectTo(port, ssl);
    const [rows] = await connection.query({ sql: "SHOW STATUS LIKE 'Ssl_version'", rowsAsArray: true });
    const [[attributes]] = await connection.query<RowDataPacket[][]>({ sql: ATTRIBUTES, rowsAsArray: true });
    await connection.end();
    const version = JSON.stringify(rows).includes('TLSv1') ? 'TLS' : 'plain';
    return `${version} ${attributes?.[0] ?? ''}`.trim();
  } catch (error) {
    return errorName(error);
  }
}

function expectedOf({ client, server }: Pair, isSecure: boolean): string {
  if (client === 'passthrough') return isSecure ? 'TLS' : 'plain _client_ip _client_port';
  if (client === 'disabled' && isSecure) return 'HANDSHAKE_NO_SSL_SUPPORT';
  if (client === 'required' && !isSecure) return '2026';
  const hasServerTls =
    server === 'preferred' || server === 'required' || (server === 'as-client' && isSecure);
  const facts = isSecure
    ? '_client_ip _client_port _client_ssl_cipher _client_ssl_version'
    : '_client_ip _client_port';
  return `${hasServerTls ? 'TLS' : 'plain'} ${facts}`;
}

function routeLine({ client, server }: Pair): string {
  return `  - { name: ${client}-${server}, listen: "127.0.0.1:0", role: primary, clientSslMode: ${client}, serverSslMode: ${server} }`;
}

function memberOf({ host, port }: Server) {
  return memberNamed('real', {
    address: `${host}:${port}`,
    dial: { host, port },
    role: 'PRIMARY',
    acceptsWrites: true,
    slot: 0,
  });
}

const ER_NET_PACKET_TOO_LARGE = 1153;

/** Routes and clients of which only one side has TLS. */
const MIXED = [
  { name: 'required-disabled', isSecure: true },
  { name: 'preferred-required', isSecure: false },
] as const;

const ATTRIBUTES = `
  SELECT GROUP_CONCAT(attr_name ORDER BY attr_name SEPARATOR ' ') facts
  FROM performance_schema.session_account_connect_attrs
  WHERE processlist_id = CONNECTION_ID() AND attr_name IN
    ('_client_ip', '_client_port', '_client_ssl_cipher', '_client_ssl_version')`;
const VALUES = `
  SELECT attr_name, attr_value FROM performance_schema.session_account_connect_attrs
  WHERE processlist_id = CONNECTION_ID()`;
