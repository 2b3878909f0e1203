/**
 * A simulated group for the model check: what Group Replication does, as far as a router can see it.
 *
 * Configurations are committed one after another by a connected majority; each member installs them in order, but late,
 * and a frozen or partitioned one not at all. So members' views differ in all the ways real ones do.
 */
import { type MemberAnswer, NO_LAG_KNOWN, type ViewRow } from '../../routing/observations.ts';
import type { MemberState } from '../../routing/topology.ts';

export type Random = {
  /** 0 to 1. */
  next(): number;
  /** True with this probability. */
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T | undefined;
};

/** mulberry32: the same seed gives the same story. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d_2b_79_f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    chance: (probability) => next() < probability,
    pick: (items) => items[Math.floor(next() * items.length)],
  };
}

type Config = {
  readonly sequence: number;
  readonly states: ReadonlyMap<string, 'ONLINE' | 'RECOVERING'>;
  readonly primaries: ReadonlySet<string>;
  readonly isSinglePrimary: boolean;
};

/** One incarnation of the group. */
type Incarnation = { readonly id: string; readonly log: Config[] };

export type SimulatedMember = {
  readonly address: string;
  readonly name: string;
  uuid: string;
  isAlive: boolean;
  isFrozen: boolean;
  /** Members in different cells do not hear each other. */
  cell: number;
  /** Cut off from the router. */
  isCutOff: boolean;
  /** Answers for another group. */
  isForeign: boolean;
  group: Incarnation | null;
  installed: number;
  state: 'ONLINE' | 'RECOVERING' | 'OFFLINE' | 'ERROR';
  /** super_read_only is off. */
  isWritable: boolean;
  wantsToJoin: boolean;
  /** Since when it has not heard each other member. */
  readonly unheardSinceMs: Map<string, number>;
};

export class SimulatedGroup {
  readonly members: readonly SimulatedMember[];
  readonly #random: Random;
  #nowMs = 0;
  #incarnations: Incarnation[] = [];
  #uuids = 0;
  #isCalm = false;

  constructor(size: number, random: Random) {
    this.#random = random;
    this.members = Array.from({ length: size }, (_, index) => {
      const name = String.fromCharCode('a'.charCodeAt(0) + index);
      return {
        address: `${name}:3306`,
        name,
        uuid: this.#newUuid(),
        isAlive: true,
        isFrozen: false,
        cell: 0,
        isCutOff: false,
        isForeign: false,
        group: null,
        installed: -1,
        state: 'OFFLINE',
        isWritable: false,
        wantsToJoin: true,
        unheardSinceMs: new Map(),
      };
    });
    const [first] = this.members;
    if (first !== undefined) this.bootstrap(first);
  }

