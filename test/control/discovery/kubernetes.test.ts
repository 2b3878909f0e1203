/** Members by EndpointSlices, from a stand-in for the Kubernetes API and whatever befalls it. */
import { Buffer } from 'node:buffer';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import type { KubernetesSeed } from '../../../src/config/config.ts';
import {
  kubeconfigAccess,
  type OpenAccess,
  serviceAccountAccess,
} from '../../../src/control/discovery/kubernetes/access.ts';
import { createKubernetesSource } from '../../../src/control/discovery/kubernetes/kubernetes-source.ts';
import type { ListWatchTimes } from '../../../src/control/discovery/kubernetes/list-watch.ts';
import type { SourceReport } from '../../../src/control/discovery/source.ts';
import { createNameResolver } from '../../../src/control/resolver.ts';
import { missingParts, waitFor } from '../../../src/sandbox/index.ts';
import { requirePart } from '../../../src/sandbox/parts.ts';
import { KubeApi } from '../../support/kube-api.ts';

const SEED: KubernetesSeed = {
  kind: 'kubernetes',
  service: 'db',
  namespace: null,
  port: null,
  podSelector: '',
  clusterDomain: 'cluster.local',
  kubeconfig: null,
};

t.test('endpoints come, change and go, in pages and by events', async (t) => {
  const { api, until } = await startLab(t);
  await until('a Service without endpoints', ({ failure }) => failure?.code === 'no_endpoints');
  for (const [slice, pod] of ['a', 'b', 'c', 'd', 'e'].entries()) putSlice(api, `slice-${slice}`, [pod]);
  t.strictSame(await untilPods(until, 'abcde'), 'abcde');
  putSlice(api, 'slice-0', ['a', 'f']);
  await untilPods(until, 'abcdef');
  api.store.delete('endpointslices', 'ns', 'slice-1');
  await untilPods(until, 'acdef');
  putSlice(api, 'foreign', ['x'], { 'kubernetes.io/service-name': 'other' });
  putSlice(api, 'slice-2', ['c'], undefined, { terminating: true });
  const report = await until('a pod that is going', ({ destinations }) =>
    destinations.some(({ hint }) => hint === 'terminating'),
  );
  t.match(
    report.destinations.find(({ hint }) => hint === 'terminating'),
    { address: 'c.db.ns.svc.cluster.local:3306', dialHost: '10.0.0.99', zone: 'zone-c' },
  );
  t.notOk(report.destinations.some(({ address }) => address.startsWith('x.')));
  const lists = api.requests.filter((request) => !request.includes('watch=true'));
  t.match(
    lists[0],
    /^GET \/apis\/discovery\.k8s\.io\/v1\/namespaces\/ns\/endpointslices\?labelSelector=kubernetes\.io%2Fservice-name%3Ddb&limit=500$/,
  );
});

t.test('a list longer than a page is read to its end', async (t) => {
  const { api, until } = await startLab(t, { isFilled: true });
  await untilPods(until, 'abcdefg');
  t.equal(api.requests.filter((request) => /continue=\d/.test(request)).length, 3);
});

t.test(
  'a watch that ends, breaks, stalls or is told to begin anew changes nothing and is taken up again',
  async (t) => {
    const { api, until, latest } = await startLab(t, { isFilled: true });
    await untilPods(until, 'abcdefg');
    const faults: readonly (readonly [what: string, cause: () => void, means: 'watch' | 'list'])[] = [
      ['reset in the middle of a line', () => api.resetWatches(), 'watch'],
      ['a silent stall', () => api.stallWatches(), 'list'],
      ['410 Gone as an event', () => api.sendError(410, 'too old resource version'), 'list'],
      ['an ERROR event', () => api.sendError(500, 'etcdserver: leader changed'), 'list'],
      [
        'a history that was compacted',
        () => {
          api.store.forgetHistory();
          api.resetWatches();
        },
        'list',
      ],
    ];
    let pods = 'abcdefg';
    for (const [index, [what, cause, means]] of faults.entries()) {
      await waitFor({ what: 'a watch', timeoutMs: 20_000 }, async () =>
        api.openWatches === 1 ? true : undefined,
      );
      const before = api.requests.length;
      cause();
      // What happens meanwhile is not missed.
      const pod = 'hijkl'.charAt(index);
      putSlice(api, `more-${pod}`, [pod]);
      pods += pod;
      await untilPods(until, pods);
      await until(`${what}: well again`, ({ failure }) => failure === null);
      const asked = api.requests.slice(before).join('\n');
      t.equal(
        /limit=500/.test(asked),
        means === 'list',
        `${what}: ${means === 'list' ? 'listed anew' : 'no list needed'}`,
      );
    }
    t.equal(latest().destinations.length, 12);
  },
);

