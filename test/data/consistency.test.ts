/** `group_replication_consistency` set by the router, as a server and a client see it. */
import t, { type Test } from 'tap';
import { encodeChangeUser } from '../../protocol/change-user.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import { SERVER_STATUS_AUTOCOMMIT, SERVER_STATUS_IN_TRANS } from '../../protocol/status-flags.ts';
import { DataLab, secondaryAt } from '../support/data-lab.ts';
import { LOGIN, RawClient } from '../support/raw-client.ts';
import { SERVER_CAPABILITIES, type ServerPeer } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

t.test("it is set before the client's first command, and the client sees nothing of it", async (t) => {
  const { lab, heard } = await openLab(t);
  const client = await RawClient.logIn(lab.port('ro'));
  t.ok(await client.command(COM_QUERY, 'SELECT 1'));
  t.strictSame(heard, [SET, 'SELECT 1']);
  client.close();
  await lab.settled();
});

t.test('a command that is sent together with the login waits for it', async (t) => {
  const { lab, heard } = await openLab(t);
  const client = await RawClient.connect(lab.port('ro'));
  await client.readPacket();
  const query = encodePacket(Buffer.concat([Buffer.of(COM_QUERY), Buffer.from('SELECT 1')]), 0);
  client.write(Buffer.concat([LOGIN, query]));
  t.match(await client.readPacket(), { sequenceId: 2 });
  t.match(await client.readPacket(), { sequenceId: 1 });
  t.strictSame(heard, [SET, 'SELECT 1']);
  client.close();
  await lab.settled();
});

t.test('it is set again when the client has reset its session', async (t) => {
  const { lab, heard } = await openLab(t);
  const client = await RawClient.logIn(lab.port('ro'));
  await client.command(COM_QUERY, 'SELECT 1');
  t.ok(await client.command(COM_RESET_CONNECTION));
  t.ok(await client.command(COM_QUERY, 'SELECT 2'));
  t.strictSame(heard, [SET, 'SELECT 1', 'RESET', SET, 'SELECT 2']);
  client.close();
  await lab.settled();
});

t.test('a transaction begun right behind the reset is not disturbed: it is set behind it', async (t) => {
  let status = SERVER_STATUS_AUTOCOMMIT;
  const { lab, heard } = await openLab(t, (peer, text) => {
    const isOpen = (status & SERVER_STATUS_IN_TRANS) !== 0;
    if (text === 'BEGIN') status |= SERVER_STATUS_IN_TRANS;
    if (text === 'COMMIT') status &= ~SERVER_STATUS_IN_TRANS;
    // ER_VARIABLE_NOT_SETTABLE_IN_TRANSACTION
    if (text === SET && isOpen) peer.err(1, 1766, 'HY000', 'The system variable cannot be set');
    else peer.ok(1, status);
  });
  const client = await RawClient.logIn(lab.port('ro'));
  await client.command(COM_QUERY, 'SELECT 1');
  const begin = encodePacket(Buffer.concat([Buffer.of(COM_QUERY), Buffer.from('BEGIN')]), 0);
  client.write(encodePacket(Buffer.of(COM_RESET_CONNECTION), 0), begin);
  for (const answer of ['reset', 'begin']) t.equal((await client.readPacket())?.payload[0], 0, answer);
  for (const text of ['INSERT', 'COMMIT', 'SELECT 2'])
    t.equal((await client.command(COM_QUERY, text))?.[0], 0, text);
  t.strictSame(heard, [SET, 'SELECT 1', 'RESET', 'BEGIN', 'INSERT', 'COMMIT', SET, 'SELECT 2']);
  client.close();
  await lab.settled();
});

t.test('a command of which only the first bytes have come behind the reset loses none of them', async (t) => {
  const { lab, heard } = await openLab(t);
  const query = encodePacket(Buffer.concat([Buffer.of(COM_QUERY), Buffer.from('SELECT 2')]), 0);
  const reset = encodePacket(Buffer.of(COM_RESET_CONNECTION), 0);
  for (let cut = 1; cut < 8; cut++) {
    const client = await RawClient.logIn(lab.port('ro'));
    client.write(reset, query.subarray(0, cut));
    t.equal((await client.readPacket())?.payload[0], 0);
    client.write(query.subarray(cut));
    t.equal((await client.readPacket())?.payload[0], 0, `cut at ${cut}`);
    t.ok(await client.command(COM_QUERY, 'SELECT 3'));
    t.strictSame(heard.splice(0), [SET, 'RESET', 'SELECT 2', SET, 'SELECT 3'], `cut at ${cut}`);
    client.close();
  }
  await lab.settled();
});

