import { Buffer } from 'node:buffer';
import { constants, type KeyObject, privateDecrypt, publicEncrypt } from 'node:crypto';
import {
  AUTH_MORE_DATA,
  CACHING_SHA2_FULL_AUTH,
  CACHING_SHA2_REQUEST_PUBLIC_KEY,
  encodeAuthMoreData,
} from './auth-more-data.ts';
import { AUTH_NEXT_FACTOR, decodeAuthNextFactor } from './auth-next-factor.ts';
import { AUTH_SWITCH_REQUEST, decodeAuthSwitchRequest } from './auth-switch-request.ts';

/**
 * Authentication between a client and a server of which only one speaks TLS with the router.
 *
 * Nearly everything passes as it is: scrambles are made with the server's own nonce. Two plugins send the password
 * itself when they have to, and do it differently with and without TLS (sql/auth/sha2_password.cc, sha256_password):
 *
 *     with TLS      password NUL
 *     without       request for the server's public key → the key → RSA-OAEP(password NUL, XORed with the nonce)
 *
 * So between the two forms the router translates: it asks the server for its key on behalf of a client with TLS, and
 * answers with a key of its own to a client without. Every packet in gives exactly one packet out.
 */
export class AuthBridge {
  readonly #secure: SecureLeg;
  readonly #key: AuthKey | null;
  readonly #isMultiFactorAgreed: boolean;
  #plugin: string;
  #nonce: Buffer;
  #awaits: Awaited = { kind: 'anything' };

  constructor(options: AuthBridgeOptions) {
    this.#secure = options.secure;
    this.#key = options.key;
    this.#isMultiFactorAgreed = options.isMultiFactorAgreed;
    this.#plugin = '';
    this.#nonce = nonceOf(options.authPluginData);
  }

