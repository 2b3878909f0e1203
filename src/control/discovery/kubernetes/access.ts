/**
 * How the Kubernetes API is reached, and as whom: by the pod's service account, or by a kubeconfig file.
 *
 * The service account is read here, and not by @kubernetes/client-node: loading that library takes 85 MB and a second or
 * more of the main thread, too much in every router pod for three small files. Kubeconfig files, with their users, proxies
 * and programs that hand out credentials, are left to it.
 */
import { readFile } from 'node:fs/promises';
import type { RequestOptions } from 'node:https';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';

export type ApiAccess = {
  /** Such as "https://10.96.0.1:443", without a path. */
  readonly server: string;
  /** The namespace to look in where none is configured. */
  readonly namespace: string;
  /** For one request: tokens and authorities are replaced while the router runs. */
  requestOptions(): Promise<RequestOptions>;
};

/** Called at the start, and again after the server has refused to know who asks. @throws for want of files */
export type OpenAccess = () => Promise<ApiAccess>;

export type ServiceAccount = {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** As every pod has it, unless `automountServiceAccountToken` is false. */
export const POD_SERVICE_ACCOUNT: ServiceAccount = {
  directory: '/var/run/secrets/kubernetes.io/serviceaccount',
  environment: process.env,
};

export function serviceAccountAccess({ directory, environment }: ServiceAccount): OpenAccess {
  const text = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  return async () => {
    const host = environment['KUBERNETES_SERVICE_HOST'];
    const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
    if (host === undefined || host === '') {
      throw new Error('not in a Kubernetes pod (KUBERNETES_SERVICE_HOST is not set): name a kubeconfig file');
    }
    return {
      server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
      namespace: (await text('namespace')).trim(),
      async requestOptions() {
        const [token, ca] = await Promise.all([text('token'), text('ca.crt')]);
        return { ca, headers: { Authorization: `Bearer ${token.trim()}` } };
      },
    };
  };
}

/** The current context of a kubeconfig file. */
export function kubeconfigAccess(path: string): OpenAccess {
  return async () => {
    const { KubeConfig } = await import('@kubernetes/client-node');
    const config = new KubeConfig();
    config.loadFromFile(path);
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error(`${path} has no current context with a cluster`);
    const { namespace } = config.getContextObject(config.getCurrentContext()) ?? {};
    return {
      server: cluster.server.replace(/\/$/, ''),
      namespace: namespace ?? 'default',
      async requestOptions() {
        const options: RequestOptions = {};
        await config.applyToHTTPSOptions(options);
        return options;
      },
    };
  };
}
