/**
 * A model check of roles by views: random stories of switches, failovers by force, partitions and restarts of a
 * ReplicaSet, and of a ClusterSet with one member for each cluster. The router sees answers and copies of the metadata
 * that are late, each by itself. FAIRLEAD_MODEL_RUNS sets how many stories are told, FAIRLEAD_MODEL_SEED the first.
 */
import t, { type Test } from 'tap';
import { decide } from '../../../routing/decision.ts';
import type { MetadataFacts } from '../../../routing/metadata/facts.ts';
import {
  type Decision,
  type DecisionMemory,
  EMPTY_MEMORY,
  type Observation,
} from '../../../routing/observations.ts';
import { EMPTY_TOPOLOGY, type Topology } from '../../../routing/topology.ts';
import { says, settingsOf } from '../group.ts';
import { createRandom, type Random } from '../simulated-group.ts';
import { holding, replicaSetOf, setOf } from './copies.ts';

const env: { readonly FAIRLEAD_MODEL_RUNS?: string; readonly FAIRLEAD_MODEL_SEED?: string } = process.env;
const RUNS = Number(env.FAIRLEAD_MODEL_RUNS ?? 60);
const FIRST_SEED = Number(env.FAIRLEAD_MODEL_SEED ?? 1);
const NAMES = ['a', 'b', 'c'] as const;
const STEP_MS = 20;
const STORY_STEPS = 250;
const CALM_STEPS = 60;
const TTL_MS = 1000;

type Kind = 'replicaset' | 'clusterset';
type Role = 'P' | 'S' | '-';
/** A view as one server has it. */
type View = { readonly id: number; readonly roles: ReadonlyMap<string, Role> };

type Site = {
  readonly name: string;
  isAlive: boolean;
  /** From the administrator, from the other sites, and from the router. */
  isCutOff: boolean;
  isReadOnly: boolean;
  view: View;
};

/** The servers, and an administrator who moves the primary about. */
class World {
  readonly sites: readonly Site[];
  readonly #random: Random;
  /** What was recorded last; sites that are not left out get it in time. */
  newest: View;

  constructor(random: Random) {
    this.#random = random;
    this.newest = { id: 1, roles: new Map(NAMES.map((name, index) => [name, index === 0 ? 'P' : 'S'])) };
    this.sites = NAMES.map((name, index) => ({
      name,
      isAlive: true,
      isCutOff: false,
      isReadOnly: index > 0,
      view: this.newest,
    }));
  }

  get primary(): Site {
    const found = this.sites.find(({ name }) => this.newest.roles.get(name) === 'P');
    if (found === undefined) throw new Error('there is always a primary');
    return found;
  }

