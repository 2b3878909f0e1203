/**
 * The routing guideline in the main thread: read from its file at start, on a reload and when the file changes, or taken
 * from the metadata of the cluster.
 *
 * What cannot be used is said once and left alone; what was in force stays.
 */
import { hostname } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { guidelineOf, parseGuideline } from '../../../routing/guidelines/document.ts';
import { type Guideline, type ParsedGuideline, problemText } from '../../../routing/guidelines/guideline.ts';
import { type RouterFacts, routeNeedingLogin } from '../../../routing/guidelines/sessions.ts';
import type { Topology } from '../../../routing/topology.ts';
import type { Config, RouteConfig } from '../../config/config.ts';
import type { EventLog } from '../../shared/events.ts';
import type { GuidelineFacts, GuidelineInForce } from '../../shared/guideline.ts';
import { messageOf } from '../../shared/message-of.ts';
import { MAX_CONFIG_BYTES, readTextFile } from '../../shared/text-file.ts';
import { createGuidelineSlots } from './guideline-slots.ts';

/** A guideline that cannot be used; the message says what is wrong, and where. */
export class GuidelineError extends Error {
  override readonly name = 'GuidelineError';
}

/** The part of the configuration that guidelines go by. */
export type GuidelineConfig = Pick<Config, 'guidelines' | 'metadata' | 'routes'>;

/** @throws GuidelineError when the file that is configured cannot be used */
export async function checkGuideline(config: GuidelineConfig): Promise<void> {
  await readGuideline(config);
}

export class GuidelineStore {
  readonly #events: EventLog;
  /** Nobody waits for the first one. */
  #onChange: (inForce: GuidelineInForce | null) => void = () => undefined;
  readonly #slots = createGuidelineSlots();
  #config: GuidelineConfig;
  #guideline: Guideline | null = null;
  #inForce: GuidelineInForce | null = null;
  /** What the metadata had when it was last looked at; undefined before. */
  #document: unknown;
  #tags: RouterFacts['tags'] = {};
  #problem = '';
  #watch: NodeJS.Timeout | null = null;
  #isLooking = false;

  private constructor(config: GuidelineConfig, events: EventLog) {
    this.#config = config;
    this.#events = events;
  }

  /** `onChange` is called with what replaces the guideline of the start. @throws GuidelineError */
  static async open(
    config: GuidelineConfig,
    events: EventLog,
    onChange: (inForce: GuidelineInForce | null) => void,
  ): Promise<GuidelineStore> {
    const store = new GuidelineStore(config, events);
    store.adopt(config, await store.prepare(config));
    store.#onChange = onChange;
    return store;
  }

  get inForce(): GuidelineInForce | null {
    return this.#inForce;
  }

  facts(): GuidelineFacts {
    const { file, fromMetadata } = this.#config.guidelines;
    return {
      source: file ?? (fromMetadata ? 'metadata' : null),
      inForce: this.#inForce,
      problem: this.#problem,
      slotNames: this.#slots.names(),
    };
  }

