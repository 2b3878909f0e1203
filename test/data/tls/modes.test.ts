/** Every TLS mode of clients with every TLS mode of members, on a real server, with a cold and a warm password cache. */
import type { RowDataPacket } from 'mysql2/promise';
import t, { type Test } from 'tap';
import { createSandbox, missingParts, type Server } from '../../../src/sandbox/index.ts';
import { memberNamed } from '../../routing/members.ts';
import { connectTo, errorName, mysqlClient } from '../../support/clients.ts';
import { DataLab } from '../../support/data-lab.ts';

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
  for (const mode of ['fast', 'portable'] as const) {
    const lab = await DataLab.start(t, { mode, routes: PAIRS.map(routeLine).join('\n') });
    lab.publish(memberOf(server));
    for (const pair of PAIRS) {
      for (const isSecure of [true, false]) await tryPair(t, lab, server, pair, isSecure);
    }
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

const ATTRIBUTES = `
  SELECT GROUP_CONCAT(attr_name ORDER BY attr_name SEPARATOR ' ') facts
  FROM performance_schema.session_account_connect_attrs
  WHERE processlist_id = CONNECTION_ID() AND attr_name IN
    ('_client_ip', '_client_port', '_client_ssl_cipher', '_client_ssl_version')`;
