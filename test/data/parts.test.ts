/** Parts of the data plane by themselves: the transport's self-test, the limiter of events, the refusals. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import t from 'tap';
import { createEventLimiter } from '../../src/data/event-limiter.ts';
import { errFor } from '../../src/data/refusal.ts';
import { chooseTransport } from '../../src/data/transport-self-test.ts';
import { REFUSAL_REASONS } from '../../src/shared/counters.ts';
import type { ThreadEvent } from '../../src/shared/messages.ts';
import { DataLab, openSockets, primaryAt } from '../support/data-lab.ts';
import { RawClient } from '../support/raw-client.ts';
import { serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

t.test('the fast transport passes its self-test on this Node, and leaves nothing open', async (t) => {
  const before = openSockets();
  for (const mode of ['auto', 'fast'] as const) {
    const { transport, reason } = await chooseTransport(mode, 65_536);
    t.equal(transport.kind, 'fast');
    t.equal(reason, '');
  }
  const { transport, reason } = await chooseTransport('portable', 65_536);
  t.same([transport.kind, reason], ['portable', '']);
  await until('all sockets to be closed', () => openSockets() === before);
});

t.test('a buffer of any size will do', async (t) => {
  for (const bytes of [4096, 5003, 1_048_576])
    t.equal((await chooseTransport('fast', bytes)).transport.kind, 'fast');
});

t.test('where servers do not hand over their handles, the portable transport is used', async (t) => {
  const real = net.Server.prototype.listen;
  t.teardown(() => Reflect.set(net.Server.prototype, 'listen', real));
  // As on a Node that keeps the handle elsewhere.
  Reflect.set(net.Server.prototype, 'listen', function (this: net.Server, ...args: unknown[]) {
    this.once('listening', () => Reflect.set(this, '_handle', hideCallback(Reflect.get(this, '_handle'))));
    return Reflect.apply(real, this, args);
  });
  const { transport, reason } = await chooseTransport('auto', 65_536);
  t.same([transport.kind, reason], ['portable', 'this Node does not let a server hand over its handles']);
});

type WriteSync = typeof fs.writeSync;

const FAULTS: readonly (readonly [string, (real: WriteSync) => WriteSync, RegExp])[] = [
  [
    'descriptors of sockets cannot be written to',
    () => () => {
      throw Object.assign(new Error('not permitted'), { code: 'EPERM' });
    },
    /a full kernel buffer was not noticed/,
  ],
  [
    'a write says more than it did',
    (real) =>
      (...args: unknown[]) =>
        less(real, args) + 1,
    /changed|not end in time/,
  ],
  ['a write fails in an unknown way', () => () => fail('no such thing'), /no such thing/],
];

for (const [what, fault, why] of FAULTS) {
  t.test(`where ${what}, the portable transport is used, and it says why`, async (t) => {
    const restore = breakWrites(fault);
    t.teardown(restore);
    const lab = await DataLab.start(t, { mode: 'fast' });
    restore();
    t.match(lab.events('relay_portable')[0]?.fields['reason'], why);
    t.equal(lab.threadCell('fastRelay'), 0);
    const server = await lab.server(t, serveOk);
    lab.publish(primaryAt(server));
    const client = await RawClient.logIn(lab.port());
    t.ok(await client.command(14), 'and it serves');
    client.close();
    await lab.settled();
  });
}

t.test('of a flood of events a burst passes, then a few each second, and none is forgotten', async (t) => {
  const emitted: ThreadEvent[] = [];
  let nowMs = 0;
  let suppressed = 0;
  const limiter = createEventLimiter(
    (event) => emitted.push(event),
    () => suppressed++,
    () => nowMs,
  );
  const tell = (kind: string) => limiter.event({ level: 'warn', kind, message: kind, fields: {} });
  for (let count = 0; count < 1000; count++) tell('flood');
  t.equal(emitted.length, 20);
  t.equal(suppressed, 980);
  tell('other');
  t.equal(emitted.at(-1)?.kind, 'other', 'each kind has a measure of its own');
  nowMs += 1000;
  for (let count = 0; count < 1000; count++) tell('flood');
  t.equal(emitted.length, 23);
  t.same(emitted[21]?.fields, { suppressed_before: 980 });
  t.same(emitted[22]?.fields, {});
  nowMs += 3_600_000;
  for (let count = 0; count < 1000; count++) tell('flood');
  t.equal(emitted.length, 43, 'a long silence does not save up a larger burst');
});

t.test('every refusal is an error of MySQL, and says why where that helps', async (t) => {
  for (const reason of REFUSAL_REASONS) {
    const { errorCode, sqlState, message } = errFor({ reason, detail: 'the detail' });
    t.ok(errorCode >= 1000 && errorCode < 3000, `${reason}: ${errorCode}`);
    t.match(sqlState, /^[0-9A-Z]{5}$/);
    t.notMatch(message, /%s/);
    const isTold =
      /^(no_destination|hold_full|server_handshake|auth_impossible|not_allowed|client_blocked|tls_.*)$/.test(
        reason,
      );
    t.equal(message.includes('the detail'), isTold, reason);
  }
});

/** Puts `fault` in the place of fs.writeSync, for everybody in this process. @returns what puts it back */
function breakWrites(fault: (real: WriteSync) => WriteSync): () => void {
  const real = fs.writeSync;
  const isSocket = (fd: number) => fd > 2;
  const faulty = fault(real);
  const writeSync = (...args: Parameters<WriteSync>) => (isSocket(args[0]) ? faulty(...args) : real(...args));
  Reflect.set(fs, 'writeSync', writeSync);
  syncBuiltinESMExports();
  return () => {
    Reflect.set(fs, 'writeSync', real);
    syncBuiltinESMExports();
  };
}

/** Writes one byte less than it was asked for. */
function less(real: WriteSync, [fd, buffer, start, length]: readonly unknown[]): number {
  if (typeof fd !== 'number' || !Buffer.isBuffer(buffer)) return fail('another call than expected');
  return real(fd, buffer, Number(start), Math.max(1, Number(length) - 1));
}

function hideCallback(handle: unknown): unknown {
  if (typeof handle !== 'object' || handle === null) return handle;
  return new Proxy(handle, {
    has: (target, key) => key !== 'onconnection' && Reflect.has(target, key),
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function fail(why: string): never {
  throw new Error(why);
}