  /**
   * The guideline of a configuration; nothing has changed until it is adopted.
   *
   * @throws GuidelineError also where the guideline in force, taken from the metadata, does not go with the routes
   */
  async prepare(config: GuidelineConfig): Promise<Guideline | null> {
    if (config.guidelines.file !== null) return await readGuideline(config);
    if (!config.guidelines.fromMetadata || !this.#config.guidelines.fromMetadata) return null;
    if (this.#guideline !== null) expectLogins(this.#guideline, config, 'the guideline of the metadata');
    return this.#guideline;
  }

  /** Puts a configuration and its guideline in force and follows the file. */
  adopt(config: GuidelineConfig, guideline: Guideline | null): void {
    this.#config = config;
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#watch = null;
    const { file, fromMetadata, watchIntervalMs } = config.guidelines;
    if (!fromMetadata) this.#document = undefined;
    this.#use(guideline);
    if (file === null || watchIntervalMs === 0) return;
    // Nothing else that this would keep alive is waited for.
    this.#watch = setInterval(() => void this.look(), watchIntervalMs).unref();
  }

  /** The ports are known, or others. */
  useRoutes(routes: readonly RouteConfig[]): void {
    this.#config = { ...this.#config, routes };
    this.#use(this.#guideline);
  }

  /** What the metadata says, which comes with the topology. */
  consider({ cluster }: Topology): void {
    if (!this.#config.guidelines.fromMetadata || cluster === undefined) return;
    const { routerTags = {} } = cluster;
    if (!isDeepStrictEqual(routerTags, this.#tags)) {
      this.#tags = routerTags;
      this.#use(this.#guideline);
    }
    // Metadata that cannot be read now says nothing new.
    if (cluster.guideline === undefined || isDeepStrictEqual(cluster.guideline, this.#document)) return;
    this.#document = cluster.guideline;
    try {
      const guideline =
        cluster.guideline === null ? null : loaded(guidelineOf(cluster.guideline), 'metadata');
      if (guideline !== null) expectLogins(guideline, this.#config, 'the guideline of the metadata');
      this.#use(guideline);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** Looks at the file now; never rejects. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const config = this.#config;
    try {
      const guideline = await readGuideline(config);
      // A reload was faster, and has read it itself.
      if (config === this.#config) this.#use(guideline);
    } catch (error) {
      this.#refuse(error);
    } finally {
      this.#isLooking = false;
    }
  }

  close(): void {
    if (this.#watch !== null) clearInterval(this.#watch);
  }

  #use(guideline: Guideline | null): void {
    this.#problem = '';
    const before = this.#guideline;
    this.#guideline = guideline;
    const inForce =
      guideline === null
        ? null
        : {
            guideline,
            router: routerFacts(this.#config, this.#tags),
            slots: guideline.routes.map(({ name }) => this.#slots.slotOf(name)),
          };
    if (isDeepStrictEqual(inForce, this.#inForce)) return;
    this.#inForce = inForce;
    this.#onChange(inForce);
    if (isDeepStrictEqual(before, guideline)) return;
    const name = guideline?.name ?? null;
    const text =
      name === null
        ? 'No routing guideline is in force: routes go by their roles'
        : `Routing guideline ${name} is in force`;
    this.#events.record('info', 'guideline_in_force', text, { guideline: name, source: this.facts().source });
  }

  #refuse(error: unknown): void {
    if (!(error instanceof GuidelineError)) throw error;
    if (error.message === this.#problem) return;
    this.#problem = error.message;
    const text = `The routing guideline in force stays: ${error.message}`;
    this.#events.record('warn', 'guideline_refused', text, { guideline: this.#guideline?.name ?? null });
  }
}

/** Null where no file is configured. @throws GuidelineError */
async function readGuideline(config: GuidelineConfig): Promise<Guideline | null> {
  const { file } = config.guidelines;
  if (file === null) return null;
  const name = `guidelines.file = ${JSON.stringify(file)}`;
  const text = await readTextFile(file, MAX_CONFIG_BYTES).catch((error: unknown) => {
    throw new GuidelineError(`${name}: ${messageOf(error)}`);
  });
  const guideline = loaded(parseGuideline(text), name);
  expectLogins(guideline, config, name);
  return guideline;
}

function loaded(parsed: ParsedGuideline, name: string): Guideline {
  if (parsed.ok) return parsed.guideline;
  const problems = parsed.problems.slice(0, MAX_PROBLEMS).map(problemText);
  const more = parsed.problems.length - problems.length;
  throw new GuidelineError(`${name}: ${problems.join('; ')}${more > 0 ? `; and ${more} more` : ''}`);
}

/** Within TLS that is passed through nobody can read who the client is. */
function expectLogins(guideline: Guideline, config: GuidelineConfig, name: string): void {
  const router = routerFacts(config, {});
  for (const [index, route] of config.routes.entries()) {
    if (route.protocol === 'x' || route.tls.client.mode !== 'passthrough') continue;
    const needing = routeNeedingLogin(guideline, router, {
      routeName: route.name,
      bindAddress: route.listen.host,
      targetPort: portOf(route, index),
    });
    if (needing === null) continue;
    throw new GuidelineError(
      `${name}: route ${needing.name} of guideline ${guideline.name} goes by user, schema or connection attributes, which cannot be read where TLS is passed through: set clientSslMode of routes[${index}] (${route.name}) to preferred, required or disabled, or let another route before it match all sessions of that port`,
    );
  }
}

function routerFacts(config: GuidelineConfig, tags: RouterFacts['tags']): RouterFacts {
  const { guidelines, metadata, routes } = config;
  const portFor = (role: RouteConfig['role']) => {
    const index = routes.findIndex((route) => route.protocol === 'classic' && route.role === role);
    const route = routes[index];
    return route === undefined ? 0 : portOf(route, index);
  };
  return {
    name: metadata.routerName,
    hostname: metadata.routerAddress ?? hostname(),
    localCluster: guidelines.localCluster,
    tags,
    ports: { rw: portFor('primary'), ro: portFor('secondary'), rwSplit: portFor('primary-and-secondary') },
  };
}

/** A port that the system has still to choose is like no other. */
function portOf({ listen }: RouteConfig, index: number): number {
  return listen.port === 0 ? -1 - index : listen.port;
}

const MAX_PROBLEMS = 10;
