/**
 * The dashboard and the alerts in use: a real Prometheus scrapes a real router while its cluster loses the primary and
 * then its quorum. Every expression of the dashboard has an answer, and the alerts fire that should, when they should.
 */
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { stringify } from 'yaml';
import { z } from 'zod';
import { createSandbox, missingParts, type Sandbox, waitFor } from '../../src/sandbox/index.ts';
import { runCommand } from '../../src/sandbox/run-command.ts';
import { ask, errorName } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';
import { DEPLOY } from './render.ts';

const noParts = await missingParts('mysql', 'prometheus');
const ALERTS = join(DEPLOY, 'prometheus', 'alerts.yaml');

t.test('a router whose cluster fails, watched by Prometheus', { skip: noParts }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const prometheusPart = await sandbox.part('prometheus');
  await runCommand(prometheusPart.command('promtool', ['check', 'rules', ALERTS]));
  await t.test('servers without a group lose their primary, and no quorum', async (t) => {
    const folder = t.testdir({ 'rules.test.yaml': QUORUM_RULES });
    await runCommand(prometheusPart.command('promtool', ['test', 'rules', join(folder, 'rules.test.yaml')]));
  });
  const group = await sandbox.startGroup({ size: 3 });
  const seeds = group.members.map(({ address }) => address);
  const router = await RouterProcess.start(t, sandbox, { seeds, flags: ['--hold-timeout=5s'] });
  const prometheus = await Prometheus.start(t, sandbox, router.adminPort);
  await router.untilServing(2);
  await traffic(router.ports);
  await prometheus.until(
    'the first scrapes',
    'count_over_time(up[1m]) > 3 and on() max(fairlead_topology_has_primary) == 1',
  );
  t.same(await prometheus.firing(), [], 'all is well, and nothing fires');

  const former = await group.primary();
  await former.kill();
  await group.waitForNewPrimary(former);
  await traffic(router.ports);
  await prometheus.until('the new primary', 'max(fairlead_topology_has_primary) == 1');
  t.same(
    (await prometheus.firing()).filter((name) => name !== 'FairleadHeldSessions'),
    [],
    'an election is no emergency',
  );
  await t.test('every panel of the dashboard has an answer', (t) => judgeDashboard(t, prometheus));

  const [survivor] = await group.secondaries();
  await (await group.primary()).kill();
  t.ok(survivor, 'one of three is left');
  t.equal(
    await ask(router.ports.rw, 'DO 1').then(String, errorName),
    '2003',
    'a writer is refused after the hold',
  );
  const expected = ['FairleadClientsRefused', 'FairleadNoPrimary', 'FairleadNoQuorum'];
  await prometheus.untilFiring(expected);
  t.pass(`these fire: ${(await prometheus.firing()).join(', ')}`);
});

async function traffic({ rw, ro }: { readonly rw: number; readonly ro: number }): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await ask(rw, 'SELECT 1');
    await ask(ro, 'SELECT 1');
  }
  await ask(rw, 'SELECT * FROM nowhere.nothing').catch((error: unknown) => {
    if (errorName(error) !== '1049' && errorName(error) !== '1146' && errorName(error) !== '1142')
      throw error;
  });
}

async function judgeDashboard(t: Test, prometheus: Prometheus): Promise<void> {
  const dashboard = dashboardSchema.parse(
    JSON.parse(await readFile(join(DEPLOY, 'grafana', 'fairlead.json'), 'utf8')),
  );
  const asked = dashboard.panels.flatMap(({ title, targets }) =>
    (targets ?? []).map(({ expr }) => ({ title, expr })),
  );
  const annotations = dashboard.annotations.list.map(({ name, expr }) => ({ title: name, expr }));
  t.ok(asked.length > 20, `${asked.length} expressions`);
  for (const { title, expr } of [...asked, ...annotations]) {
    const answer = await prometheus.query(withVariables(expr));
    t.ok(answer.length > 0, `${title}: ${expr}`);
  }
}

/** As Grafana fills them in when everything is chosen. */
function withVariables(expr: string): string {
  return expr
    .replaceAll(/\$(namespace|job|instance)\b/g, '.*')
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__interval', '1m');
}

class Prometheus {
  readonly #address: string;

  private constructor(address: string) {
    this.#address = address;
  }