  /**
   * Begins with what the client sends first: its plugin, and that plugin's first answer.
   *
   * @returns what the server is to be told in their place. A password, or a request for a key of a server whose plugin is
   *   not known yet, is not passed on: an unknown plugin makes the server name the account's own, with a nonce.
   */
  begin(
    authPluginName: string,
    authResponse: Buffer,
  ): { readonly plugin: string; readonly response: Buffer } {
    this.#awaits = { kind: 'anything' };
    this.#plugin = authPluginName;
    const isEmpty = authResponse.length === 0 || (authResponse.length === 1 && authResponse[0] === 0);
    const isOwn = authPluginName === SHA256 || (READABLE.has(authPluginName) && this.#secure === 'client');
    if (isEmpty || !isOwn) return { plugin: authPluginName, response: authResponse };
    this.#plugin = '';
    return { plugin: UNKNOWN_PLUGIN, response: Buffer.alloc(0) };
  }

  /** A whole payload from the server; not its OK or ERR, which end the exchange. */
  fromServer(payload: Buffer): AuthMove {
    const awaited = this.#awaits;
    this.#awaits = { kind: 'anything' };
    const [first, second] = payload;
    if (awaited.kind === 'server-key') return this.#encryptFor(payload, awaited.password);
    if (first === AUTH_SWITCH_REQUEST) {
      const request = decodeAuthSwitchRequest(payload);
      if (request.kind === 'named') this.#switchTo(request.authPluginName, request.authPluginData);
    } else if (first === AUTH_NEXT_FACTOR && this.#isMultiFactorAgreed) {
      const { authPluginName, authPluginData } = decodeAuthNextFactor(payload);
      this.#switchTo(authPluginName, authPluginData);
    } else if (first === AUTH_MORE_DATA && second === CACHING_SHA2_FULL_AUTH && payload.length === 2) {
      if (this.#plugin === CACHING_SHA2) this.#awaits = { kind: 'password' };
    }
    return { kind: 'to-client', payload };
  }

  /** A whole payload from the client, behind its first. */
  fromClient(payload: Buffer): AuthMove {
    const awaited = this.#awaits;
    if (awaited.kind === 'encrypted') return this.#decrypt(payload);
    if (this.#secure === 'client') return this.#fromSecureClient(payload);
    if (awaited.kind !== 'password') return { kind: 'to-server', payload, isSecret: false };
    const request = this.#plugin === SHA256 ? SHA256_REQUEST_PUBLIC_KEY : CACHING_SHA2_REQUEST_PUBLIC_KEY;
    if (payload.length === 1 && payload[0] === request && this.#key !== null) {
      this.#awaits = { kind: 'encrypted' };
      return {
        kind: 'to-client',
        payload: encodeAuthMoreData({ pluginData: Buffer.from(this.#key.publicPem) }),
      };
    }
    if (payload.length >= RSA_MIN_BYTES && payload.at(-1) !== 0) return { kind: 'refused', why: FOREIGN_KEY };
    this.#awaits = { kind: 'anything' };
    return { kind: 'to-server', payload, isSecret: true };
  }

  /** The exchange is over, or nobody will end it: forgets what it has seen of a password. */
  end(): void {
    if (this.#awaits.kind === 'server-key') this.#awaits.password.fill(0);
    this.#awaits = { kind: 'anything' };
  }

  #switchTo(plugin: string, nonce: Buffer): void {
    this.#plugin = plugin;
    if (nonce.length > 0) this.#nonce = nonceOf(nonce);
    if (plugin === SHA256) this.#awaits = { kind: 'password' };
  }

  #fromSecureClient(payload: Buffer): AuthMove {
    const isPassword = payload.length > 1 && payload.at(-1) === 0;
    if (READABLE.has(this.#plugin) && payload.length > 1) return { kind: 'refused', why: CLEAR_PASSWORD };
    if (this.#awaits.kind !== 'password' || !isPassword) {
      this.#awaits = { kind: 'anything' };
      return { kind: 'to-server', payload, isSecret: false };
    }
    this.#awaits = { kind: 'server-key', password: Buffer.from(payload) };
    payload.fill(0);
    const request = this.#plugin === SHA256 ? SHA256_REQUEST_PUBLIC_KEY : CACHING_SHA2_REQUEST_PUBLIC_KEY;
    return { kind: 'to-server', payload: Buffer.from([request]), isSecret: false };
  }

  /** The server's public key, for a password that came through the client's TLS. */
  #encryptFor(payload: Buffer, password: Buffer): AuthMove {
    try {
      if (payload[0] !== AUTH_MORE_DATA) return { kind: 'to-client', payload };
      xorWith(password, this.#nonce);
      const key = payload.subarray(1).toString('latin1');
      const encrypted = publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING }, password);
      return { kind: 'to-server', payload: encrypted, isSecret: false };
    } catch (error) {
      return { kind: 'refused', why: NO_ENCRYPTION, cause: error };
    } finally {
      password.fill(0);
    }
  }

  /** The client's password, encrypted for the router's key: the server gets it through TLS. */
  #decrypt(payload: Buffer): AuthMove {
    this.#awaits = { kind: 'anything' };
    if (this.#key === null) return { kind: 'refused', why: NO_DECRYPTION };
    try {
      const padding = constants.RSA_PKCS1_OAEP_PADDING;
      const password = privateDecrypt({ key: this.#key.privateKey, padding }, payload);
      xorWith(password, this.#nonce);
      return { kind: 'to-server', payload: password, isSecret: true };
    } catch (error) {
      return { kind: 'refused', why: NO_DECRYPTION, cause: error };
    }
  }
}

/** The leg that has TLS; the other has none. */
export type SecureLeg = 'client' | 'server';

/** An RSA key pair of the router's own, for clients without TLS. */
export type AuthKey = { readonly publicPem: string; readonly privateKey: KeyObject };

export interface AuthBridgeOptions {
  readonly secure: SecureLeg;
  /** Needed where the server's leg is the secure one. */
  readonly key: AuthKey | null;
  /** CLIENT_MULTI_FACTOR_AUTHENTICATION on both sides: only then is 0x02 an AuthNextFactor. */
  readonly isMultiFactorAgreed: boolean;
  /** Of the initial handshake. */
  readonly authPluginData: Buffer;
}

/** What is to be done about one payload. A secret is to be wiped once it is sent. */
export type AuthMove =
  | { readonly kind: 'to-client'; readonly payload: Buffer }
  | { readonly kind: 'to-server'; readonly payload: Buffer; readonly isSecret: boolean }
  /** It cannot work; `why` tells the user which setting to change. */
  | { readonly kind: 'refused'; readonly why: string; readonly cause?: unknown };

type Awaited =
  | { readonly kind: 'anything' }
  /** The client's password, in the form its side of the router asks for. */
  | { readonly kind: 'password' }
  | { readonly kind: 'encrypted' }
  | { readonly kind: 'server-key'; readonly password: Buffer };

/** 20 bytes, without the NUL that servers send behind them. */
function nonceOf(authPluginData: Buffer): Buffer {
  return Buffer.from(authPluginData.subarray(0, NONCE_BYTES));
}

function xorWith(bytes: Buffer, nonce: Buffer): void {
  for (let index = 0; index < bytes.length; index++) {
    bytes[index] = (bytes[index] ?? 0) ^ (nonce[index % nonce.length] ?? 0);
  }
}

const NONCE_BYTES = 20;
const CACHING_SHA2 = 'caching_sha2_password';
const SHA256 = 'sha256_password';
/** Their answers are passwords, one-time codes and tokens as they are: LDAP, MariaDB's PAM, OpenID Connect. */
const READABLE: ReadonlySet<string> = new Set([
  'mysql_clear_password',
  'dialog',
  'authentication_openid_connect_client',
]);
const SHA256_REQUEST_PUBLIC_KEY = 0x01;
/** No account has it, so the server answers with an AuthSwitchRequest to the one the account has. */
const UNKNOWN_PLUGIN = 'fairlead_ask_again';
/** A key of 1024 bits, the least a server takes. */
const RSA_MIN_BYTES = 128;

const CLEAR_PASSWORD =
  'the password would go to the server unencrypted; set serverSslMode to preferred or required on this route';
const FOREIGN_KEY =
  "the password is encrypted with a key that is not the router's; connect with TLS, ask for the public key, or set serverSslMode to as-client on this route";
const NO_ENCRYPTION =
  "the server's public key does not take the password; set serverSslMode to preferred or required on this route";
const NO_DECRYPTION =
  "the password is not encrypted with the router's key; connect with TLS, or set serverSslMode to as-client on this route";
