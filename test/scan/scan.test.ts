/** Some hundred strangers; ten thousand of them are `npm run scan`. */
import t from 'tap';
import { missingParts } from '../../src/sandbox/index.ts';
import { runCampaign } from './campaign.ts';

const skip = await missingParts('mysql', 'mariadb');

t.test('strangers at every port are no concern of the applications', { skip }, async (t) => {
  const seed = 1 + (Date.now() % 0x7fff_0000);
  const report = await runCampaign(t, { tries: 650, rounds: 1, concurrency: 6, crawlers: 10, seed });
  const { before, during, footprints } = report;
  const [first, last] = [footprints[0], footprints.at(-1)];
  t.comment(`seed ${seed}: ${JSON.stringify({ ...report, openssl: [] })}`);
  t.same(report.errors, [], 'no application was refused or cut off');
  t.ok(during.queries.count > 20, 'they were served meanwhile');
  // Scanner, applications, router and server share a busy machine here.
  t.ok(during.queries.p50 < before.queries.p50 + 50, 'as quickly as before');
  t.ok(during.visits.p50 < before.visits.p50 + 300);
  t.ok(report.connectErrors < 50, 'the server has little against the router’s address');
  t.equal(report.sessionsLeft, 0);
  if (first === undefined || last === undefined) throw new Error('nothing was measured');
  t.ok(last.descriptors <= first.descriptors + 4, 'no descriptor is left open');
  for (const [index, { thread, heapUsed, external, resources }] of last.threads.entries()) {
    const before = first.threads[index];
    if (before === undefined) throw new Error('a thread was started meanwhile');
    const grownKiB = (heapUsed + external - before.heapUsed - before.external) / 1024;
    t.ok(grownKiB < 2048, `memory of thread ${index} (${thread}) is where it was: ${grownKiB} KiB more`);
    // Those of the applications, and of this scrape.
    for (const kind of ['TCPSocketWrap', 'Timeout', 'TLSWrap'])
      t.ok((resources[kind] ?? 0) <= (before.resources[kind] ?? 0) + 6, `${kind}: none is left`);
  }
  t.ok(report.logLines < 2000, 'the log is no flood');
  for (const text of report.openssl) {
    t.match(text, /CONNECTED/);
    t.match(text, /Verify return code: 0 \(ok\)/, 'openssl s_client -starttls mysql gets TLS it can verify');
  }
});
