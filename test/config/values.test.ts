import t from 'tap';
import { closest } from '../../src/config/suggest.ts';
import {
  formatDuration,
  formatHostPort,
  formatSize,
  listensCollide,
  parseDuration,
  parseListen,
  parseSeed,
  parseSize,
} from '../../src/config/values.ts';

t.test('a duration is a number with its unit, or 0', async (t) => {
  const table: readonly (readonly [string | number, number | null])[] = [
    ['250ms', 250],
    ['9s', 9_000],
    ['1.5s', 1_500],
    ['0.1s', 100],
    ['1m30s', 90_000],
    ['5m', 300_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    [0, 0],
    ['0', 0],
    ['0s', 0],
    [9, null],
    ['9', null],
    ['', null],
    ['s', null],
    ['9 s', null],
    ['-9s', null],
    ['9S', null],
    ['9sec', null],
    ['.5s', null],
    ['1e3ms', null],
    ['0.5ms', null],
    ['9s\n', null],
    ['99999999999999999999d', null],
  ];
  for (const [written, ms] of table)
    t.equal(parseDuration(written), ms, `${JSON.stringify(written)} → ${ms}`);
});

t.test('a size is a number of bytes or has a binary unit', async (t) => {
  const table: readonly (readonly [string | number, number | null])[] = [
    [65_536, 65_536],
    ['65536', 65_536],
    ['64KiB', 65_536],
    ['1MiB', 1_048_576],
    ['2GiB', 2_147_483_648],
    ['7B', 7],
    [0, 0],
    ['64KB', null],
    ['64k', null],
    ['64 KiB', null],
    ['1.5MiB', null],
    [-1, null],
    [1.5, null],
    ['9999999999GiB', null],
  ];
  for (const [written, bytes] of table)
    t.equal(parseSize(written), bytes, `${JSON.stringify(written)} → ${bytes}`);
});

t.test('what is printed for a duration or a size is read back as the same', async (t) => {
  for (const ms of [
    0, 1, 250, 999, 1_000, 1_500, 9_000, 60_000, 90_000, 3_600_000, 86_400_000, 604_800_001,
  ]) {
    t.equal(parseDuration(formatDuration(ms)), ms, formatDuration(ms));
  }
  for (const bytes of [0, 1, 1_023, 1_024, 65_536, 65_537, 1_048_576, 1_073_741_824]) {
    t.equal(parseSize(formatSize(bytes)), bytes, formatSize(bytes));
  }
  t.equal(formatDuration(90_000), '90s');
  t.equal(formatSize(65_536), '64KiB');
});

t.test('a seed is a host with or without a port, IPv6 in brackets', async (t) => {
  const table: readonly (readonly [string, string | null])[] = [
    ['db', 'db:3306'],
    ['db-0.db.svc.cluster.local.', 'db-0.db.svc.cluster.local.:3306'],
    ['db_1:3307', 'db_1:3307'],
    ['127.0.0.1:3311', '127.0.0.1:3311'],
    ['[::1]', '[::1]:3306'],
    ['[::1]:3306', '[::1]:3306'],
    ['[fe80::1%eth0]:3306', '[fe80::1%eth0]:3306'],
    ['::1', null],
    ['[::1', null],
    ['[db]:3306', null],
    ['', null],
    [':3306', null],
    ['db:', null],
    ['db:0', null],
    ['db:65536', null],
    ['db:33o6', null],
    ['db:3306:1', null],
    ['10.0.0.256', null],
    ['10.0.0', null],
    ['-db', null],
    ['d b', null],
    ['db..x', null],
    ['root@db', null],
    [`${'a'.repeat(64)}`, null],
    [`${'a.'.repeat(127)}`, null],
  ];
  for (const [written, address] of table) {
    const seed = parseSeed(written);
    t.equal(seed === null ? null : formatHostPort(seed), address, `${JSON.stringify(written)} → ${address}`);
  }
});

t.test('a listen address has a port, and may leave out the host', async (t) => {
  const table: readonly (readonly [string, string | null])[] = [
    ['127.0.0.1:6446', '127.0.0.1:6446'],
    [':6446', '0.0.0.0:6446'],
    ['[::]:6446', '[::]:6446'],
    ['localhost:0', 'localhost:0'],
    ['6446', null],
    ['127.0.0.1', null],
    ['[::]', null],
    ['', null],
    [':', null],
    [':99999', null],
  ];
  for (const [written, address] of table) {
    const listen = parseListen(written);
    t.equal(
      listen === null ? null : formatHostPort(listen),
      address,
      `${JSON.stringify(written)} → ${address}`,
    );
  }
});

t.test('two listen addresses collide when one could take clients of the other', async (t) => {
  const table: readonly (readonly [string, string, boolean])[] = [
    ['127.0.0.1:6446', '127.0.0.1:6446', true],
    ['127.0.0.1:6446', '127.0.0.1:6447', false],
    ['127.0.0.1:6446', '127.0.0.2:6446', false],
    ['0.0.0.0:6446', '127.0.0.1:6446', true],
    ['0.0.0.0:6446', 'localhost:6446', true],
    ['localhost:6446', '127.0.0.1:6446', true],
    ['0.0.0.0:6446', '[::1]:6446', false],
    ['[::]:6446', '127.0.0.1:6446', true],
    ['[::]:6446', '[::1]:6446', true],
    ['[0:0::1]:6446', '[::1]:6446', true],
    ['0.0.0.0:0', '0.0.0.0:0', false],
  ];
  for (const [a, b, expected] of table) {
    const [listenA, listenB] = [parseListen(a), parseListen(b)];
    if (listenA === null || listenB === null) throw new Error('the table is wrong');
    t.equal(listensCollide(listenA, listenB), expected, `${a} and ${b}`);
    t.equal(listensCollide(listenB, listenA), expected, `${b} and ${a}`);
  }
});

t.test('a suggestion is made for what is nearly right, and for nothing else', async (t) => {
  const keys = ['hold.timeout', 'hold.maxSessions', 'cluster', 'quorumLoss'];
  t.equal(closest('hold.timout', keys), 'hold.timeout');
  t.equal(closest('holdTimeout', keys), 'hold.timeout');
  t.equal(closest('HOLD_MAX_SESSION', keys), 'hold.maxSessions');
  t.equal(closest('clutser', keys), 'cluster', 'neighbours swapped');
  t.equal(closest('quorumloss', keys), 'quorumLoss');
  t.equal(closest('banana', keys), null);
  t.equal(closest('', keys), null);
  t.equal(closest('x'.repeat(100_000), keys), null);
});
