/**
 * TLS material of all routes in the main thread: read at start, on a reload, and whenever a file changes.
 *
 * Files change under a running program: Kubernetes swaps a link when a secret does, others write certificate and key one
 * after the other. What cannot be used is said once and left alone; what was in force stays.
 */
import { generateKeyPair, generateKeyPairSync, randomBytes } from 'node:crypto';
import { isDeepStrictEqual, promisify } from 'node:util';
import type { Config, RouteConfig } from '../../config/config.ts';
import type { EventLog } from '../../shared/events.ts';
import { messageOf } from '../../shared/message-of.ts';
import type { RouteTlsMaterial, TlsMaterials } from '../../shared/tls-material.ts';
import { createCertificate } from './certificate.ts';
import { filesOf, type OwnCertificate, readMaterial } from './material.ts';
import { signatureOf } from './pem-files.ts';

export class TlsMaterialStore {
  readonly #events: EventLog;
  readonly #onChange: (materials: TlsMaterials) => void;
  readonly #own: OwnCertificate;
  #authKey: string | null = null;
  #routes: readonly RouteConfig[] = [];
  #materials: TlsMaterials = new Map();
  /** Of the files in force. */
  #signatures = '';
  /** Of files that could not be used: said once, tried again each time. */
  #unusable = '';
  #watch: NodeJS.Timeout | null = null;
  #isLooking = false;

  private constructor(events: EventLog, onChange: (materials: TlsMaterials) => void) {
    this.#events = events;
    this.#onChange = onChange;
    this.#own = createOwnCertificate(Date.now());
  }

  /** `onChange` is called with what replaces the materials of before. @throws TlsFileError */
  static async open(
    config: Config,
    events: EventLog,
    onChange: (materials: TlsMaterials) => void,
  ): Promise<TlsMaterialStore> {
    const store = new TlsMaterialStore(events, onChange);
    store.adopt(config, await store.prepare(config));
    return store;
  }

  get materials(): TlsMaterials {
    return this.#materials;
  }

  /** What the routes of a configuration need; nothing has changed until it is adopted. @throws TlsFileError */
  async prepare(config: Config): Promise<PreparedMaterials> {
    const signatures = await signaturesOf(config.routes);
    return { materials: await this.#read(config.routes), signatures };
  }

  /** Puts a configuration's files in force and watches them. The caller tells the threads. */
  adopt(config: Config, { materials, signatures }: PreparedMaterials): void {
    this.#routes = config.routes;
    this.#materials = materials;
    this.#signatures = signatures;
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#watch = null;
    const { watchIntervalMs } = config.tls;
    if (watchIntervalMs === 0 || signatures === '') return;
    // Nothing else that this would keep alive is waited for.
    this.#watch = setInterval(() => void this.look(), watchIntervalMs).unref();
  }

  /** Looks at the files now; never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const routes = this.#routes;
    // Before the files are read: what changes meanwhile is seen the next time.
    const signatures = await signaturesOf(routes);
    try {
      if (signatures === this.#signatures) return;
      const materials = await this.#read(routes);
      if (routes !== this.#routes) return;
      this.#signatures = signatures;
      const changed = [...materials].filter(([name, material]) => material !== this.#materials.get(name));
      this.#materials = materials;
      if (changed.length === 0) return;
      this.#onChange(materials);
      const names = changed.map(([name]) => name).join(', ');
      this.#events.record('info', 'tls_files_reloaded', `TLS files of ${names} were read again`, {
        routes: names,
      });
    } catch (error) {
      if (signatures === this.#unusable) return;
      this.#unusable = signatures;
      const message = messageOf(error);
      this.#events.record('error', 'tls_files_unusable', `TLS files in force stay: ${message}`);
    } finally {
      this.#isLooking = false;
    }
  }

  close(): void {
    if (this.#watch !== null) clearInterval(this.#watch);
  }

  /** A route whose files say the same as before keeps its material, and with it the tickets clients hold. */
  async #read(routes: readonly RouteConfig[]): Promise<TlsMaterials> {
    const materials = new Map<string, RouteTlsMaterial>();
    for (const route of routes) {
      const authKey = needsAuthKey(route) ? await this.#makeAuthKey() : null;
      const material = await readMaterial(route, this.#own, authKey);
      if (material === null) continue;
      const before = this.#materials.get(route.name);
      materials.set(route.name, before !== undefined && isSame(before, material) ? before : material);
    }
    return materials;
  }

  async #makeAuthKey(): Promise<string> {
    if (this.#authKey === null) {
      const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: AUTH_KEY_BITS });
      this.#authKey ??= privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
    }
    return this.#authKey;
  }
}

export type PreparedMaterials = {
  readonly materials: TlsMaterials;
  /** Of the files before they were read. */
  readonly signatures: string;
};

/** Reads everything a configuration names, for `fairlead check`. @throws TlsFileError */
export async function checkMaterials(config: Config): Promise<void> {
  const own = createOwnCertificate(Date.now());
  for (const route of config.routes) await readMaterial(route, own, null);
}

/** Signed by nobody, so good for clients that do not verify. */
function createOwnCertificate(nowMs: number): OwnCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const commonName = 'Fairlead';
  const cert = createCertificate({
    commonName,
    publicKey,
    issuer: { commonName, privateKey },
    names: [],
    isAuthority: false,
    // The highest bit clear and another set: positive, and not 0.
    serialNumber: randomBytes(16).fill(0x40, 0, 1),
    // A client's clock may be behind.
    notBefore: new Date(nowMs - DAY_MS),
    notAfter: new Date(nowMs + OWN_CERTIFICATE_DAYS * DAY_MS),
  });
  return { cert, key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

/** Clients without TLS, members with it. */
function needsAuthKey({ tls: { client, server } }: RouteConfig): boolean {
  const mayBePlain = client.mode === 'disabled' || client.mode === 'preferred';
  return mayBePlain && (server.mode === 'preferred' || server.mode === 'required');
}

async function signaturesOf(routes: readonly RouteConfig[]): Promise<string> {
  const paths = [...new Set(routes.flatMap(filesOf))];
  return (await Promise.all(paths.map(signatureOf))).join('\n');
}

function isSame(one: RouteTlsMaterial, other: RouteTlsMaterial): boolean {
  const hasTickets = (material: RouteTlsMaterial) => material.toClients.ticketKeys !== null;
  const withoutTickets = (material: RouteTlsMaterial) => ({
    ...material,
    toClients: { ...material.toClients, ticketKeys: null },
  });
  return (
    hasTickets(one) === hasTickets(other) && isDeepStrictEqual(withoutTickets(one), withoutTickets(other))
  );
}

const DAY_MS = 86_400_000;
/** The router is started again before that. */
const OWN_CERTIFICATE_DAYS = 3650;
/** As mysqld makes for itself. */
const AUTH_KEY_BITS = 2048;
