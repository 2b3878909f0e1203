/** Why a client does not get in where it would directly. What nothing here explains is a fault. */
import type { Case } from './matrix.ts';

type Explanation = { readonly why: string; readonly explains: (one: Case) => boolean };

const EXPLANATIONS: readonly Explanation[] = [
  {
    why: '`clientSslMode: disabled` offers no TLS, and the client insists on it. The words are the client’s own, as for any server without TLS.',
    explains: ({ mode, tls }) => mode.client === 'disabled' && tls,
  },
  {
    why: '`clientSslMode: required` refuses a client without TLS. MariaDB’s client library does not show errors with numbers of 2000 and more that come from a server (2027 in their place).',
    explains: ({ mode, tls }) => mode.client === 'required' && !tls,
  },
  {
    why: 'MariaDB’s client library verifies a certificate nobody signed with the account’s password: the server proves that it sent that very certificate. Where the router ends TLS, it did not. Give the client a CA, switch its verification off, or pass TLS through.',
    explains: ({ client, mode, tls, routed }) =>
      client.includes('libmariadb') &&
      tls &&
      mode.client !== 'passthrough' &&
      routed.kind === 'refused' &&
      /certificate|issuer/i.test(routed.error),
  },
];

export function explain(one: Case): string | undefined {
  return EXPLANATIONS.find(({ explains }) => explains(one))?.why;
}