  /** Lets `ms` pass. */
  step(ms: number): void {
    this.#nowMs += ms;
    for (const member of this.members) this.#listen(member);
    for (const incarnation of this.#incarnations) this.#advance(incarnation);
  }

  bootstrap(member: SimulatedMember): void {
    const incarnation: Incarnation = {
      id: String(1000 + this.#incarnations.length),
      log: [
        {
          sequence: 1,
          states: new Map([[member.uuid, 'ONLINE']]),
          primaries: new Set([member.uuid]),
          isSinglePrimary: true,
        },
      ],
    };
    this.#incarnations = [...this.#incarnations, incarnation];
    this.#enter(member, incarnation, 0);
    member.state = 'ONLINE';
  }

  crash(member: SimulatedMember): void {
    member.isAlive = false;
    member.isFrozen = false;
    this.leave(member);
  }

  /** @param identity `new`: its data was lost, so it comes back as another server. */
  restart(member: SimulatedMember, identity: 'same' | 'new'): void {
    member.isAlive = true;
    member.wantsToJoin = true;
    if (identity === 'new') member.uuid = this.#newUuid();
  }

  /** STOP GROUP_REPLICATION, or the end of the process. */
  leave(member: SimulatedMember): void {
    member.group = null;
    member.installed = -1;
    member.state = 'OFFLINE';
    member.isWritable = false;
    member.wantsToJoin = false;
  }

  /** A planned switchover; nothing happens without a majority. */
  setPrimary(member: SimulatedMember): void {
    const current = this.#committedFor(member);
    if (current?.config.states.get(member.uuid) !== 'ONLINE' || !current.config.isSinglePrimary) return;
    current.group.log.push({ ...current.config, primaries: new Set([member.uuid]) });
  }

  setMode(member: SimulatedMember, isSinglePrimary: boolean): void {
    const current = this.#committedFor(member);
    if (current?.config.states.get(member.uuid) !== 'ONLINE') return;
    const online = onlineIds(current.config);
    current.group.log.push({
      ...current.config,
      isSinglePrimary,
      primaries: new Set(isSinglePrimary ? [member.uuid] : online),
    });
  }

  /** Everything mends: processes, links, groups. Time still has to pass. */
  heal(): void {
    this.#isCalm = true;
    for (const member of this.members) {
      member.isFrozen = false;
      member.cell = 0;
      member.isCutOff = false;
      member.isForeign = false;
      if (!member.isAlive) this.restart(member, 'same');
    }
    const main = this.#mainIncarnation();
    for (const member of this.members) {
      if (main === null || member.group !== main) this.leave(member);
      member.wantsToJoin = true;
    }
    const [first] = this.members;
    if (main === null && first !== undefined) this.bootstrap(first);
  }

  /** Primaries that have been committed, installed and made writable; for the end of a story. */
  get truePrimaries(): readonly string[] {
    return this.members
      .filter((member) => member.isWritable && member.state === 'ONLINE')
      .map((member) => member.address);
  }

  /** What the member would answer now. */
  answer(member: SimulatedMember, askedAtMs: number): Omit<MemberAnswer, 'answeredAtMs'> {
    const config = member.group?.log[member.installed];
    const rows =
      config === undefined || member.state === 'OFFLINE' || member.state === 'ERROR'
        ? [this.#row(member, member.state, false)]
        : [...config.states].map(([uuid, state]) => this.#seenRow(member, config, uuid, state));
    return {
      askedAtMs,
      serverUuid: member.uuid,
      version: '9.7.0',
      readOnly: !member.isWritable,
      superReadOnly: !member.isWritable,
      serverId: 1,
      instance: member.uuid,
      mysqlxPort: null,
      mysqlxGreets: false,
      galera: null,
      aurora: null,
      channels: null,
      lag: NO_LAG_KNOWN,
      group: {
        groupName: member.isForeign ? 'elsewhere' : 'group',
        isSinglePrimary: config?.isSinglePrimary ?? true,
        viewId:
          member.group === null || config === undefined ? null : `${member.group.id}:${config.sequence}`,
        rows,
      },
    };
  }

  #row(member: SimulatedMember, state: MemberState, isPrimary: boolean): ViewRow {
    const role = state === 'OFFLINE' || state === 'ERROR' ? 'UNKNOWN' : isPrimary ? 'PRIMARY' : 'SECONDARY';
    return { id: member.uuid, host: member.name, port: 3306, state, role };
  }

  #seenRow(viewer: SimulatedMember, config: Config, uuid: string, state: 'ONLINE' | 'RECOVERING'): ViewRow {
    const isPrimary = config.primaries.has(uuid);
    const seen = this.members.find((member) => member.uuid === uuid);
    if (seen === undefined) {
      return {
        id: uuid,
        host: 'gone',
        port: 3306,
        state: 'UNREACHABLE',
        role: isPrimary ? 'PRIMARY' : 'SECONDARY',
      };
    }
    const unheardSinceMs = viewer.unheardSinceMs.get(uuid);
    const isSuspected = unheardSinceMs !== undefined && this.#nowMs - unheardSinceMs > SUSPECT_MS;
    return this.#row(seen, isSuspected ? 'UNREACHABLE' : state, isPrimary);
  }

  /** A frozen member's clock stands still: it suspects nobody for what happened meanwhile. */
  #listen(member: SimulatedMember): void {
    if (!member.isAlive || member.isFrozen) {
      member.unheardSinceMs.clear();
      return;
    }
    for (const other of this.members) {
      if (isConnected(member, other)) member.unheardSinceMs.delete(other.uuid);
      else if (!member.unheardSinceMs.has(other.uuid)) member.unheardSinceMs.set(other.uuid, this.#nowMs);
    }
    const present = new Set(this.members.map(({ uuid }) => uuid));
    for (const uuid of member.group?.log[member.installed]?.states.keys() ?? []) {
      if (!present.has(uuid) && !member.unheardSinceMs.has(uuid))
        member.unheardSinceMs.set(uuid, this.#nowMs);
    }
  }

  #advance(group: Incarnation): void {
    const majority = this.#majorityOf(group);
    if (majority === null) return;
    this.#expelUnheard(group, majority);
    this.#recoverAndAdmit(group, majority);
    for (const member of majority) this.#install(group, member);
    // Those that were expelled find out when they hear the majority again.
    for (const member of this.members) {
      const current = group.log.at(-1);
      if (member.group !== group || current === undefined || current.states.has(member.uuid)) continue;
      const hears = majority.some((other) => isConnected(member, other));
      if (hears && this.#random.chance(0.1)) {
        member.state = 'ERROR';
        member.isWritable = false;
        member.group = null;
        member.wantsToJoin = this.#isCalm || this.#random.chance(0.7);
      }
    }
  }

  #expelUnheard(group: Incarnation, majority: readonly SimulatedMember[]): void {
    const current = group.log.at(-1);
    const [speaker] = majority;
    if (current === undefined || speaker === undefined) return;
    const gone = [...current.states.keys()].filter((uuid) => {
      if (majority.some((member) => member.uuid === uuid)) return false;
      const away = this.members.find((member) => member.uuid === uuid);
      // A member that left by itself said goodbye.
      if (away === undefined || (isConnected(speaker, away) && away.group !== group)) return true;
      const unheardSinceMs = speaker.unheardSinceMs.get(uuid);
      return unheardSinceMs !== undefined && this.#nowMs - unheardSinceMs > EXPEL_MS;
    });
    if (gone.length === 0) return;
    const states = new Map([...current.states].filter(([uuid]) => !gone.includes(uuid)));
    const staying = new Set([...current.primaries].filter((uuid) => states.has(uuid)));
    const heir = [...states].find(([, state]) => state === 'ONLINE')?.[0];
    if (staying.size === 0 && heir !== undefined) staying.add(heir);
    group.log.push({ ...current, sequence: current.sequence + 1, states, primaries: staying });
  }

  #recoverAndAdmit(group: Incarnation, majority: readonly SimulatedMember[]): void {
    const current = group.log.at(-1);
    if (current === undefined) return;
    const recovering = majority.find(({ uuid }) => current.states.get(uuid) === 'RECOVERING');
    if (recovering !== undefined && this.#random.chance(0.05)) {
      const states = new Map(current.states).set(recovering.uuid, 'ONLINE');
      const primaries = current.isSinglePrimary
        ? current.primaries
        : new Set(onlineIds({ ...current, states }));
      group.log.push({ ...current, states, primaries });
      return;
    }
    const joining = this.members.find(
      (member) =>
        member.isAlive &&
        !member.isFrozen &&
        !member.isForeign &&
        member.wantsToJoin &&
        member.group === null &&
        majority.every((other) => isConnected(member, other)),
    );
    if (joining === undefined || !this.#random.chance(0.1)) return;
    const states = new Map(current.states).set(joining.uuid, 'RECOVERING');
    group.log.push({ ...current, sequence: current.sequence + 1, states });
    this.#enter(joining, group, group.log.length - 1);
  }

  #install(group: Incarnation, member: SimulatedMember): void {
    if (member.installed < group.log.length - 1) {
      if (!this.#random.chance(0.4)) return;
      member.installed += 1;
    }
    const config = group.log[member.installed];
    const state = config?.states.get(member.uuid);
    if (config === undefined || state === undefined) return;
    member.state = state;
    if (!config.primaries.has(member.uuid)) member.isWritable = false;
    else if (state === 'ONLINE' && !member.isWritable) member.isWritable = this.#random.chance(0.2);
  }

  #enter(member: SimulatedMember, group: Incarnation, installed: number): void {
    member.group = group;
    member.installed = installed;
    member.state = 'RECOVERING';
    member.isWritable = false;
    member.wantsToJoin = false;
  }

