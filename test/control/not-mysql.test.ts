/** Seeds that are everything but a MySQL server. No real server is needed. */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import t from 'tap';
import { connectToServer } from '../../src/control/greeting.ts';
import type { NameResolver } from '../../src/control/resolver.ts';
import { waitFor } from '../../src/sandbox/index.ts';
import { ScriptedMember } from '../support/scripted-member.ts';
import { packet, startFakePeer, startPlane } from './peers.ts';

const GREETINGS: readonly {
  readonly name: string;
  readonly greet: (socket: Socket) => void;
  readonly kind: string;
  readonly says: RegExp;
}[] = [
  {
    name: 'a web server that speaks first',
    greet: (socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    kind: 'not-mysql',
    says: /no packet header/,
  },
  {
    name: 'SSH',
    greet: (socket) => socket.write('SSH-2.0-OpenSSH_9.9\r\n'),
    kind: 'not-mysql',
    says: /header/,
  },
  {
    name: 'zeros',
    greet: (socket) => socket.write(Buffer.alloc(64)),
    kind: 'not-mysql',
    says: /no packet header/,
  },
  {
    name: 'another protocol in packets like ours',
    greet: (socket) => socket.write(packet('\x09abc')),
    kind: 'not-mysql',
    says: /no greeting/,
  },
  {
    name: 'a greeting that is cut short inside its packet',
    greet: (socket) => socket.write(packet('\x0a9.7.0\0abc')),
    kind: 'not-mysql',
    says: /./,
  },
  {
    name: 'half a greeting and then nothing more',
    greet: (socket) => socket.end(packet('\x0a9.7.0\0abc').subarray(0, 7)),
    kind: 'closed',
    says: /before any greeting/,
  },
  {
    name: 'a server that hangs up',
    greet: (socket) => socket.end(),
    kind: 'closed',
    says: /before any greeting/,
  },
  {
    name: 'a server that does not let this host in',
    greet: (socket) =>
      socket.end(
        packet(Buffer.concat([Buffer.from([0xff, 0x6a, 0x04]), Buffer.from('Host is not allowed')])),
      ),
    kind: 'access-denied',
    says: /Host is not allowed/,
  },
  {
    name: 'a server that is full',
    greet: (socket) =>
      socket.end(
        packet(Buffer.concat([Buffer.from([0xff, 0x10, 0x04]), Buffer.from('Too many connections')])),
      ),
    kind: 'error',
    says: /Too many connections/,
  },
];

for (const { name, greet, kind, says } of GREETINGS) {
  t.test(`${name} is ${kind}`, async (t) => {
    const peer = await startFakePeer(greet);
    t.teardown(() => peer.close());
    const attempt = connectToServer(
      { host: '127.0.0.1', port: peer.port },
      2000,
      new AbortController().signal,
    );
    await t.rejects(attempt, { name: 'ControlFailure', kind, message: says });
  });
}

t.test('a greeting is left in the socket, byte for byte, however it arrives', async (t) => {
  const greeting = packet(
    Buffer.concat([
      Buffer.from('\x0a9.7.0\0'),
      Buffer.from([7, 0, 0, 0]),
      Buffer.from('abcdefgh\0'),
      Buffer.from([0xff, 0xff, 0xff, 0x02, 0, 0xff, 0xdf, 21]),
      Buffer.alloc(10),
      Buffer.from('ijklmnopqrst\0'),
      Buffer.from('caching_sha2_password\0'),
    ]),
  );
  const peer = await startFakePeer((socket) => {
    socket.setNoDelay(true);
    for (const byte of greeting) socket.write(Buffer.from([byte]));
  });
  t.teardown(() => peer.close());
  const { socket, offersTls } = await connectToServer(
    { host: '127.0.0.1', port: peer.port },
    2000,
    new AbortController().signal,
  );
  t.teardown(() => socket.destroy());
  t.equal(offersTls, true);
  const received: Buffer[] = [];
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk) => {
      received.push(chunk);
      if (Buffer.concat(received).length >= greeting.length) resolve();
    });
    socket.resume();
  });
  t.ok(Buffer.concat(received).equals(greeting));
});

t.test('a router whose seeds are all wrong starts, says so once for each, and stays up', async (t) => {
  const web = await startFakePeer((socket) => {
    socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  });
  const banner = await startFakePeer((socket) => socket.write('SSH-2.0-OpenSSH_9.9\r\n'));
  const gone = await startFakePeer(() => {});
  gone.close();
  const { plane, lines, until, untilEvent } = startPlane({
    seeds: [
      ['127.0.0.1', web.port],
      ['127.0.0.1', banner.port],
      ['127.0.0.1', gone.port],
      ['name.invalid', 3306],
    ],
    probe: { timeoutMs: 200, confirmationTtlMs: 500 },
  });
  t.teardown(() => {
    plane.close();
    web.close();
    banner.close();
  });
  const topology = await until('everyone heard', ({ alarms }) => alarms.includes('no member answers'));
  t.equal(topology.primary, null);
  t.equal(topology.members.length, 4);
  t.notOk(topology.members.some((member) => member.acceptsReads || member.acceptsWrites));
  await untilEvent('member_does_not_answer', new RegExp(`${web.port}.*no greeting or login within 200 ms`));
  await untilEvent('member_does_not_answer', new RegExp(`${banner.port}.*does not speak MySQL`));
  await untilEvent('member_does_not_answer', new RegExp(`${gone.port}.*ECONNREFUSED`));
  await untilEvent('member_does_not_answer', /name\.invalid does not resolve/);
  // Several more attempts, and not one more line.
  const told = lines.length;
  const before = banner.connections();
  await until('more attempts', () => banner.connections() >= before + 3);
  t.equal(lines.length, told);
  const counts = plane.memberProbes().get(`127.0.0.1:${gone.port}`);
  t.ok((counts?.errorsByKind.get('refused') ?? 0) > 1);
});