t.test('the API away, or refusing, changes no address, and is told once', async (t) => {
  const { api, until, reports } = await startLab(t, { isFilled: true });
  await untilPods(until, 'abcdefg');
  await api.down();
  const away = await until('a failure', ({ failure }) => failure !== null);
  t.match(away.failure?.code, /^(?:ECONNREFUSED|ECONNRESET)$/);
  t.equal(away.destinations.length, 7);
  await until('several attempts', ({ failures }) => failures > 2);
  t.ok(reports().filter(({ failure }) => failure !== null).length <= 2, 'not told each time');
  api.failWith = 403;
  await api.up();
  const refused = await until('a refusal', ({ failure }) => failure?.code === 'http_403');
  t.match(refused, { failure: { message: 'the test says so' }, destinations: { length: 7 } });
  api.failWith = null;
  putSlice(api, 'slice-0', ['a', 'z']);
  await untilPods(until, 'abcdefgz');
});

t.test('a token that was replaced is read again', async (t) => {
  const { api, until, directory } = await startLab(t, { isFilled: true });
  await untilPods(until, 'abcdefg');
  api.tokens.delete('first-token');
  api.tokens.add('second-token');
  api.resetWatches();
  await until('nobody to be known', ({ failure }) => failure?.code === 'http_401');
  writeFileSync(join(directory, 'token'), 'second-token\n');
  putSlice(api, 'slice-0', ['a', 'y']);
  await untilPods(until, 'abcdefgy');
});

t.test('a server with another authority is refused', async (t) => {
  const stranger = await KubeApi.start();
  t.teardown(() => stranger.down());
  const { until, api, directory } = await startLab(t, { ca: stranger.ca, isFilled: true });
  const refused = await until('a refusal', ({ failure }) => failure !== null);
  t.match(refused.failure?.message, /certificate|unable to verify/i);
  t.equal(refused.destinations.length, 0);
  writeFileSync(join(directory, 'ca.crt'), api.ca);
  await untilPods(until, 'abcdefg');
});

t.test(
  'pods are read for their labels where a selector is given; without the right to it, only they are missing',
  async (t) => {
    const { api, until } = await startLab(t, { isFilled: true, podSelector: 'app=db' });
    api.store.put('pods', 'ns', {
      metadata: {
        name: 'a',
        uid: 'uid-a',
        labels: { app: 'db', 'mysql.oracle.com/cluster-role': 'PRIMARY' },
      },
    });
    const labelled = await until('labels', ({ destinations }) =>
      destinations.some(({ labels }) => labels['mysql.oracle.com/cluster-role'] === 'PRIMARY'),
    );
    t.equal(labelled.destinations.length, 7);
  },
);

t.test('outside a pod, the source says what is missing', async (t) => {
  const { until } = await startLab(t, {
    access: serviceAccountAccess({ directory: '/nowhere', environment: {} }),
  });
  const report = await until('a failure', ({ failure }) => failure?.code === 'no_access');
  t.match(report.failure?.message, /not in a Kubernetes pod .* name a kubeconfig file/);
});

t.test('a kubeconfig file says where the API is and who asks', async (t) => {
  const { until } = await startLab(t, { isFilled: true, usesKubeconfig: true });
  await untilPods(until, 'abcdefg');
});

const noKubectl = await missingParts('kubectl');

t.test('the stand-in is what a real kubectl takes for an API server', { skip: noKubectl }, async (t) => {
  const kubectl = await requirePart('kubectl', (message) => t.comment(message));
  const { api, until, directory: folder } = await startLab(t);
  const kubeconfig = join(folder, 'kubeconfig');
  const run = async (...args: readonly string[]): Promise<string> => {
    const {
      file,
      args: all,
      env,
    } = kubectl.command('kubectl', ['--kubeconfig', kubeconfig, '-n', 'ns', ...args]);
    const { stdout } = await promisify(execFile)(file, [...all], {
      env: { ...env, HOME: folder },
      timeout: 60_000,
    });
    return stdout;
  };
  const manifest = join(folder, 'slice.json');
  writeFileSync(
    manifest,
    JSON.stringify({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      ...sliceOf('by-kubectl', ['k']),
    }),
  );
  await run('create', '--validate=false', '-f', manifest);
  await untilPods(until, 'k');
  const listed: unknown = JSON.parse(
    await run('get', 'endpointslices', '-l', 'kubernetes.io/service-name=db', '-o', 'json'),
  );
  t.match(listed, { items: [{ metadata: { name: 'by-kubectl' }, endpoints: [{ hostname: 'k' }] }] });
  const watching = run(
    'get',
    'endpointslices',
    '--watch',
    '--output-watch-events',
    '-o',
    'name',
    '--request-timeout=3s',
  ).catch((error: unknown) =>
    error instanceof Error && 'stdout' in error ? String(error.stdout) : String(error),
  );
  await waitFor({ what: 'kubectl to watch', timeoutMs: 20_000 }, async () =>
    api.openWatches > 1 ? true : undefined,
  );
  putSlice(api, 'later', ['l']);
  t.match(await watching, /endpointslice\.discovery\.k8s\.io\/later/);
  await run('delete', 'endpointslice', 'by-kubectl', '--wait=false');
  await untilPods(until, 'l');
});

