/** A seed as the schema leaves it, made into the one the program goes by. */
import type { Seed } from './config.ts';
import type { Settings } from './schema.ts';

export function toSeed(written: Settings['cluster']['seeds'][number]): Seed {
  if ('kind' in written) return written;
  if ('dns' in written) {
    const { dns } = written;
    return { kind: 'dns', ...dns, targetPrefix: dns.targetPrefix ?? '' };
  }
  const { service, namespace, port, podSelector, clusterDomain, kubeconfig } = written.kubernetes;
  return {
    kind: 'kubernetes',
    service,
    namespace: namespace ?? null,
    port: port ?? null,
    podSelector: podSelector ?? '',
    clusterDomain,
    kubeconfig: kubeconfig ?? null,
  };
}