t.test('an account that is locked is tried again soon, one that may get locked by it is not', async (t) => {
  const saying = (errorNumber: number, text: string) => {
    const payload = Buffer.concat([Buffer.from([0xff, 0, 0]), Buffer.from(text)]);
    payload.writeUInt16LE(errorNumber, 1);
    return startFakePeer((socket) => socket.end(packet(payload)));
  };
  const locked = await saying(3118, '#HY000Account is locked');
  const denied = await saying(1045, '#28000Access denied');
  const { plane, until } = startPlane({
    seeds: [
      ['127.0.0.1', locked.port],
      ['127.0.0.1', denied.port],
    ],
  });
  t.teardown(() => {
    plane.close();
    locked.close();
    denied.close();
  });
  await waitFor({ what: 'attempts', timeoutMs: 20_000 }, async () =>
    locked.connections() >= 4 ? true : undefined,
  );
  t.ok(denied.connections() < locked.connections());
  const { members } = await until('reasons', (topology) =>
    topology.members.every(({ reason }) => reason !== ''),
  );
  for (const { reason } of members) t.equal(reason, 'denies access to the monitoring account');
});

t.test('a member whose address somebody else has taken is looked for by its name', async (t) => {
  const denial = Buffer.concat([Buffer.from([0xff, 0x15, 0x04]), Buffer.from('#28000Access denied')]);
  const taker = await startFakePeer((socket) => socket.end(packet(denial)));
  t.teardown(() => taker.close());
  const member = await ScriptedMember.start(1, false, { host: '127.0.0.2', port: taker.port });
  t.teardown(() => member.close());
  // What was answered first may be used for longer than this test waits.
  const addressNow = () => (taker.connections() === 0 ? '127.0.0.1' : '127.0.0.2');
  const resolver: NameResolver = {
    lookup: async () => ({ kind: 'found', host: addressNow(), ttlMs: 600_000 }),
    lookupAll: async () => ({ kind: 'found', hosts: [addressNow()], ttlMs: 600_000 }),
    lookupServices: async () => ({ kind: 'not-found', code: 'ENODATA' }),
    configure() {},
    close() {},
  };
  const { plane, until } = startPlane({ seeds: [['pod.test', taker.port]], resolver });
  t.teardown(() => plane.close());
  const topology = await until('the member', ({ primary }) => primary !== null);
  t.match(topology.members, [{ id: member.uuid, dial: { host: '127.0.0.2' } }]);
});

t.test('with a static topology the first seed is the primary and nobody is asked', async (t) => {
  const peers = [await startFakePeer(() => {}), await startFakePeer(() => {})];
  const { plane, until } = startPlane({
    seeds: peers.map(({ port }) => ['localhost', port] as const),
    topology: 'static',
    user: '',
  });
  t.teardown(() => {
    plane.close();
    for (const peer of peers) peer.close();
  });
  const { members } = await until('both names', ({ members }) =>
    members.every((member) => member.acceptsReads),
  );
  t.match(members, [
    { role: 'PRIMARY', acceptsWrites: true, dial: { host: '127.0.0.1', port: peers[0]?.port } },
    { role: 'SECONDARY', acceptsWrites: false },
  ]);
  plane.signal({ kind: 'dial-refused', address: '', memberId: '', errorNumber: 0 });
  t.strictSame(
    peers.map(({ connections }) => connections()),
    [0, 0],
  );
});

t.test('a signal storm does not become a connection storm', async (t) => {
  const gone = await startFakePeer(() => {});
  gone.close();
  const { plane, until } = startPlane({ seeds: [['127.0.0.1', gone.port]] });
  t.teardown(() => plane.close());
  await until('the first failure', ({ members }) =>
    members.some(({ reason }) => reason === 'refuses connections'),
  );
  const startedAtMs = performance.now();
  const refusals = (): number =>
    plane.memberProbes().get(`127.0.0.1:${gone.port}`)?.errorsByKind.get('refused') ?? 0;
  const before = refusals();
  const storm = setInterval(() => {
    for (let count = 0; count < 100; count++) {
      plane.signal({ kind: 'dial-refused', address: `127.0.0.1:${gone.port}`, memberId: '', errorNumber: 0 });
    }
  }, 1);
  await until('ten attempts', () => refusals() >= before + 10);
  clearInterval(storm);
  t.ok(performance.now() - startedAtMs >= 150, 'attempts stay 20 ms apart');
});
