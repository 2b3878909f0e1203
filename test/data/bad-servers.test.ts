/** Members that are no MySQL servers, or not in order: the next candidate is tried, or the client waits and hears why. */
import t, { type Test } from 'tap';
import { encodePacket } from '../../protocol/packet-header.ts';
import { type DialResult, MEMBER, memberOffset, sumCells } from '../../src/shared/counters.ts';
import { DataLab, openSockets, secondaryAt } from '../support/data-lab.ts';
import { LOGIN, RawClient } from '../support/raw-client.ts';
import {
  initialHandshake,
  type ScriptedServer,
  type ServerPeer,
  type ServerScript,
  serveOk,
} from '../support/scripted-server.ts';
import { pause, until } from '../support/until.ts';

type BadServer = {
  readonly is: string;
  readonly script: ServerScript;
  readonly dials: readonly DialResult[];
  readonly signal: string | null;
  /** In the client's ERR 2003, or the number the server's own error has. */
  readonly told: RegExp | number;
};

const silent: ServerScript = () => undefined;
const says =
  (bytes: string | Buffer): ServerScript =>
  (peer) =>
    peer.write(Buffer.from(bytes));
const errs =
  (errorCode: number): ServerScript =>
  (peer) => {
    peer.err(0, errorCode, undefined, 'no');
    peer.finish();
  };

const BAD_SERVERS: readonly BadServer[] = [
  {
    is: 'a web server',
    script: says('HTTP/1.1 400 Bad Request\r\n\r\n'),
    dials: ['no_handshake'],
    signal: 'no-handshake',
    told: /no initial handshake: malformed/,
  },
  {
    is: 'a server with a banner of few bytes',
    script: says(Buffer.from([5, 0, 0, 0, 1, 2, 3, 4, 5])),
    dials: ['no_handshake'],
    signal: 'no-handshake',
    told: /malformed/,
  },
  {
    is: 'a server that wants TLS at once',
    script: says(Buffer.from('15030100020228', 'hex')),
    dials: ['no_handshake'],
    signal: 'no-handshake',
    told: /malformed/,
  },
  {
    is: 'silent',
    script: silent,
    dials: ['abandoned', 'no_handshake'],
    signal: 'no-handshake',
    told: /timeout/,
  },
  {
    is: 'a server that sends half a handshake',
    script: says(encodePacket(initialHandshake(1), 0).subarray(0, 30)),
    dials: ['abandoned', 'no_handshake'],
    signal: 'no-handshake',
    told: /timeout/,
  },
  {
    is: 'a server that closes at once',
    script: (peer) => peer.close(),
    dials: ['no_handshake'],
    signal: 'no-handshake',
    told: /closed/,
  },
  {
    is: 'a server that resets soon',
    script: async (peer) => {
      await pause(10);
      peer.reset();
    },
    dials: ['no_handshake'],
    signal: 'no-handshake',
    told: /closed/,
  },
  { is: 'full', script: errs(1040), dials: ['error_packet'], signal: null, told: 1040 },
  { is: 'shutting down', script: errs(1053), dials: ['error_packet'], signal: 'server-error', told: 1053 },
  {
    is: 'one that does not let the router in',
    script: errs(1130),
    dials: ['error_packet'],
    signal: null,
    told: 1130,
  },
];

for (const bad of BAD_SERVERS) {
  t.test(`a member that is ${bad.is}`, async (t) => {
    const before = openSockets();
    const lab = await openLab(t);
    const server = await lab.server(t, bad.script);

    await t.test('the next candidate is taken', async (t) => {
      const good = await lab.server(t, serveOk);
      publish(lab, server, good);
      const clients = await Promise.all([RawClient.logIn(lab.port('ro')), RawClient.logIn(lab.port('ro'))]);
      t.equal(good.logins, 2);
      t.ok(bad.dials.some((result) => lab.dials(0, result) >= 1));
      if (bad.signal !== null) t.ok(lab.signals().includes(bad.signal));
      for (const client of clients) client.close();
    });

    await t.test('without another the client waits, and hears why', async (t) => {
      publish(lab, server);
      const client = await RawClient.connect(lab.port('ro'));
      const err = await client.readErr();
      t.equal(err.sequenceId, 0);
      t.equal(err.sqlState, undefined);
      if (typeof bad.told === 'number') t.equal(err.errorCode, bad.told);
      else t.match(err, { errorCode: 2003, message: bad.told });
      t.equal(await client.readPacket(), null);
      const reason = typeof bad.told === 'number' ? 'server_refused' : 'no_destination';
      t.equal(lab.ended(reason, 'ro'), 1);
      client.close();
    });

    await lab.settled();
    lab.publish();
    lab.thread.close();
    await until('all servers to be left', () =>
      server.openPeers.every((peer) => peer.end !== null || !hears(peer)),
    );
    for (const peer of server.peers) peer.close();
    await until('all sockets to be closed', () => openSockets() <= before + 2);
  });
}

