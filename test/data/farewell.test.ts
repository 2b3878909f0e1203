/**
 * Against a real server: clients that give up, at any moment, do not add to what max_connect_errors counts, so they cannot
 * shut out the router's address. The server's host cache ignores 127.0.0.1, so the router reaches it from another.
 */
import t from 'tap';
import { createSandbox, type Server } from '../../src/sandbox/index.ts';
import { memberNamed } from '../routing/members.ts';
import { DataLab } from '../support/data-lab.ts';
import { startHop } from '../support/hop.ts';
import { LOGIN, loginPayload, RawClient, SSL_REQUEST } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const ROUTER_ADDRESS = '127.0.0.3';
const CLIENTS = 20;

t.test('clients that give up are no connect errors of the router’s address', async (t) => {
  const sandbox = await createSandbox();
  t.teardown(() => sandbox.close());
  const server = await sandbox.startServer({
    variables: { skip_name_resolve: 'OFF', max_connect_errors: 1 },
  });

  await t.test('the server does count: a broken handshake blocks an address', async (t) => {
    const address = '127.0.0.9';
    const client = await RawClient.connect(server.port, address);
    await client.readPacket();
    client.close();
    await until('the server to notice', async () => (await errorsOf(server, address)) === 1);
    const blocked = await RawClient.connect(server.port, address);
    t.equal((await blocked.readErr()).errorCode, 1129);
    blocked.close();
  });

  const port = await startHop(t, server.port, ROUTER_ADDRESS);
  const lab = await DataLab.start(t, {
    routes: `  - { name: ends-tls, listen: "127.0.0.1:0", role: primary, clientSslMode: preferred, serverSslMode: disabled }`,
  });
  lab.publish(
    memberNamed('real', {
      dial: { host: '127.0.0.1', port },
      role: 'PRIMARY',
      acceptsWrites: true,
      slot: 0,
    }),
  );

  for (const [when, giveUp] of WAYS_TO_GIVE_UP) {
    await t.test(`${CLIENTS} clients that leave ${when}`, async (t) => {
      for (const route of ['rw', 'ends-tls']) {
        await Promise.all(Array.from({ length: CLIENTS }, () => giveUp(lab.port(route))));
        await until('the sessions to end', () => lab.thread.sessions.size === 0);
      }
      await until('the farewells to be over', () => lab.thread.farewells.size === 0);
      t.equal(await errorsOf(server, ROUTER_ADDRESS), 0);
      const connection = await server.connect({ port: lab.port() });
      t.match(await connection.query('SELECT 1 AS one'), [[{ one: 1 }]], 'the next one gets in');
      await connection.end();
    });
  }
  await lab.settled();
});

const WAYS_TO_GIVE_UP: readonly (readonly [string, (port: number) => Promise<void>])[] = [
  ['at once', async (port) => (await RawClient.connect(port)).reset()],
  [
    'when they are greeted',
    async (port) => {
      const client = await RawClient.connect(port);
      await client.readPacket();
      client.close();
    },
  ],
  [
    'in the middle of their login packet',
    async (port) => {
      const client = await RawClient.connect(port);
      await client.readPacket();
      client.write(LOGIN.subarray(0, 50));
      client.close();
    },
  ],
  [
    'when they have asked for TLS',
    async (port) => {
      const client = await RawClient.connect(port);
      await client.readPacket();
      client.write(SSL_REQUEST);
      client.close();
    },
  ],
  [
    'in the middle of their ClientHello',
    async (port) => {
      const client = await RawClient.connect(port);
      await client.readPacket();
      client.write(SSL_REQUEST);
      client.write(Buffer.from('160301020001', 'hex'));
      client.close();
    },
  ],
  [
    'after they asked for TLS and sent something else',
    async (port) => {
      const client = await RawClient.connect(port);
      await client.readPacket();
      client.write(Buffer.concat([SSL_REQUEST, Buffer.from('GET / HTTP/1.1\r\n\r\n')]));
      await client.readPacket();
      client.close();
    },
  ],
  ['when they are asked for their password', (port) => leaveWhenAsked(port, 'root')],
  ['when they are asked for another plugin', (port) => leaveWhenAsked(port, 'somebody')],
  [
    'when only a part of their password has left them',
    (port) => leaveWhenAsked(port, 'root', HALF_AN_ANSWER),
  ],
  [
    'when only a header of their answer has left them',
    (port) => leaveWhenAsked(port, 'root', HALF_AN_ANSWER.subarray(0, 2)),
  ],
];

/** Of 20 bytes. */
const HALF_AN_ANSWER = Buffer.from([20, 0, 0, 3, 1]);

async function leaveWhenAsked(port: number, username: string, lastWords = Buffer.alloc(0)): Promise<void> {
  const client = await RawClient.connect(port);
  await client.readPacket();
  // A password that is wrong, for an account that has one, and no password for one that does not exist.
  client.send(1, loginPayload(username, 0, username === 'root' ? Buffer.alloc(32, 1) : undefined));
  await client.readPacket();
  if (lastWords.length > 0) client.write(lastWords);
  client.finish();
}

/** What counts towards max_connect_errors; null while the server has not seen the address. */
async function errorsOf(server: Server, address: string): Promise<number | null> {
  const rows = await server.query(
    'SELECT SUM_CONNECT_ERRORS AS errors FROM performance_schema.host_cache WHERE IP = ?',
    [address],
  );
  return rows[0] === undefined ? null : Number(rows[0]['errors']);
}
