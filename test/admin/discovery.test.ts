/** Sources of addresses, as the API, the page and the metrics show them. */
import t from 'tap';
import { ask, facts, startAdmin } from './fixture.ts';

t.test('sources of addresses are shown with what they found and what is wrong with them', async (t) => {
  const well = {
    name: 'srv://db.example',
    kind: 'dns',
    destinations: [{ address: 'db-0.db.example:3306', dialHost: null, zone: '', hint: 'none', labels: {} }],
    lastSuccessAtMs: 1_763_694_003_120,
    failure: null,
    successes: 3,
    failures: 1,
  };
  const failing = {
    ...well,
    name: 'kubernetes://ns/<db>',
    kind: 'kubernetes',
    destinations: [],
    lastSuccessAtMs: null,
    failure: { code: 'http_403', message: 'endpointslices is forbidden' },
  };
  const server = await startAdmin(facts({ discovery: () => [well, failing] }));
  t.teardown(() => server.close());
  const body = JSON.parse((await ask(server, '/api/v1/topology')).body);
  t.match(body.discovery, [
    { source: 'srv://db.example', addresses: ['db-0.db.example:3306'], failure: null, successes: 3 },
    { source: 'kubernetes://ns/<db>', addresses: [], lastSuccessAtMs: null, failure: { code: 'http_403' } },
  ]);
  const page = (await ask(server, '/')).body;
  t.match(
    page,
    /srv:\/\/db\.example[\s\S]*well[\s\S]*kubernetes:\/\/ns\/&lt;db&gt;[\s\S]*failing[\s\S]*forbidden/,
  );
  const metrics = (await ask(server, '/metrics')).body;
  t.match(metrics, 'fairlead_discovery_addresses{source="srv://db.example",kind="dns"} 1');
  t.match(metrics, 'fairlead_discovery_failing{source="kubernetes://ns/<db>",kind="kubernetes"} 1');
  t.match(
    metrics,
    'fairlead_discovery_last_success_timestamp_seconds{source="srv://db.example",kind="dns"} 1763694003.12',
  );
  t.notMatch(metrics, 'last_success_timestamp_seconds{source="kubernetes');
});
