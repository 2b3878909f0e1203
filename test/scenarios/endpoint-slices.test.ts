/** A router that finds its members by EndpointSlices, from a stand-in for the Kubernetes API. DNS does not know their names, until the API is away. */
import { Buffer } from 'node:buffer';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createSandbox, waitFor } from '../../src/sandbox/index.ts';
import { startDnsServer } from '../control/dns-server.ts';
import { memberBehind } from '../support/clients.ts';
import { KubeApi } from '../support/kube-api.ts';
import { RouterProcess } from '../support/router-process.ts';
import { ScriptedMember } from '../support/scripted-member.ts';

t.test('a router behind EndpointSlices', async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const api = await KubeApi.start();
  t.teardown(() => api.down());
  const members = await Promise.all([0, 1, 2].map((index) => ScriptedMember.start(index, index > 0)));
  t.teardown(() => Promise.all(members.map((member) => member.close())));
  const ports = members.map((member) => member.port);
  // A slice has one port for all its endpoints, and here each has its own.
  const dns = await startDnsServer();
  t.teardown(() => dns.close());
  const publish = (
    index: number,
    conditions: Readonly<Record<string, boolean>> = {},
    host = '127.0.0.1',
  ): void => {
    api.store.put('endpointslices', 'ns', {
      metadata: { name: `slice-${index}`, labels: { 'kubernetes.io/service-name': 'db' } },
      addressType: 'IPv4',
      ports: [{ name: 'mysql', port: ports[index] }],
      endpoints: [
        { addresses: [host], hostname: `db-${index}`, conditions, targetRef: { uid: `uid-${index}` } },
      ],
    });
  };
  for (const index of members.keys()) publish(index);
  const kubeconfig = join(sandbox.directory, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigOf(api));
  const router = await RouterProcess.start(t, sandbox, {
    seeds: [`kubernetes:///db?kubeconfig=${kubeconfig}`],
    flags: ['--threads=1', `--dns-servers=${dns.server}`],
  });

  const { primary } = await router.untilServing(2);
  t.equal(primary, `db-0.db.ns.svc.cluster.local:${members[0]?.port}`, 'by the name its pod has');
  t.equal(await memberBehind(router.ports.rw), members[0]?.port, 'and dialled at the address of its slice');

  publish(2, { ready: true, serving: true, terminating: true });
  const going = await router.untilServing(1);
  t.match(
    going.members.find(({ address }) => address.startsWith('db-2.')),
    { acceptsReads: false, reason: 'its pod is being terminated', state: 'ONLINE' },
  );
  for (let visit = 0; visit < 4; visit += 1) t.equal(await memberBehind(router.ports.ro), members[1]?.port);
  publish(2);
  await router.untilServing(2);

  await api.down();
  await waitFor({ what: 'a failure', timeoutMs: 20_000 }, async () =>
    (await router.metric('fairlead_discovery_failing')) === 1 ? true : undefined,
  );
  t.equal(await memberBehind(router.ports.rw), members[0]?.port, 'without the API nothing changes');
  t.equal((await router.untilServing(2)).members.length, 3);

  // Its pod is made anew elsewhere, and only DNS tells where.
  const port = ports[1] ?? 0;
  await members[1]?.close();
  await router.untilServing(1);
  const anew = await ScriptedMember.start(1, true, { host: '127.0.0.2', port });
  t.teardown(() => anew.close());
  dns.answers.set('db-1.db.ns.svc.cluster.local', {
    kind: 'addresses',
    addresses: ['127.0.0.2'],
    ttlSeconds: 1,
  });
  await router.untilServing(2);

  publish(1, {}, '127.0.0.2');
  await api.up();
  api.store.delete('endpointslices', 'ns', 'slice-2');
  await router.untilServing(1);
  t.equal(await memberBehind(router.ports.ro), port);
});

function kubeconfigOf(api: KubeApi): string {
  const authority = Buffer.from(api.ca).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [
      {
        name: 'test',
        cluster: { server: `https://127.0.0.1:${api.port}`, 'certificate-authority-data': authority },
      },
    ],
    users: [{ name: 'test', user: { token: 'first-token' } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'ns' } }],
  });
}
