/** TLS of the monitoring account's sessions: what its keys come to, and what of it cannot work together. */
import type { ClusterConfig } from './config.ts';
import type { Problem } from './problems.ts';
import type { Settings } from './schema.ts';
import type { Path } from './tree.ts';

export function toControlTls(
  { cluster }: Settings,
  pathOf: (at: Path, written: string) => string,
): ClusterConfig['tls'] {
  const path = (key: 'sslCa' | 'sslCert' | 'sslKey'): string | null => {
    const written = cluster[key];
    return written === undefined ? null : pathOf(['cluster', key], written);
  };
  return {
    mode: cluster.sslMode,
    verify: cluster.sslVerify,
    caFile: path('sslCa'),
    certFile: path('sslCert'),
    keyFile: path('sslKey'),
  };
}

export function checkControlTls(
  { cluster }: Settings,
  report: (key: keyof Settings['cluster'], value: string, rule: string) => Problem,
): readonly Problem[] {
  const { sslMode, sslVerify, sslCa, sslCert, sslKey } = cluster;
  const problems: Problem[] = [];
  if (sslVerify !== 'disabled' && sslMode !== 'required') {
    const rule = `needs cluster.sslMode required, and it is ${sslMode}: a member without TLS shows no certificate`;
    problems.push(report('sslVerify', sslVerify, rule));
  }
  if (sslVerify !== 'disabled' && sslCa === undefined)
    problems.push(report('sslVerify', sslVerify, 'needs cluster.sslCa'));
  if (sslCert !== undefined && sslKey === undefined)
    problems.push(report('sslCert', sslCert, 'needs cluster.sslKey beside it'));
  if (sslKey !== undefined && sslCert === undefined)
    problems.push(report('sslKey', sslKey, 'needs cluster.sslCert beside it'));
  return problems;
}

/** As an operator would write it. */
export function controlTlsSettings(tls: ClusterConfig['tls']): Readonly<Record<string, string>> {
  return {
    sslMode: tls.mode,
    sslVerify: tls.verify,
    ...(tls.caFile === null ? {} : { sslCa: tls.caFile }),
    ...(tls.certFile === null ? {} : { sslCert: tls.certFile }),
    ...(tls.keyFile === null ? {} : { sslKey: tls.keyFile }),
  };
}