  /** Scrapes the router once a second, under the rules of deploy/. Returns when it answers. */
  static async start(t: Test, sandbox: Sandbox, routerAdminPort: number): Promise<Prometheus> {
    const [port] = await sandbox.reservePorts(1);
    const directory = join(sandbox.directory, 'prometheus');
    await mkdir(directory);
    const configuration = join(directory, 'prometheus.yaml');
    await writeFile(
      configuration,
      stringify({
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: [ALERTS],
        scrape_configs: [
          { job_name: 'fairlead', static_configs: [{ targets: [`127.0.0.1:${routerAdminPort}`] }] },
        ],
      }),
    );
    const { file, args, env } = (await sandbox.part('prometheus')).command('prometheus', [
      `--config.file=${configuration}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ]);
    const child = spawn(file, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...env, FAIRLEAD_SANDBOX: sandbox.directory },
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    t.teardown(() => void child.kill('SIGKILL'));
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`);
    await waitFor({ what: 'Prometheus to answer', timeoutMs: 30_000 }, async () => {
      if (child.exitCode !== null) throw new Error(`Prometheus ended: ${said}`);
      const answer = await fetch(`${prometheus.#address}/-/ready`).catch(() => null);
      return answer?.ok === true ? true : undefined;
    });
    return prometheus;
  }

  async query(expr: string): Promise<readonly unknown[]> {
    const answer = await fetch(`${this.#address}/api/v1/query`, {
      method: 'POST',
      body: new URLSearchParams({ query: expr }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${expr}: ${text}`);
    return querySchema.parse(JSON.parse(text)).data.result;
  }

  /** Names of the alerts that fire, each once, in order. */
  async firing(): Promise<readonly string[]> {
    const answer = await fetch(`${this.#address}/api/v1/alerts`);
    const { data } = alertsSchema.parse(await answer.json());
    const names = data.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname);
    return [...new Set(names)].sort();
  }

  async until(what: string, expr: string): Promise<void> {
    await waitFor({ what, timeoutMs: 60_000, intervalMs: 200 }, async () =>
      (await this.query(expr)).length > 0 ? true : undefined,
    );
  }

  async untilFiring(names: readonly string[]): Promise<void> {
    await waitFor({ what: `alerts ${names.join(', ')}`, timeoutMs: 60_000, intervalMs: 500 }, async () => {
      const firing = await this.firing();
      return names.every((name) => firing.includes(name)) ? true : undefined;
    });
  }
}

const querySchema = z.object({ data: z.object({ result: z.array(z.unknown()) }) });
const alertsSchema = z.object({
  data: z.object({
    alerts: z.array(z.object({ state: z.string(), labels: z.looseObject({ alertname: z.string() }) })),
  }),
});
const dashboardSchema = z.object({
  panels: z.array(
    z.looseObject({ title: z.string(), targets: z.array(z.looseObject({ expr: z.string() })).optional() }),
  ),
  annotations: z.object({ list: z.array(z.looseObject({ name: z.string(), expr: z.string() })) }),
});

/** Two clusters that have lost everything, as Prometheus sees them: promtool plays the series and says what differs. */
const QUORUM_RULES = `
rule_files: ["${ALERTS}"]
evaluation_interval: 5s
tests:
  - interval: 5s
    input_series:
      - { series: 'fairlead_topology_has_primary{job="async"}', values: "0x20" }
      - { series: 'fairlead_topology_has_quorum{job="async"}', values: "0x20" }
      - { series: 'fairlead_topology_info{job="async", mode="single-primary", group_name=""}', values: "1x20" }
      - { series: 'fairlead_topology_has_primary{job="group"}', values: "0x20" }
      - { series: 'fairlead_topology_has_quorum{job="group"}', values: "0x20" }
      - { series: 'fairlead_topology_info{job="group", mode="single-primary", group_name="aaaa"}', values: "1x20" }
    promql_expr_test:
      - expr: ALERTS{alertstate="firing"}
        eval_time: 1m
        exp_samples:
          - { labels: 'ALERTS{alertname="FairleadNoPrimary", alertstate="firing", job="async", severity="critical"}', value: 1 }
          - { labels: 'ALERTS{alertname="FairleadNoPrimary", alertstate="firing", job="group", severity="critical"}', value: 1 }
          - { labels: 'ALERTS{alertname="FairleadNoQuorum", alertstate="firing", job="group", severity="critical"}', value: 1 }
`;
