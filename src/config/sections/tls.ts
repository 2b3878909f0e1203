/** TLS of routes: each key stands in a route, and in `tls` for all routes that do not say otherwise. */
import { z } from 'zod';
import { boolean, choice, duration, file, optionalBoolean, optionalChoice, text } from '../keys.ts';

const CLIENT_MODES = ['disabled', 'preferred', 'required', 'passthrough'] as const;
const SERVER_MODES = ['disabled', 'preferred', 'required', 'as-client'] as const;
const VERIFICATIONS = ['disabled', 'verify-ca', 'verify-identity'] as const;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

const CLIENT_MODE = {
  doc: 'TLS with clients: `passthrough` leaves it to client and server, `disabled` offers none, `preferred` offers it, `required` refuses clients without it.',
  why: "Passed through, the certificate clients see is the member's, and the router costs nothing, but it cannot tell where a command ends: drains of such sessions go by silence. Terminated (`preferred`, `required`), the router reads along as it does without TLS.",
};
const SERVER_MODE = {
  doc: "TLS with members, where the router ends the client's: `as-client` as the client has it, `disabled` never, `preferred` where the member offers it, `required` always.",
  why: '`as-client` is never less than the client asked for. `required` protects the way to the members whatever clients do.',
};
const SERVER_VERIFY = {
  doc: "What is checked of a member's certificate: nothing, that a CA of `serverSslCa` signed it, or also that it bears the member's name.",
  why: "Without a check, TLS keeps out who listens, not who pretends to be a member. The name is the one in the member's address (seed or topology), whatever IP address is dialled.",
};
const MIN_VERSION = {
  doc: 'Oldest TLS version, with clients and with members.',
  why: 'MySQL 8.0 and later speak 1.3; 1.2 is for older clients.',
};
const CLIENT_CACHE = {
  doc: 'Give clients session tickets, so that their next connection needs no key exchange.',
  why: 'A resumed TLS session costs the router a fraction of a full one. Clients that cannot use tickets ignore them.',
};
const SERVER_CACHE = {
  doc: 'Resume TLS sessions with members.',
  why: 'The way to a member that was reached before then costs neither side a key exchange.',
};

/** Keys without a default of their own: paths and names. */
function files() {
  return {
    clientSslCert: file({
      doc: 'Certificate shown to clients, PEM, with its chain; goes with `clientSslKey`.',
      why: 'Without one, the router makes itself a new certificate at each start, signed by nobody: enough for `--ssl-mode=REQUIRED`, not for clients that verify.',
    }),
    clientSslKey: file({ doc: 'Private key of `clientSslCert`, PEM, not encrypted.', why: RE_READ }),
    clientSslCa: file({
      doc: 'CA certificates, PEM. Given, only clients with a certificate signed by one of them get in; needs `clientSslMode: required`.',
      why: 'A second door before the account: without a certificate nobody reaches a member to try passwords.',
    }),
    clientSslCapath: file({
      doc: 'Folder of CA certificates, PEM, by any names; together with `clientSslCa` or in its place.',
      why: 'For who keeps one file for each CA, as `openssl rehash` names them or otherwise.',
    }),
    clientSslCrl: file({
      doc: 'Certificate revocation lists for `clientSslCa`, PEM; one for each CA there.',
      why: 'Keeps out client certificates that were withdrawn before they expire.',
    }),
    clientSslCrlpath: file({
      doc: 'Folder of certificate revocation lists, PEM, by any names; together with `clientSslCrl` or in its place.',
      why: 'It may be the folder of `clientSslCapath`: of each file what is meant is taken. Lists are fetched anew now and then: a file that is exchanged counts from the next look on.',
    }),
    clientSslCipher: text({
      doc: "Ciphers for clients, in OpenSSL's notation; TLS 1.3 suites by their names.",
      why: "Node's default list is fit for today. Narrow it where a rule book says so.",
      maxLength: 4096,
    }),
    serverSslCa: file({
      doc: "CA certificates that members' certificates are checked with, PEM.",
      why: "MySQL's own are signed by the `ca.pem` in its data directory, a different one on each member: put all of them into one file.",
    }),
    serverSslCapath: file({
      doc: 'Folder of CA certificates, PEM, by any names; together with `serverSslCa` or in its place.',
      why: 'For who keeps one file for each CA, as `openssl rehash` names them or otherwise.',
    }),
    serverSslCrl: file({
      doc: "Certificate revocation list for members' certificates, PEM.",
      why: 'Keeps the router from members whose certificate was withdrawn.',
    }),
    serverSslCrlpath: file({
      doc: 'Folder of certificate revocation lists, PEM, by any names; together with `serverSslCrl` or in its place.',
      why: 'As `clientSslCrlpath`.',
    }),
    serverSslCert: file({
      doc: 'Certificate the router shows to members, PEM; goes with `serverSslKey`.',
      why: "For accounts with REQUIRE X509, ISSUER or SUBJECT: through a router that ends TLS, members see its certificate and not the client's.",
    }),
    serverSslKey: file({ doc: 'Private key of `serverSslCert`, PEM, not encrypted.', why: RE_READ }),
    serverSslCipher: text({
      doc: "Ciphers for members, in OpenSSL's notation.",
      why: 'As `clientSslCipher`.',
      maxLength: 4096,
    }),
  };
}

const RE_READ = 'Files are read again when they change (`tls.watchInterval`).';

/** Keys of one route; left out, those of `tls` count. */
export const routeTls = {
  clientSslMode: optionalChoice(CLIENT_MODES, CLIENT_MODE),
  serverSslMode: optionalChoice(SERVER_MODES, SERVER_MODE),
  serverSslVerify: optionalChoice(VERIFICATIONS, SERVER_VERIFY),
  ...files(),
  sslMinVersion: optionalChoice(VERSIONS, MIN_VERSION),
  clientSslSessionCache: optionalBoolean(CLIENT_CACHE),
  serverSslSessionCache: optionalBoolean(SERVER_CACHE),
} as const;

export const tls = z.strictObject({
  clientSslMode: choice(CLIENT_MODES, { ...CLIENT_MODE, default: 'passthrough' }),
  serverSslMode: choice(SERVER_MODES, { ...SERVER_MODE, default: 'as-client' }),
  serverSslVerify: choice(VERIFICATIONS, { ...SERVER_VERIFY, default: 'disabled' }),
  ...files(),
  sslMinVersion: choice(VERSIONS, { ...MIN_VERSION, default: 'TLSv1.2' }),
  clientSslSessionCache: boolean({ ...CLIENT_CACHE, default: true }),
  serverSslSessionCache: boolean({ ...SERVER_CACHE, default: true }),
  watchInterval: duration({
    doc: 'How often certificate and key files are looked at for changes; 0 for never.',
    why: 'New files are used for new sessions; open ones keep what they have. A pair that does not fit together (half of it written so far) is logged and left alone until it does. SIGHUP looks at once.',
    min: '0',
    max: '1d',
    default: '10s',
  }),
});
