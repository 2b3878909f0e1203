/** Servers of both kinds with certificates, and a router in front of each with one route for every TLS mode. */
import type { Sandbox, Server, Variables } from '../../src/sandbox/index.ts';
import { RouterProcess } from '../support/router-process.ts';
import type { Scope } from '../support/scope.ts';
import { type Certificates, certificateVariables, createCertificates } from './certificates.ts';
import type { Mode } from './modes.ts';

export type Site = {
  readonly server: Server;
  readonly router: RouterProcess;
  readonly certificates: Certificates;
  /** Where a mode's route listens. */
  portOf(mode: Mode): number;
};

export async function createSite(
  scope: Scope,
  sandbox: Sandbox,
  kind: Server['kind'],
  modes: readonly Mode[],
): Promise<Site> {
  const certificates = await createCertificates(sandbox);
  const variables: Variables = {
    ...certificateVariables(certificates),
    ...(kind === 'mysql'
      ? { session_track_gtids: 'OWN_GTID' }
      : { performance_schema: 'ON', plugin_maturity: 'experimental' }),
  };
  const server =
    kind === 'mysql' ? await sandbox.startServer({ variables }) : await sandbox.startMariadb({ variables });
  const { certificate, key } = certificates;
  const routes = modes.map(({ name, client, server }) => {
    const tls = [`clientSslMode=${client}`, `serverSslMode=${server}`];
    // Passed through, the certificate is the server's.
    if (client !== 'passthrough') tls.push(`clientSslCert=${certificate}`, `clientSslKey=${key}`);
    return `--route=name=${name},listen=127.0.0.1:0,role=primary,${tls.join(',')}`;
  });
  const router = await RouterProcess.start(scope, sandbox, {
    seeds: [server.address],
    flags: ['--cluster-topology=static', ...routes],
  });
  await router.untilTopology('the server', ({ primary }) => primary === server.address);
  return {
    server,
    router,
    certificates,
    portOf: ({ name }) => {
      const port = router.events('route_listening').find(({ route }) => route === name)?.port;
      if (port === undefined) throw new Error(`no route ${name}`);
      return port;
    },
  };
}