  /** Members of the last configuration that hear each other and are more than half of it. */
  #majorityOf(group: Incarnation): readonly SimulatedMember[] | null {
    const current = group.log.at(-1);
    if (current === undefined) return null;
    const taking = this.members.filter(
      (member) =>
        member.group === group && current.states.has(member.uuid) && member.isAlive && !member.isFrozen,
    );
    for (const cell of new Set(taking.map((member) => member.cell))) {
      const together = taking.filter((member) => member.cell === cell);
      if (together.length > current.states.size / 2) return together;
    }
    return null;
  }

  #mainIncarnation(): Incarnation | null {
    let main: Incarnation | null = null;
    let size = 0;
    for (const group of this.#incarnations) {
      const majority = this.#majorityOf(group);
      if (majority !== null && majority.length > size) {
        main = group;
        size = majority.length;
      }
    }
    return main;
  }

  #committedFor(member: SimulatedMember): { readonly group: Incarnation; readonly config: Config } | null {
    const { group } = member;
    if (group === null || !(this.#majorityOf(group)?.includes(member) ?? false)) return null;
    const config = group.log.at(-1);
    return config === undefined ? null : { group, config };
  }

  #newUuid(): string {
    this.#uuids += 1;
    return `uuid-${this.#uuids}`;
  }
}

function isConnected(member: SimulatedMember, other: SimulatedMember): boolean {
  return member.isAlive && other.isAlive && !member.isFrozen && !other.isFrozen && member.cell === other.cell;
}

function onlineIds(config: Config): readonly string[] {
  return [...config.states].filter(([, state]) => state === 'ONLINE').map(([uuid]) => uuid);
}

const SUSPECT_MS = 300;
const EXPEL_MS = 600;