t.test('a member that nobody listens for: the next candidate is taken, and it is told', async (t) => {
  const lab = await openLab(t);
  const gone = await lab.server(t, serveOk);
  const member = secondaryAt(gone, { slot: 0 });
  await gone.close();
  const good = await lab.server(t, serveOk);
  lab.publish(member, secondaryAt(good, { slot: 1 }));
  const clients = await Promise.all([RawClient.logIn(lab.port('ro')), RawClient.logIn(lab.port('ro'))]);
  t.ok(lab.dials(0, 'refused') >= 1);
  t.ok(lab.signals().includes('dial-refused'));
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('a handshake that comes byte by byte is a handshake', async (t) => {
  const lab = await openLab(t, { timeoutMs: 10_000 });
  const server = await lab.server(t, async (peer) => {
    for (const byte of encodePacket(initialHandshake(7), 0)) {
      peer.write(Buffer.of(byte));
      await pause(0);
    }
    await peer.readPacket();
    peer.ok(2);
    await peer.answerCommands(() => peer.ok(1));
  });
  publish(lab, server);
  const client = await RawClient.logIn(lab.port('ro'));
  t.ok(await client.command(14));
  client.close();
  await lab.settled();
});

t.test('a server that breaks the protocol behind its header: the client hears 2012', async (t) => {
  const lab = await openLab(t);
  const server = await lab.server(t, says(Buffer.from([5, 0, 0, 0, 10, 0x38, 0, 1, 2])));
  publish(lab, server);
  const client = await RawClient.connect(lab.port('ro'));
  t.match(await client.readErr(), { errorCode: 2012, sequenceId: 0 });
  t.equal(lab.refused('server_handshake', 'ro'), 1);
  t.ok(lab.signals().includes('no-handshake'));
  client.close();
  await lab.settled();
});

t.test('a server that closes in the middle of the authentication: the client hears 2013', async (t) => {
  const lab = await openLab(t);
  const server = await lab.server(t, async (peer) => {
    await peer.readLogin();
    peer.close();
  });
  publish(lab, server);
  const client = await RawClient.connect(lab.port('ro'));
  await t.rejects(client.authenticate(), /not let in/);
  t.equal(lab.refused('server_lost', 'ro'), 1);
  t.equal(lab.ended('server_closed', 'ro'), 1);
  client.close();
  await lab.settled();
});

t.test('a full member that is asked again when the time is up: the client hears 1040', async (t) => {
  const lab = await DataLab.start(t, { config: 'hold: { timeout: 1s }\ndial: { handshakeTimeout: 30s }' });
  let isFirst = true;
  const server = await lab.server(t, async (peer) => {
    const script = isFirst ? errs(1040) : silent;
    isFirst = false;
    await script(peer);
  });
  publish(lab, server);
  const client = await RawClient.connect(lab.port('ro'));
  t.equal((await client.readErr()).errorCode, 1040);
  client.close();
  await lab.settled();
  for (const peer of server.peers) peer.close();
});

t.test('a full member that turns clients away after their login is left alone, and told of', async (t) => {
  const lab = await openLab(t);
  let isFull = true;
  const crowded = await lab.server(t, async (peer) => {
    if (!isFull) return serveOk(peer);
    if ((await peer.readLogin()) !== null) peer.err(2, 1040, '08004', 'Too many connections');
    peer.finish();
  });
  const good = await lab.server(t, serveOk);
  publish(lab, crowded, good);
  const clients: RawClient[] = [];
  let turnedAway = 0;
  const come = () =>
    RawClient.logIn(lab.port('ro')).then(
      (client) => clients.push(client),
      () => (turnedAway += 1),
    );
  for (let index = 0; index < 20; index++) await come();
  // One in two without; as it is, the first, and the one after each pause: of one second, of two, and so on.
  t.ok(turnedAway >= 1 && turnedAway <= 4, `${turnedAway} of 20 were turned away`);
  t.match(lab.events('member_full'), [
    { level: 'warn', message: /all its connections are taken \(error 1040\)/ },
  ]);
  t.equal(sumCells(lab.counters, 1, memberOffset(0) + MEMBER.isQuarantined), 1);

  isFull = false;
  await until('it to be tried again', async () => {
    await come();
    return crowded.logins > turnedAway;
  });
  t.equal(lab.events('member_has_room').length, 1);
  t.equal(sumCells(lab.counters, 1, memberOffset(0) + MEMBER.isQuarantined), 0);
  for (const client of clients) client.close();
  await lab.settled();
});

t.test('a server that refuses the login: its own words reach the client', async (t) => {
  const lab = await openLab(t);
  const server = await lab.server(t, async (peer) => {
    await peer.readLogin();
    peer.err(2, 1045, '28000', "Access denied for user 'app'@'router'");
    peer.finish();
  });
  publish(lab, server);
  const client = await RawClient.connect(lab.port('ro'));
  await client.readPacket();
  client.write(LOGIN);
  t.match(await client.readErr(), { errorCode: 1045, sqlState: '28000', sequenceId: 2 });
  t.equal(lab.ended('server_refused', 'ro'), 1);
  client.close();
  await lab.settled();
});

/** With a timeout so short that tests of what is late are quick; where nothing may be late it has to be long. */
function openLab(t: Test, { timeoutMs = 400 } = {}): Promise<DataLab> {
  return DataLab.start(t, {
    config: `
hold: { timeout: ${timeoutMs}ms }
dial: { handshakeTimeout: ${Math.round(timeoutMs * 0.6)}ms }
quarantine: { interval: 100ms }`,
  });
}

function publish(lab: DataLab, ...servers: readonly ScriptedServer[]): void {
  lab.publish(...servers.map((server, slot) => secondaryAt(server, { slot })));
}

/** Whether a scripted peer reads, and so hears of the other side's end. */
function hears(peer: ServerPeer): boolean {
  return peer.socket.readableFlowing !== null;
}