  step(): void {
    if (this.#random.chance(0.02)) this.#switch();
    if (this.#random.chance(0.02)) this.#kill(this.#oneOf(this.sites));
    if (this.#random.chance(0.05)) this.#oneOf(this.sites).isCutOff = this.#random.chance(0.3);
    if (this.#random.chance(0.1)) this.#force();
    if (this.#random.chance(0.05)) this.#rejoin();
    this.replicate(0.3);
  }

  /** Brings everything up and in order. */
  calm(): void {
    for (const site of this.sites) {
      site.isCutOff = false;
      site.isAlive = true;
    }
    this.#rejoin();
    const { primary } = this;
    for (const site of this.sites) site.isReadOnly = site !== primary;
  }

  replicate(chance: number): void {
    const { primary } = this;
    for (const site of this.sites) {
      if (this.newest.roles.get(site.name) === '-' || !isUp(site) || !isUp(primary)) continue;
      if (site === primary || this.#random.chance(chance)) site.view = this.newest;
    }
  }

  #switch(): void {
    const { primary } = this;
    const candidates = this.sites.filter((site) => site !== primary && isUp(site) && this.#isIn(site));
    const [next] = candidates;
    if (next === undefined || !isUp(primary)) return;
    primary.isReadOnly = true;
    // An administrator who is interrupted here leaves two read-only servers, or a writable one nobody names.
    if (this.#random.chance(0.2)) return;
    next.isReadOnly = false;
    if (this.#random.chance(0.2)) return;
    this.#record(next, 1, (site) => this.newest.roles.get(site.name) ?? '-');
  }

  #force(): void {
    const { primary } = this;
    const [next] = this.sites.filter((site) => site !== primary && isUp(site) && this.#isIn(site));
    if (isUp(primary) || next === undefined) return;
    next.isReadOnly = false;
    this.#record(next, 65_536, (site) => (isUp(site) ? (this.newest.roles.get(site.name) ?? '-') : '-'));
  }

  /** Those that were left out come back as secondaries; an old primary is made read-only first. */
  #rejoin(): void {
    if (!isUp(this.primary)) return;
    for (const site of this.sites) {
      if (this.#isIn(site) || !isUp(site)) continue;
      site.isReadOnly = true;
      this.#record(this.primary, 1, (other) =>
        other === site ? 'S' : (this.newest.roles.get(other.name) ?? '-'),
      );
    }
  }

  #record(primary: Site, step: number, roleOf: (site: Site) => Role): void {
    const roles = new Map(
      this.sites.map((site): readonly [string, Role] => {
        const role = roleOf(site);
        return [site.name, site === primary ? 'P' : role === 'P' ? 'S' : role];
      }),
    );
    this.newest = { id: this.newest.id + step, roles };
    primary.view = this.newest;
  }

  #kill(site: Site): void {
    site.isAlive = !site.isAlive;
  }

  #isIn(site: Site): boolean {
    return this.newest.roles.get(site.name) !== '-';
  }

  #oneOf(sites: readonly Site[]): Site {
    const site = this.#random.pick(sites);
    if (site === undefined) throw new Error('there are sites');
    return site;
  }
}

function isUp(site: Site): boolean {
  return site.isAlive && !site.isCutOff;
}

/** What the router has seen of the sites, each thing at its own time. */
class Seen {
  readonly #kind: Kind;
  readonly #observations = new Map<string, Observation>();
  /** The highest view that came to the router. */
  highest: View | null = null;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  get observations(): readonly Observation[] {
    return [...this.#observations.values()];
  }

  look(site: Site, nowMs: number, what: 'answer' | 'copy'): void {
    const address = `${site.name}:3306`;
    const before = this.#observations.get(address);
    if (!isUp(site)) {
      const kind = site.isAlive ? 'timeout' : 'refused';
      const blank = { address, dial: { host: '10.0.0.1', port: 3306 }, answer: null, metadata: null };
      this.#observations.set(address, { ...(before ?? blank), failure: { kind, atMs: nowMs } });
    } else if (what === 'answer' || before === undefined) {
      const answer = answerOf(this.#kind, site, nowMs);
      this.#observations.set(address, { ...answer, metadata: before?.metadata ?? null });
    } else {
      this.#observations.set(address, holding(before, copyOf(this.#kind, site)));
      if (this.highest === null || site.view.id > this.highest.id) this.highest = site.view;
    }
  }
}

function answerOf(kind: Kind, site: Site, nowMs: number): Observation {
  const said = {
    askedAtMs: nowMs,
    answeredAtMs: nowMs,
    readOnly: site.isReadOnly,
    superReadOnly: site.isReadOnly,
  };
  return kind === 'replicaset'
    ? says(site.name, null, said)
    : says(site.name, `${site.name}OP`, { ...said, groupName: `group-${site.name}` });
}

function copyOf(kind: Kind, { name, view }: Site): MetadataFacts {
  const roles = [...view.roles];
  return kind === 'replicaset'
    ? replicaSetOf(view.id, roles.map(([other, role]) => `${other}${role}`).join(' '))
    : setOf(
        name,
        view.id,
        roles.map(([other, role]) => `${other}:${other}:${role === 'S' ? 'R' : role}`).join(' '),
      );
}

function tellStory(t: Test, kind: Kind, seed: number): void {
  const random = createRandom(seed);
  const world = new World(random);
  const seen = new Seen(kind);
  let topology: Topology = EMPTY_TOPOLOGY;
  let memory: DecisionMemory = EMPTY_MEMORY;
  let wasOffered = false;
  for (let step = 0; step < STORY_STEPS + CALM_STEPS; step++) {
    const nowMs = 100_000 + step * STEP_MS;
    const isCalm = step >= STORY_STEPS;
    if (isCalm) {
      world.calm();
      world.replicate(0.5);
    } else world.step();
    for (const site of world.sites) {
      if (random.chance(isCalm ? 0.8 : 0.4)) seen.look(site, nowMs, 'answer');
      if (random.chance(isCalm ? 0.6 : 0.15)) seen.look(site, nowMs, 'copy');
    }
    const decision: Decision = decide({
      observations: seen.observations,
      previous: topology,
      memory,
      nowMs,
      settings: settingsOf('abc', { confirmationTtlMs: TTL_MS }),
    });
    ({ memory, topology } = decision);
    const problem = problemOf(topology, seen, nowMs);
    if (problem !== null) {
      t.fail(`${kind}, seed ${seed}, step ${step}: ${problem}`);
      return;
    }
    wasOffered ||= topology.primary !== null;
  }
  if (topology.primary !== `${world.primary.name}:3306`) {
    t.fail(
      `${kind}, seed ${seed}: in the end writes go to ${topology.primary}, not to ${world.primary.name}`,
    );
  }
  if (!wasOffered) t.fail(`${kind}, seed ${seed}: no write was ever offered`);
}

/** What must never be. */
function problemOf(topology: Topology, seen: Seen, nowMs: number): string | null {
  const writable = topology.members.filter(({ acceptsWrites }) => acceptsWrites);
  if (writable.length > 1) return `${writable.length} members are offered for writing`;
  const [primary] = writable;
  if (primary === undefined) return topology.primary === null ? null : 'a primary that takes no writes';
  if (primary.address !== topology.primary) return 'the primary is not the member that takes writes';
  const name = primary.address.charAt(0);
  if (seen.highest === null) return 'offered for writing before any copy was read';
  if (seen.highest.roles.get(name) !== 'P') return `${name} is not primary in view ${seen.highest.id}`;
  const observation = seen.observations.find(({ address }) => address === primary.address);
  if (observation?.answer?.readOnly !== false) return `${name} is read-only`;
  if (observation.failure?.kind === 'refused') return `${name} refuses`;
  if (nowMs - observation.answer.askedAtMs > TTL_MS) return `${name} has not confirmed for too long`;
  return null;
}

for (const kind of ['replicaset', 'clusterset'] as const) {
  t.test(`${RUNS} stories of a ${kind}`, async (t) => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) tellStory(t, kind, seed);
    t.pass('no write was offered that should not have been');
  });
}