type Until = (what: string, isWanted: (report: SourceReport) => boolean) => Promise<SourceReport>;

async function untilPods(until: Until, pods: string): Promise<string> {
  const names = ({ destinations }: SourceReport) =>
    destinations.map(({ address }) => address.charAt(0)).join('');
  return names(await until(`the pods ${pods}`, (report) => names(report) === pods));
}

type LabOptions = {
  /** Seven pods in as many slices from the start. */
  readonly isFilled?: boolean;
  readonly ca?: string;
  readonly podSelector?: string;
  readonly access?: OpenAccess;
  readonly usesKubeconfig?: boolean;
};

/** A source with the service account of a pod, and the API it asks; all that takes minutes takes moments. */
async function startLab(t: Test, options: LabOptions = {}) {
  const api = await KubeApi.start();
  if (options.isFilled === true) fill(api);
  const directory = t.testdir({});
  const kubeconfig = join(directory, 'kubeconfig');
  writeKubeconfig(kubeconfig, api, 'first-token');
  writeFileSync(join(directory, 'namespace'), 'ns');
  writeFileSync(join(directory, 'token'), 'first-token\n');
  writeFileSync(join(directory, 'ca.crt'), options.ca ?? api.ca);
  const environment = { KUBERNETES_SERVICE_HOST: api.host, KUBERNETES_SERVICE_PORT: String(api.port) };
  const times: ListWatchTimes = {
    answerMs: 5000,
    stallMs: 1000,
    watchMs: 60_000,
    shortMs: 50,
    relistMs: 600_000,
  };
  const create = createKubernetesSource(
    'kubernetes',
    { ...SEED, podSelector: options.podSelector ?? '' },
    {
      access:
        options.access ??
        (options.usesKubeconfig === true
          ? kubeconfigAccess(kubeconfig)
          : serviceAccountAccess({ directory, environment })),
      times,
    },
  );
  const resolver = createNameResolver({ servers: ['127.0.0.1:1'] });
  const reports: SourceReport[] = [];
  const source = create({
    resolver,
    now: () => performance.now(),
    random: Math.random,
    onReport: (report) => void reports.push(report),
  });
  t.teardown(async () => {
    source.close();
    resolver.close();
    await api.down();
  });
  const until: Until = (what, isWanted) =>
    waitFor({ what, timeoutMs: 20_000, intervalMs: 5 }, async () => {
      const report = source.report();
      return isWanted(report) ? report : undefined;
    });
  return { api, directory, until, reports: () => reports, latest: () => source.report() };
}

function fill(api: KubeApi): void {
  for (const [slice, pod] of [...'abcdefg'].entries()) putSlice(api, `slice-${slice}`, [pod]);
}

function putSlice(
  api: KubeApi,
  name: string,
  pods: readonly string[],
  labels?: Readonly<Record<string, string>>,
  conditions: Readonly<Record<string, boolean>> = { ready: true },
): void {
  api.store.put('endpointslices', 'ns', sliceOf(name, pods, labels, conditions));
}

function sliceOf(
  name: string,
  pods: readonly string[],
  labels: Readonly<Record<string, string>> = { 'kubernetes.io/service-name': 'db' },
  conditions: Readonly<Record<string, boolean>> = { ready: true },
): Readonly<Record<string, unknown>> {
  return {
    metadata: { name, labels },
    addressType: 'IPv4',
    ports: [{ name: 'mysql', port: 3306, protocol: 'TCP' }],
    endpoints: pods.map((pod) => ({
      addresses: [`10.0.0.${pod.charCodeAt(0)}`],
      hostname: pod,
      zone: `zone-${pod}`,
      conditions,
      targetRef: { kind: 'Pod', name: pod, uid: `uid-${pod}` },
    })),
  };
}

function writeKubeconfig(path: string, api: KubeApi, token: string): void {
  const authority = Buffer.from(api.ca).toString('base64');
  writeFileSync(
    path,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'test',
      clusters: [
        {
          name: 'test',
          cluster: { server: `https://127.0.0.1:${api.port}`, 'certificate-authority-data': authority },
        },
      ],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'ns' } }],
    }),
  );
}
