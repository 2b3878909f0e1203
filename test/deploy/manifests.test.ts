/** deploy/: everything renders without a warning, is what Kubernetes takes, and holds a configuration the router takes. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { z } from 'zod';
import { layer } from '../../src/config/layers.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { readYaml } from '../../src/config/yaml-file.ts';
import { createSandbox, missingParts } from '../../src/sandbox/index.ts';
import { type Manifest, only, parseManifests, problemsOf } from './manifests.ts';
import { DEPLOY, renderChart, renderKustomization } from './render.ts';

const noKubectl = await missingParts('kubectl');
const noGo = await missingParts('go-templates');
const sandbox = await createSandbox();
t.teardown(() => sandbox.close());

t.test('the checks find what they are there for', async (t) => {
  const broken = parseManifests(
    'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: many}], selektor: {}}',
  );
  const problems = (await Promise.all(broken.map(problemsOf))).flat().join('\n');
  t.match(problems, /spec\.selektor/, 'a field that does not exist');
  t.match(problems, /port/, 'a value of the wrong type');
});

t.test('the kustomize base and every example', { skip: noKubectl }, async (t) => {
  const kubectl = await sandbox.part('kubectl');
  const kustomize = join(DEPLOY, 'kustomize');
  const examples = await readdir(join(kustomize, 'examples'));
  const folders = [join(kustomize, 'base'), ...examples.map((name) => join(kustomize, 'examples', name))];
  for (const folder of folders) {
    const manifests = parseManifests(await renderKustomization(kubectl, folder));
    await judge(t, folder.slice(kustomize.length + 1), manifests);
  }
});

t.test('the chart', { skip: noGo }, async (t) => {
  const go = await sandbox.part('go-templates');
  const plain = await renderChart(go, 'fairlead', {});
  await judge(t, 'with its own values', plain.manifests);
  t.match(plain.notes, /fairlead\.shop:/, 'the notes name the Service');
  t.equal(
    plain.manifests.some(({ kind }) => kind === 'HorizontalPodAutoscaler'),
    false,
  );

  const all = await renderChart(go, 'db', EVERYTHING_ON);
  await judge(t, 'with everything switched on', all.manifests);
  for (const kind of ['HorizontalPodAutoscaler', 'Role', 'RoleBinding', 'ServiceMonitor', 'PrometheusRule']) {
    t.ok(only(all.manifests, kind), `there is a ${kind}`);
  }
  t.equal(only(all.manifests, 'Deployment').metadata.name, 'db-fairlead');
  t.match(configurationIn(all.manifests), /topology: async/, 'the configuration is what the values say');

  await t.rejects(
    renderChart(go, 'db', { monitoring: { existingSecret: '' } }),
    /monitoring\.existingSecret/,
    'without the Secret it says what is missing',
  );
});

t.test('the chart and the base are the same router', { skip: noKubectl || noGo }, async (t) => {
  const base = parseManifests(
    await renderKustomization(await sandbox.part('kubectl'), join(DEPLOY, 'kustomize', 'base')),
  );
  const { manifests: chart } = await renderChart(await sandbox.part('go-templates'), 'fairlead', {});
  const container = (manifests: readonly Manifest[]) => podOf(manifests).containers[0];
  t.same(container(chart), container(base), 'the container');
  t.same(podOf(chart).securityContext, podOf(base).securityContext, 'its security');
  for (const name of ['fairlead', 'fairlead-admin']) {
    const ports = (manifests: readonly Manifest[]) => servicePorts(only(manifests, 'Service', name));
    t.same(ports(chart), ports(base), `the ports of Service ${name}`);
  }
  for (const manifests of [base, chart]) {
    const { spec } = only(manifests, 'Service', 'fairlead-admin');
    t.match(
      spec,
      { publishNotReadyAddresses: true },
      'the status page of a router that is not ready is found',
    );
  }
  t.same(parse(configurationIn(chart)), parse(configurationIn(base)), 'the configuration');
});

t.test('the alerts are the same wherever they stand', async (t) => {
  const read = async (...path: string[]) => parse(await readFile(join(DEPLOY, ...path), 'utf8'));
  const { groups } = await read('prometheus', 'alerts.yaml');
  t.same((await read('chart', 'files', 'alerts.yaml')).groups, groups);
  t.same((await read('kustomize', 'components', 'prometheus-operator', 'rules.yaml')).spec.groups, groups);
});

async function judge(t: Test, what: string, manifests: readonly Manifest[]): Promise<void> {
  const problems = (await Promise.all(manifests.map(problemsOf))).flat();
  t.same(problems, [], `${what}: Kubernetes takes all of it`);
  const read = layer({
    file: readYaml('fairlead.yaml', configurationIn(manifests)),
    environment: environmentOf(manifests),
    flags: {},
  });
  const parsed = parseConfig(read, {
    passwordFile: { ok: true, text: 'secret' },
    automaticThreads: 2,
    pathOf: (_at, written) => written,
  });
  t.same(parsed.ok ? [] : parsed.problems, [], `${what}: the router takes its configuration`);
  if (!parsed.ok) return;
  const pod = podOf(manifests);
  const graceMs = pod.terminationGracePeriodSeconds * 1000;
  t.ok(parsed.config.drain.timeoutMs <= graceMs - 5000, `${what}: draining ends well before SIGKILL`);
  const [container] = pod.containers;
  const named = new Map(container?.ports.map(({ name, containerPort }) => [name, containerPort]));
  t.equal(named.get('admin'), parsed.config.admin.listen.port, `${what}: probes reach the admin server`);
  for (const route of parsed.config.routes) {
    t.ok(
      [...named.values()].includes(route.listen.port),
      `${what}: the port of route ${route.name} is declared`,
    );
  }
  const labels = podLabels(manifests);
  for (const service of manifests.filter(
    (manifest) => manifest.kind === 'Service' && hasSelector(manifest['spec']),
  )) {
    const { selector, ports } = serviceSchema.parse(service['spec']);
    t.match(labels, selector, `${what}: Service ${service.metadata.name} selects the pods`);
    t.ok(
      ports.every(({ targetPort }) => named.has(targetPort)),
      `${what}: its ports lead somewhere`,
    );
  }
  for (const manifest of manifests.filter(({ kind }) => SELECTS_PODS.has(kind))) {
    const { podSelector, selector } = selectingSchema.parse(manifest['spec']);
    const wanted = podSelector?.matchLabels ?? selector?.matchLabels ?? {};
    const name = `${what}: ${manifest.kind} ${manifest.metadata.name}`;
    // An empty selector is every pod of the namespace to a NetworkPolicy; a PodDisruptionBudget without one has no pods.
    t.ok(Object.keys(wanted).length > 0, `${name} says which pods it is for`);
    t.match(labels, wanted, `${name} is for the router's`);
  }
  for (const { spec } of manifests.filter(({ kind }) => kind === 'HorizontalPodAutoscaler'))
    t.match(spec, {
      scaleTargetRef: { kind: 'Deployment', name: only(manifests, 'Deployment').metadata.name },
    });
  t.match(pod, RESTRICTED, `${what}: nothing more is allowed to the pod than it needs`);
}

const containerSchema = z.looseObject({
  env: z.array(z.object({ name: z.string(), value: z.string() })),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })),
});
const podSchema = z.looseObject({
  terminationGracePeriodSeconds: z.number(),
  securityContext: z.unknown(),
  containers: z.array(containerSchema),
});
const deploymentSchema = z.looseObject({
  template: z.looseObject({
    metadata: z.looseObject({ labels: z.record(z.string(), z.string()) }),
    spec: podSchema,
  }),
});
const SELECTS_PODS: ReadonlySet<string> = new Set(['NetworkPolicy', 'PodDisruptionBudget']);
const podLabelsSchema = z.looseObject({ matchLabels: z.record(z.string(), z.string()).optional() });
const selectingSchema = z.looseObject({
  podSelector: podLabelsSchema.optional(),
  selector: podLabelsSchema.optional(),
});
const serviceSchema = z.looseObject({
  selector: z.record(z.string(), z.string()),
  ports: z.array(z.object({ name: z.string(), port: z.number(), targetPort: z.string() })),
});

function podOf(manifests: readonly Manifest[]): z.output<typeof podSchema> {
  return deploymentSchema.parse(only(manifests, 'Deployment')['spec']).template.spec;
}

/** Without the place of the file, which is read already. */
function environmentOf(manifests: readonly Manifest[]): Readonly<Record<string, string>> {
  const variables = podOf(manifests).containers.flatMap(({ env }) => env);
  const entries = variables.map(({ name, value }) => [name, value] as const);
  return Object.fromEntries(entries.filter(([name]) => name !== 'FAIRLEAD_CONFIG'));
}

