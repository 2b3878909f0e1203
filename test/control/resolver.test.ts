import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { namesToAsk, parseHostsFile, parseResolvConf } from '../../src/control/name-files.ts';
import { createNameWatch } from '../../src/control/name-watch.ts';
import { createNameResolver } from '../../src/control/resolver.ts';
import { waitFor } from '../../src/sandbox/index.ts';
import { startDnsServer } from './dns-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'fairlead-names-'));
t.teardown(() => rmSync(directory, { recursive: true }));
const hostsPath = join(directory, 'hosts');
const resolvConfPath = join(directory, 'resolv.conf');
writeFileSync(hostsPath, '127.0.0.1 localhost\n');
writeFileSync(resolvConfPath, 'search db.example ops.example\n');

t.test('names in a hosts file', async (t) => {
  const hosts = parseHostsFile(
    '# all\n10.0.0.1  DB-1 db-1.example # the first\n\n::1 localhost\n10.0.0.2 db-1\n',
  );
  t.strictSame(hosts.get('db-1'), ['10.0.0.1', '10.0.0.2']);
  t.strictSame(hosts.get('db-1.example'), ['10.0.0.1']);
  t.strictSame(hosts.get('localhost'), ['::1']);
  t.equal(hosts.get('the'), undefined);
});

t.test('how names are completed', async (t) => {
  const rules = parseResolvConf(
    'nameserver 10.0.0.53\nsearch a.example b.example. # two\noptions timeout:1 ndots:2\n',
  );
  t.strictSame(rules, { domains: ['a.example', 'b.example.'], ndots: 2 });
  t.strictSame(namesToAsk('db', rules), ['db.a.example', 'db.b.example', 'db']);
  t.strictSame(namesToAsk('db.one', rules), ['db.one.a.example', 'db.one.b.example', 'db.one']);
  t.strictSame(namesToAsk('db.one.two', rules), [
    'db.one.two',
    'db.one.two.a.example',
    'db.one.two.b.example',
  ]);
  t.strictSame(namesToAsk('db.', rules), ['db']);
  t.strictSame(namesToAsk('db', parseResolvConf('')), ['db']);
});

t.test('an address needs nobody, a name in the hosts file no name server', async (t) => {
  const resolver = createNameResolver({ hostsPath, resolvConfPath, servers: ['127.0.0.1:1'] });
  t.teardown(() => resolver.close());
  t.strictSame(await resolver.lookup('192.0.2.7', null), {
    kind: 'found',
    host: '192.0.2.7',
    ttlMs: Number.POSITIVE_INFINITY,
  });
  t.match(await resolver.lookup('::1', null), { kind: 'found', host: '::1' });
  t.match(await resolver.lookup('LocalHost', null), { kind: 'found', host: '127.0.0.1' });
  t.match(await resolver.lookup('added', null), { kind: 'not-found' });
  writeFileSync(hostsPath, '127.0.0.1 localhost\n192.0.2.9 added\n');
  t.match(
    await resolver.lookup('added', null),
    { kind: 'found', host: '192.0.2.9' },
    'the file is read again',
  );
});

t.test(
  'a name server is asked, with the search list, and its time to live is kept within bounds',
  async (t) => {
    const dns = await startDnsServer();
    const resolver = createNameResolver({ hostsPath, resolvConfPath, servers: [dns.server], timeoutMs: 200 });
    t.teardown(() => {
      resolver.close();
      dns.close();
    });
    dns.answers.set('db-1.ops.example', {
      kind: 'addresses',
      addresses: ['192.0.2.1', '192.0.2.2'],
      ttlSeconds: 7,
    });
    t.strictSame(await resolver.lookup('db-1', null), { kind: 'found', host: '192.0.2.1', ttlMs: 7000 });
    t.strictSame(dns.asked, ['db-1.db.example', 'db-1.ops.example']);
    t.match(await resolver.lookup('db-1', '192.0.2.2'), { host: '192.0.2.2' }, 'the address in use is kept');
    dns.answers.set('short.example', { kind: 'addresses', addresses: ['192.0.2.3'], ttlSeconds: 0 });
    t.match(await resolver.lookup('short.example', null), { ttlMs: 1000 });
    dns.answers.set('long.example', { kind: 'addresses', addresses: ['192.0.2.3'], ttlSeconds: 86_400 });
    t.match(await resolver.lookup('long.example', null), { ttlMs: 30_000 });
    t.match(await resolver.lookup('nobody.example', null), { kind: 'not-found', code: 'ENOTFOUND' });
    dns.answers.set('broken.example', { kind: 'failure' });
    t.match(await resolver.lookup('broken.example', null), { kind: 'not-found', code: 'ESERVFAIL' });
    dns.answers.set('silent.example', { kind: 'silence' });
    t.match(await resolver.lookup('silent.example', null), { kind: 'not-found', code: 'ETIMEOUT' });
    t.match(
      await resolver.lookup('long.example', null),
      { kind: 'found' },
      'the next question is asked afresh',
    );
  },
);

