import { createServer, type RequestListener } from 'node:http';
import t from 'tap';
import { facts, healthyTopology, noTopology, startAdmin } from '../admin/fixture.ts';
import { runCommand } from './terminal.ts';

/** An HTTP server that is not Fairlead. */
async function startOther(answer: RequestListener): Promise<{ readonly url: string; close(): void }> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

t.test('fairlead status prints members and routes of a healthy router and exits with 0', async (t) => {
  const admin = await startAdmin(facts());
  t.teardown(() => admin.close());
  const result = await runCommand(['status', '--admin', `127.0.0.1:${admin.address().port}`]);
  t.equal(result.error, '');
  t.equal(result.code, 0);
  t.match(
    result.out,
    /^127\.0\.0\.1:\d+: ready: 2 of 2 routes can route\nprimary: db-1:3306 \(single-primary, group 5f0f/,
  );
  t.match(result.out, /^MEMBER +ROLE +STATE +WRITES +READS +VERSION +REASON$/m);
  t.match(result.out, /^db-1:3306 +PRIMARY +ONLINE +yes +yes +9\.7\.0$/m);
  t.match(result.out, /^db-2:3306 +SECONDARY +ONLINE +no +yes +9\.7\.0$/m);
  t.match(result.out, /^ro +127\.0\.0\.1:6447 +secondary +round-robin-with-fallback +\d +0 +0$/m);
});

t.test('fairlead status exits with 3 when the router is not ready, and says why', async (t) => {
  const admin = await startAdmin(facts({ topology: noTopology }));
  t.teardown(() => admin.close());
  const result = await runCommand(['status'], { FAIRLEAD_ADMIN_LISTEN: `:${admin.address().port}` });
  t.equal(result.code, 3);
  t.match(result.out, /not ready: no route can route\nprimary: none \(unknown, no quorum, version 0\)/);
  t.match(result.out, 'no member is known');
});

t.test('fairlead status --json is for programs', async (t) => {
  const admin = await startAdmin(facts());
  t.teardown(() => admin.close());
  const { code, out } = await runCommand([
    'status',
    '--json',
    '--admin',
    `127.0.0.1:${admin.address().port}`,
  ]);
  t.equal(code, 0);
  t.match(JSON.parse(out), {
    isReady: true,
    topology: { primary: 'db-1:3306' },
    routes: [{ name: 'rw' }, { name: 'ro' }],
  });
});

t.test('what a server said cannot steer the terminal', async (t) => {
  const healthy = healthyTopology();
  const admin = await startAdmin(
    facts({ topology: () => ({ ...healthy, alarms: ['two \u001b[2J primaries'] }) }),
  );
  t.teardown(() => admin.close());
  const { out } = await runCommand(['status', '--admin', `127.0.0.1:${admin.address().port}`]);
  t.match(out, 'alarm: two ?[2J primaries');
});

t.test('when nothing answers, or something else does, it says so and exits with 1', async (t) => {
  const gone = await startOther((_request, response) => response.end());
  gone.close();
  const refused = await runCommand(['status', '--admin', gone.url]);
  t.equal(refused.code, 1);
  t.match(refused.error, new RegExp(`^fairlead: nothing answers at ${gone.url}: connect ECONNREFUSED`));
  t.match(refused.error, /admin\.listen/);

  const other = await startOther((_request, response) => response.end('<html>'));
  t.teardown(() => other.close());
  const strange = await runCommand(['status', '--admin', other.url]);
  t.equal(strange.code, 1);
  t.match(strange.error, /is not the admin server of a Fairlead/);
});