function podLabels(manifests: readonly Manifest[]): Readonly<Record<string, string>> {
  return deploymentSchema.parse(only(manifests, 'Deployment')['spec']).template.metadata.labels;
}

function servicePorts(service: Manifest): unknown {
  return serviceSchema.parse(service['spec']).ports;
}

function hasSelector(spec: unknown): boolean {
  return serviceSchema.safeParse(spec).success;
}

function configurationIn(manifests: readonly Manifest[]): string {
  const data = z.object({ 'fairlead.yaml': z.string() }).parse(only(manifests, 'ConfigMap')['data']);
  return data['fairlead.yaml'];
}

/** The "restricted" profile of Kubernetes' pod security standards, and a file system nobody can write to. */
const RESTRICTED = {
  automountServiceAccountToken: Boolean,
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [
    {
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    },
  ],
};

const EVERYTHING_ON = {
  image: { tag: '9.9.9', pullSecrets: [{ name: 'registry' }] },
  config: { cluster: { topology: 'async', seeds: ['db-0.db:3306'] } },
  tls: { existingSecret: 'fairlead-tls' },
  service: { type: 'LoadBalancer', annotations: { 'example.com/internal': 'true' } },
  autoscaling: { enabled: true },
  kubernetesDiscovery: { enabled: true, pods: true },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
  podAnnotations: { 'example.com/team': 'data' },
  podLabels: { team: 'data' },
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'dedicated', operator: 'Exists' }],
  affinity: { podAntiAffinity: {} },
  priorityClassName: 'high',
};
