/** Members by name, from a name server that does as it is told. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { DnsSeed } from '../../../src/config/config.ts';
import { createAddressSource, createServiceSource } from '../../../src/control/discovery/dns-source.ts';
import type { CreateSource, SourceReport } from '../../../src/control/discovery/source.ts';
import { createNameResolver } from '../../../src/control/resolver.ts';
import { waitFor } from '../../../src/sandbox/index.ts';
import { startDnsServer } from '../dns-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'fairlead-dns-'));
t.teardown(() => rmSync(directory, { recursive: true }));
const hostsPath = join(directory, 'hosts');
const resolvConfPath = join(directory, 'resolv.conf');
writeFileSync(hostsPath, '127.0.0.1 localhost\n::1 localhost\n');
writeFileSync(resolvConfPath, 'search ns.svc.example svc.example example\noptions ndots:5\n');

const NAME = 'db.ns.svc.example.';
const FULL_NAME = 'db.ns.svc.example';
const addresses = (...list: string[]) => ({ kind: 'addresses', addresses: list, ttlSeconds: 0 }) as const;

t.test('a name with several addresses is as many members, in one order', async (t) => {
  const { dns, until } = await startLab(t, address(NAME));
  t.strictSame(await until('nothing yet', ({ lastSuccessAtMs }) => lastSuccessAtMs === null), [
    `${NAME}:3306`,
  ]);
  dns.answers.set(FULL_NAME, addresses('10.0.0.10', '10.0.0.9'));
  t.strictSame(await untilFound(until, 2), ['10.0.0.9:3306', '10.0.0.10:3306']);
  dns.answers.set(FULL_NAME, addresses('10.0.0.10', '10.0.0.11', '10.0.0.9'));
  t.strictSame(await untilFound(until, 3), ['10.0.0.9:3306', '10.0.0.10:3306', '10.0.0.11:3306']);
  dns.answers.set(FULL_NAME, addresses('10.0.0.11'));
  t.strictSame(await untilFound(until, 1), ['10.0.0.11:3306'], 'it stays one of several');
});

t.test('a name with one address is a member that is followed by its name, over aliases', async (t) => {
  const { dns, until, reports } = await startLab(t, address('cluster.rds.example.'));
  dns.answers.set('cluster.rds.example', { kind: 'alias', to: 'instance-1.rds.example', ttlSeconds: 5 });
  dns.answers.set('instance-1.rds.example', addresses('10.0.0.1'));
  t.strictSame(await until('found', isGood), ['cluster.rds.example.:3306']);
  const before = reports().length;
  dns.answers.set('instance-2.rds.example', addresses('10.0.0.2'));
  dns.answers.set('cluster.rds.example', { kind: 'alias', to: 'instance-2.rds.example', ttlSeconds: 5 });
  const asked = dns.asked.length;
  await waitFor({ what: 'two more questions', timeoutMs: 10_000 }, async () =>
    dns.asked.length > asked + 1 ? true : undefined,
  );
  t.equal(reports().length, before, 'that it is elsewhere is for the member to see');
});

t.test('IPv6 addresses are taken where there are no others', async (t) => {
  const { dns, until } = await startLab(t, address(NAME));
  dns.answers.set(FULL_NAME, addresses('2001:db8::2', '2001:db8::1'));
  t.strictSame(await untilFound(until, 2), ['[2001:db8::1]:3306', '[2001:db8::2]:3306']);
  dns.answers.set(FULL_NAME, addresses('2001:db8::2', '10.0.0.1', '10.0.0.2'));
  t.strictSame(
    await until('IPv4', ({ destinations }) => destinations[0]?.address.startsWith('10.') === true),
    ['10.0.0.1:3306', '10.0.0.2:3306'],
    'of both families the members are the same servers',
  );
});

t.test('a host with addresses of both families in the hosts file is one member', async (t) => {
  const { until } = await startLab(t, address('localhost'));
  t.strictSame(await until('found', isGood), ['localhost:3306']);
});

t.test('short names are completed by the search list', async (t) => {
  const { dns, until } = await startLab(t, address('db'));
  dns.answers.set('db.svc.example', addresses('10.0.0.1', '10.0.0.2'));
  t.strictSame(await untilFound(until, 2), ['10.0.0.1:3306', '10.0.0.2:3306']);
  t.strictSame(dns.asked.slice(0, 2), ['db.ns.svc.example', 'db.svc.example']);
});

t.test('whatever the name server does, the last good answer stays', async (t) => {
  const { dns, until, latest } = await startLab(t, address(NAME));
  dns.answers.set(FULL_NAME, addresses('10.0.0.1', '10.0.0.2'));
  const good = await untilFound(until, 2);
  for (const [answer, code] of [
    [{ kind: 'failure' }, 'ESERVFAIL'],
    [{ kind: 'no-such-name' }, 'ENOTFOUND'],
    [{ kind: 'empty' }, 'ENODATA'],
    [{ kind: 'garbage' }, 'EBADRESP'],
    [{ kind: 'forged', address: '6.6.6.6' }, 'ETIMEOUT'],
    [{ kind: 'silence' }, 'ETIMEOUT'],
  ] as const) {
    dns.answers.set(FULL_NAME, answer);
    t.strictSame(await until(`${answer.kind}`, ({ failure }) => failure?.code === code), good, answer.kind);
    t.match(latest().failure?.message, /the name db\.ns\.svc\.example\. does not resolve/);
  }
  dns.answers.set(FULL_NAME, addresses('10.0.0.3', '10.0.0.4'));
  t.strictSame(await until('well again', isGood), ['10.0.0.3:3306', '10.0.0.4:3306']);
  dns.close();
  t.strictSame(await until('a name server that is gone', (report) => !isGood(report)), [
    '10.0.0.3:3306',
    '10.0.0.4:3306',
  ]);
});

t.test('an answer too long for a datagram is asked for again over TCP', async (t) => {
  const { dns, until } = await startLab(t, address(NAME));
  dns.truncates = true;
  const many = Array.from({ length: 100 }, (_, index) => `10.0.1.${index}`);
  dns.answers.set(FULL_NAME, addresses(...many));
  t.equal((await untilFound(until, 100)).length, 100);
  t.ok(dns.askedByTcp.includes(FULL_NAME));
});

t.test('the second name server is asked when the first is silent', async (t) => {
  const silent = await startDnsServer();
  t.teardown(() => silent.close());
  silent.answers.set(FULL_NAME, { kind: 'silence' });
  const { dns, until } = await startLab(t, address(NAME), [silent.server]);
  dns.answers.set(FULL_NAME, addresses('10.0.0.1', '10.0.0.2'));
  t.strictSame(await untilFound(until, 2), ['10.0.0.1:3306', '10.0.0.2:3306']);
  t.ok(silent.asked.includes(FULL_NAME));
});

t.test('SRV records name every member with its port, by priority and name', async (t) => {
  const { dns, until, latest } = await startLab(t, services({ name: NAME }));
  await until('a failure', ({ failure }) => failure?.code === 'ENOTFOUND');
  dns.answers.set(`_mysql._tcp.${FULL_NAME}`, {
    kind: 'services',
    services: [
      { host: `db-10.${FULL_NAME}`, port: 3306 },
      { host: `db-2.${FULL_NAME}`, port: 3306 },
      { host: `far.${FULL_NAME}`, port: 3307, priority: 5 },
      { host: `db-0.${FULL_NAME}`, port: 3306 },
    ],
  });
  t.strictSame(await untilFound(until, 4), [
    `db-0.${FULL_NAME}:3306`,
    `db-2.${FULL_NAME}:3306`,
    `db-10.${FULL_NAME}:3306`,
    `far.${FULL_NAME}:3307`,
  ]);
  t.ok(
    latest().destinations.every(({ isFullName }) => isFullName),
    'names that need no search list',
  );
  dns.answers.set(`_mysql._tcp.${FULL_NAME}`, { kind: 'services', services: [{ host: '.', port: 0 }] });
  t.equal((await until('no such service', ({ failure }) => failure?.code === 'ENODATA')).length, 4);
});

t.test('of a Service that several clusters share, the targets of one are taken', async (t) => {
  const { dns, until } = await startLab(t, services({ name: 'mysql', targetPrefix: 'mine-mysql-' }));
  const target = (pod: string) => ({ host: `${pod}.mysql.ns.svc.example`, port: 3306 });
  const name = '_mysql._tcp.mysql.ns.svc.example';
  dns.answers.set(name, { kind: 'services', services: [target('theirs-mysql-0')] });
  t.strictSame(await until('nobody of ours', ({ failure }) => failure?.code === 'no_target'), []);
  dns.answers.set(name, {
    kind: 'services',
    services: [target('theirs-mysql-0'), target('mine-mysql-1'), target('mine-mysql-0')],
  });
  t.strictSame(await untilFound(until, 2), [
    'mine-mysql-0.mysql.ns.svc.example:3306',
    'mine-mysql-1.mysql.ns.svc.example:3306',
  ]);
});

function address(name: string): CreateSource {
  return createAddressSource('dns', `dns://${name}:3306`, name, 3306);
}

function services(seed: Partial<DnsSeed> & Pick<DnsSeed, 'name'>): CreateSource {
  return createServiceSource('srv', { service: 'mysql', targetPrefix: '', ...seed }, { intervalMs: 100 });
}

type Until = (what: string, isWanted: (report: SourceReport) => boolean) => Promise<readonly string[]>;

function isGood({ failure, lastSuccessAtMs }: SourceReport): boolean {
  return failure === null && lastSuccessAtMs !== null;
}

function untilFound(until: Until, count: number): Promise<readonly string[]> {
  return until(`${count} addresses`, (report) => isGood(report) && report.destinations.length === count);
}

/** A source that asks a name server of the test's own, often. */
async function startLab(t: Test, create: CreateSource, firstServers: readonly string[] = []) {
  const dns = await startDnsServer();
  const resolver = createNameResolver({
    hostsPath,
    resolvConfPath,
    servers: [...firstServers, dns.server],
    timeoutMs: 100,
    minTtlMs: 50,
  });
  const reports: SourceReport[] = [];
  const source = create({
    resolver,
    now: () => performance.now(),
    random: Math.random,
    onReport: (report) => void reports.push(report),
  });
  // What waits after failures is not what is tried here.
  const hurry = setInterval(() => source.refresh(), 20);
  t.teardown(() => {
    clearInterval(hurry);
    source.close();
    resolver.close();
    dns.close();
  });
  const until: Until = (what, isWanted) =>
    waitFor({ what, timeoutMs: 15_000, intervalMs: 5 }, async () => {
      const report = source.report();
      return isWanted(report) ? report.destinations.map((found) => found.address) : undefined;
    });
  return { dns, until, reports: () => reports, latest: () => source.report() };
}