t.test('a search domain whose name servers are broken hides no complete name', async (t) => {
  const dns = await startDnsServer();
  const brokenConf = join(directory, 'broken.conf');
  writeFileSync(brokenConf, 'search db.example corp.example ops.example\noptions ndots:5\n');
  const resolver = createNameResolver({
    hostsPath,
    resolvConfPath: brokenConf,
    servers: [dns.server],
    timeoutMs: 200,
  });
  t.teardown(() => {
    resolver.close();
    dns.close();
  });
  const address = (host: string) => ({ kind: 'addresses' as const, addresses: [host], ttlSeconds: 7 });
  dns.answers.set('mydb.cloud.example.corp.example', { kind: 'failure' });
  dns.answers.set('mydb.cloud.example', address('192.0.2.1'));
  t.match(await resolver.lookup('mydb.cloud.example', null), { kind: 'found', host: '192.0.2.1' });
  dns.answers.delete('mydb.cloud.example');
  t.match(
    await resolver.lookup('mydb.cloud.example', null),
    { code: 'ESERVFAIL' },
    'it is not known that it is gone',
  );
  dns.answers.set('db-1.corp.example', { kind: 'failure' });
  dns.answers.set('db-1.ops.example', address('192.0.2.2'));
  t.match(
    await resolver.lookup('db-1', null),
    { code: 'ESERVFAIL' },
    'another completion may be somebody else',
  );
});

t.test('name servers that always take longer than a question is given are given longer', async (t) => {
  const dns = await startDnsServer();
  const resolver = createNameResolver({ hostsPath, resolvConfPath, servers: [dns.server], timeoutMs: 260 });
  t.teardown(() => {
    resolver.close();
    dns.close();
  });
  dns.answers.set('slow.example', { kind: 'addresses', addresses: ['192.0.2.1'], ttlSeconds: 1 });
  // Longer than the second try lasts, which is twice the first at the most: c-ares wants no answer to its first question then.
  dns.delayMs = 700;
  await waitFor({ what: 'an answer', timeoutMs: 15_000, intervalMs: 10 }, async () =>
    (await resolver.lookup('slow.example', null)).kind === 'found' ? true : undefined,
  );
});

t.test('a watched name keeps its last good address, and follows the next one', async (t) => {
  const dns = await startDnsServer();
  const resolver = createNameResolver({ hostsPath, resolvConfPath, servers: [dns.server], timeoutMs: 200 });
  const found: string[] = [];
  const failures: string[] = [];
  dns.answers.set('pod.example', { kind: 'addresses', addresses: ['192.0.2.1'], ttlSeconds: 1 });
  const watch = createNameWatch({
    name: 'pod.example',
    given: null,
    resolver,
    now: () => performance.now(),
    random: Math.random,
    onAddress: (host) => found.push(host),
    onFailure: (code, hadAddress) => failures.push(`${code} ${hadAddress}`),
  });
  t.teardown(() => {
    watch.close();
    resolver.close();
    dns.close();
  });
  await waitFor({ what: 'the first address', timeoutMs: 20_000 }, async () => found[0]);
  dns.answers.set('pod.example', { kind: 'no-such-name' });
  await waitFor({ what: 'a failure', timeoutMs: 20_000 }, async () => failures[0]);
  t.equal(failures[0], 'ENOTFOUND true');
  t.equal(watch.current(), '192.0.2.1');
  dns.answers.set('pod.example', { kind: 'addresses', addresses: ['192.0.2.2'], ttlSeconds: 1 });
  await waitFor({ what: 'the next address', timeoutMs: 20_000 }, async () => found[1]);
  t.strictSame(found, ['192.0.2.1', '192.0.2.2']);
});