t.test('it is set again for another user of the same session', async (t) => {
  const { lab, heard } = await openLab(t);
  const client = await RawClient.logIn(lab.port('ro'));
  await client.command(COM_QUERY, 'SELECT 1');
  const change = encodeChangeUser(
    {
      user: Buffer.from('other'),
      authResponse: Buffer.alloc(0),
      database: Buffer.alloc(0),
      characterSet: Buffer.of(255, 0),
      authPluginName: 'caching_sha2_password',
      attributes: Buffer.alloc(0),
      rest: Buffer.alloc(0),
    },
    SERVER_CAPABILITIES,
  );
  client.send(0, change);
  t.equal((await client.readPacket())?.payload[0], 0);
  t.ok(await client.command(COM_QUERY, 'SELECT 2'));
  t.strictSame(heard, [SET, 'SELECT 1', 'CHANGE', SET, 'SELECT 2']);
  client.close();
  await lab.settled();
});

t.test("a session that cannot have it is answered with the server's error, and ends", async (t) => {
  const { lab } = await openLab(t, (peer, text) => {
    if (text === SET) peer.err(1, 1193, 'HY000', 'Unknown system variable');
    else peer.ok(1);
  });
  const client = await RawClient.logIn(lab.port('ro'));
  await until('the refusal to be told', () => lab.events('consistency_refused').length === 1);
  client.send(0, Buffer.concat([Buffer.of(COM_QUERY), Buffer.from('SELECT 1')]));
  t.match(await client.readErr(), { sequenceId: 1, errorCode: 1193 });
  t.equal(await client.readPacket(), null);
  t.match(lab.events('consistency_refused')[0]?.message, /Route ro is to have consistency before/);
  client.close();
  await lab.settled();
});

t.test('who has to change an expired password first can', async (t) => {
  const { lab, heard } = await openLab(t, (peer, text) => {
    if (text === SET) peer.err(1, 1820, 'HY000', 'You must reset your password');
    else peer.ok(1);
  });
  const client = await RawClient.logIn(lab.port('ro'));
  t.ok(await client.command(COM_QUERY, 'SET PASSWORD'));
  t.strictSame(heard, [SET, 'SET PASSWORD']);
  client.close();
  await lab.settled();
});

t.test('a client or a server that leaves meanwhile ends the session as ever', async (t) => {
  let asked = 0;
  const { lab, server } = await openLab(t, () => {
    asked++;
  });
  const leaving = await RawClient.logIn(lab.port('ro'));
  await until('the server to be asked', () => asked === 1);
  leaving.close();
  await lab.settled();
  const left = await RawClient.logIn(lab.port('ro'));
  await until('the server to be asked', () => asked === 2);
  server.peers.at(-1)?.close();
  t.equal(await left.readPacket(), null);
  left.close();
  await lab.settled();
});

/** A server that answers everything with OK unless `answer` does something else, and what it heard. */
async function openLab(t: Test, answer: (peer: ServerPeer, text: string) => void = (peer) => peer.ok(1)) {
  const lab = await DataLab.start(t, { routeKeys: 'clientSslMode: disabled, consistency: before' });
  const heard: string[] = [];
  const server = await lab.server(t, async (peer) => {
    if (!(await peer.logIn())) return;
    await peer.answerCommands(({ payload }) => {
      const text = COMMANDS.get(payload[0] ?? 0) ?? payload.toString('latin1', 1);
      heard.push(text);
      answer(peer, text);
    });
  });
  lab.publish(secondaryAt(server));
  return { lab, server, heard };
}

const SET = "SET SESSION group_replication_consistency = 'BEFORE'";
const COM_QUERY = 3;
const COM_RESET_CONNECTION = 31;
const COMMANDS: ReadonlyMap<number, string> = new Map([
  [0x11, 'CHANGE'],
  [COM_RESET_CONNECTION, 'RESET'],
]);
