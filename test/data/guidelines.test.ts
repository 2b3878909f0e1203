/** Sessions under a routing guideline, by what the thread knows of them when they come and by what they say of themselves. */
import t, { type Test } from 'tap';
import { CLIENT_COMPRESS } from '../../protocol/capability-flags.ts';
import { guidelineOf } from '../../routing/guidelines/document.ts';
import type { GuidelineInForce } from '../../src/shared/guideline.ts';
import { DataLab, type LabOptions, primaryAt, secondaryAt } from '../support/data-lab.ts';
import { loginPayload, RawClient } from '../support/raw-client.ts';
import { type ScriptedServer, serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

const PORTS = [
  route('rw', "$.router.routeName = 'rw'", 'Primary'),
  route('ro', "$.router.routeName = 'ro' AND $.session.sourceIP = '127.0.0.1'", 'Secondary', 'Primary'),
];
const USERS = [route('reports', "$.session.user = 'reports'", 'Secondary'), ...PORTS];

t.test('a session that the port tells apart meets the server itself', async (t) => {
  const { lab, primary, secondary } = await openLab(t, PORTS);
  const writer = await RawClient.logIn(lab.port('rw'));
  const reader = await RawClient.logIn(lab.port('ro'));
  t.equal(primary.logins, 1);
  t.equal(secondary.logins, 1);
  const [listed] = sessionsOf(lab);
  t.equal(listed?.guidelineRoute, 'rw');
  for (const client of [writer, reader]) client.close();
  await lab.settled();
});

t.test(
  'a session that its user tells apart is greeted by the router, and let in by the server',
  async (t) => {
    const { lab, primary, secondary } = await openLab(t, USERS, { routeKeys: 'clientSslMode: disabled' });
    const users = ['app', 'reports', 'reports', 'app'];
    const clients = [];
    for (const user of users) {
      const client = await RawClient.connect(lab.port('rw'));
      const greeting = await client.readPacket();
      t.equal(greeting?.payload.toString('latin1', 1, 15), '9.7.0-scripted', 'as the servers greet');
      client.send(1, loginPayload(user, 0, Buffer.alloc(32, 7)));
      const answer = await client.readPacket();
      t.match(answer, { sequenceId: 2 });
      t.equal(answer?.payload[0], 0, `${user} is in`);
      t.ok(await client.command(COM_PING));
      clients.push(client);
    }
    t.strictSame(names(primary), ['app', 'app']);
    t.strictSame(names(secondary), ['reports', 'reports']);
    t.equal(primary.brokenOff + secondary.brokenOff, 0, 'nobody is left without a word');
    t.equal(
      primary.peers.length + secondary.peers.length,
      users.length + 1,
      'it was learned once how to greet',
    );
    for (const client of clients) client.close();
    await lab.settled();
  },
);

t.test('who matches no route is refused at once, before the login or after it', async (t) => {
  const { lab } = await openLab(t, [route('other', '$.session.targetPort = 1', 'Primary')]);
  const early = await RawClient.connect(lab.port('rw'));
  t.match(await early.readErr(), { errorCode: 2003, message: /no route of the routing guideline test/ });
  lab.guide(inForce(USERS.slice(0, 1)));
  const passedThrough = await RawClient.connect(lab.port('rw'));
  t.match(await passedThrough.readErr(), { errorCode: 2003, message: /asks for the login/ });
  const { lab: other } = await openLab(t, USERS.slice(0, 1), { routeKeys: 'clientSslMode: disabled' });
  const late = await RawClient.connect(other.port('rw'));
  await late.readPacket();
  late.send(1, loginPayload('app'));
  t.match(await late.readErr(), { sequenceId: 2, errorCode: 2003, sqlState: 'HY000' });
  for (const client of [early, passedThrough, late]) client.close();
  for (const each of [lab, other]) await each.settled();
});

t.test('a session ends when a new guideline does not lead there, and stays when it does', async (t) => {
  const { lab, primary } = await openLab(t, USERS, { routeKeys: 'clientSslMode: disabled' });
  const client = await RawClient.connect(lab.port('rw'));
  await client.readPacket();
  client.send(1, loginPayload('app'));
  await client.readPacket();
  for (let command = 0; command < 6; command++) await client.command(COM_PING);
  lab.guide(inForce([route('renamed', "$.session.user = 'APP'", 'Primary')]));
  t.ok(await client.command(COM_PING), 'another route leads to the same member');
  lab.publish(primaryAt(primary, { acceptsWrites: false }));
  t.ok(await client.command(COM_PING), 'a doubt ends nothing');
  lab.publish(primaryAt(primary));
  lab.guide(inForce([route('renamed', "$.session.user = 'app'", 'Secondary')]));
  t.equal(await client.readPacket(), null);
  t.equal(lab.ended('guideline'), 1);
  client.close();
  await lab.settled();
});

t.test('without a guideline again, the role of the route decides', async (t) => {
  const { lab, primary, secondary } = await openLab(t, [route('all', 'TRUE', 'Secondary')]);
  const misled = await RawClient.logIn(lab.port('rw'));
  t.equal(secondary.logins, 1);
  lab.guide(null);
  const writer = await RawClient.logIn(lab.port('rw'));
  t.equal(primary.logins, 1);
  for (const client of [misled, writer]) client.close();
  await lab.settled();
});

t.test('a client waits for a member of its class, greeted or not, and hears in the end why', async (t) => {
  const config = 'hold: { timeout: 400ms }';
  const { lab, primary } = await openLab(t, USERS, { routeKeys: 'clientSslMode: disabled', config });
  lab.publish(primaryAt(primary));
  const client = await RawClient.connect(lab.port('ro'));
  await client.readPacket();
  client.send(1, loginPayload('reports'));
  t.match(await client.readErr(), { sequenceId: 2, message: /no member for route reports/ });
  lab.publish();
  const ungreeted = await RawClient.connect(lab.port('ro'));
  t.match(await ungreeted.readErr(), { sequenceId: 0, errorCode: 2003 });
  for (const each of [client, ungreeted]) each.close();
  await lab.settled();
});

t.test('whoever the router greets has as long for its login as others', async (t) => {
  const config = 'limits: { clientHandshakeTimeout: 300ms }';
  const { lab } = await openLab(t, USERS, { routeKeys: 'clientSslMode: disabled', config });
  const silent = await RawClient.connect(lab.port('rw'));
  await silent.readPacket();
  t.match(await silent.readErr(), { sequenceId: 1, errorCode: 1159 });
  const gone = await RawClient.connect(lab.port('rw'));
  await gone.readPacket();
  gone.close();
  const babbling = await RawClient.connect(lab.port('rw'));
  await babbling.readPacket();
  babbling.send(7, Buffer.from('hello'));
  t.match(await babbling.readErr(), { errorCode: 1156 });
  for (const each of [silent, babbling]) each.close();
  await until('one to be refused for its packet', () => lab.refused('out_of_order') === 1);
  await lab.settled();
});

t.test('a client that compresses without having been offered to is told so', async (t) => {
  const { lab } = await openLab(t, USERS, { routeKeys: 'clientSslMode: disabled' });
  const client = await RawClient.connect(lab.port('rw'));
  await client.readPacket();
  const login = loginPayload();
  login.writeUInt32LE((login.readUInt32LE() | CLIENT_COMPRESS) >>> 0);
  client.send(1, login);
  t.match(await client.readErr(), { sequenceId: 2, errorCode: 2012, message: /compression is not offered/ });
  client.close();
  await lab.settled();
});

async function openLab(t: Test, routes: readonly object[], options: LabOptions = {}) {
  const lab = await DataLab.start(t, options);
  const primary = await lab.server(t, serveOk);
  const secondary = await lab.server(t, serveOk);
  lab.publish(primaryAt(primary), secondaryAt(secondary, { slot: 1 }));
  lab.guide(inForce(routes));
  return { lab, primary, secondary };
}

function sessionsOf(lab: DataLab) {
  lab.thread.receive({ kind: 'list-sessions', requestId: 1, limit: 10 });
  return lab.posted.flatMap((message) => (message.kind === 'sessions' ? message.sessions : []));
}

/** Sessions, and not whoever wanted to learn how to greet. */
function names({ peers }: ScriptedServer): readonly string[] {
  return peers.flatMap(({ username, commands }) =>
    username === null || commands.length === 0 ? [] : [username],
  );
}

function inForce(routes: readonly object[]): GuidelineInForce {
  const parsed = guidelineOf({
    name: 'test',
    destinations: [
      { name: 'Primary', match: '$.server.memberRole = PRIMARY' },
      { name: 'Secondary', match: '$.server.memberRole = SECONDARY' },
    ],
    routes,
  });
  if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join());
  const router = {
    name: '',
    hostname: 'lab',
    localCluster: '',
    tags: {},
    ports: { rw: 0, ro: 0, rwSplit: 0 },
  };
  return { guideline: parsed.guideline, router, slots: routes.map((_, index) => index) };
}

function route(name: string, match: string, ...classes: readonly string[]): object {
  const destinations = classes.map((one, priority) => ({
    classes: [one],
    strategy: 'round-robin',
    priority,
  }));
  return { name, match, destinations };
}

const COM_PING = 14;
