/**
 * Who belongs to the cluster: seeds and discovered members as one list, each server once, in a stable order.
 */
import { addressOf } from './address.ts';
import {
  type DecisionInput,
  isGone,
  isHeard,
  type Observation,
  standingAnswer,
  type ViewRow,
} from './observations.ts';
import type { Member } from './topology.ts';

/** One entry of the list, before anything was concluded about it. */
export type Entry = {
  /** `server_uuid`, empty while unknown. */
  readonly id: string;
  readonly address: string;
  readonly isSeed: boolean;
  readonly observation: Observation | undefined;
  /** What the topology before this one said of it. */
  readonly before: Member | undefined;
};

export type Roster = {
  /** Seeds first, as configured, then discovered members by address. */
  readonly entries: readonly Entry[];
  /** Oddities an operator must hear of. */
  readonly alarms: readonly string[];
};

/**
 * @param rows the members of the newest view, or null while there is none: then members known before are kept
 */
export function createRoster(input: DecisionInput, rows: readonly ViewRow[] | null): Roster {
  const byAddress = new Map(input.observations.map((observation) => [observation.address, observation]));
  const before = indexMembers(input.previous.members);
  const entryOf = (id: string, address: string, isSeed: boolean): Entry => ({
    id,
    address,
    isSeed,
    observation: byAddress.get(address),
    before: id === '' ? before.byAddress.get(address) : before.byId.get(id),
  });

  const entries: Entry[] = [];
  const alarms: string[] = [];
  const seen = new Set<string>();
  for (const address of input.settings.seeds) {
    const id = seedIdentity(input, byAddress.get(address), rows, before.byAddress.get(address), address);
    const twin = id === '' ? -1 : entries.findIndex((entry) => entry.id === id);
    // One server under two names is one member, called by the first of them that leads to it.
    if (twin === -1) entries.push(entryOf(id, address, true));
    else if (isLost(input, entries[twin]?.observation) && isWell(byAddress.get(address)))
      entries[twin] = entryOf(id, address, true);
    seen.add(id);
  }
  const discovered: Entry[] = [];
  // A seed under another name than the group's would be met twice, so nobody is discovered before all seeds are heard.
  const areSeedsHeard = input.settings.seeds.every((seed) => isHeard(byAddress.get(seed)));
  const known =
    rows
      ?.map((row) => placeOf(input, row, byAddress, before.byId.get(row.id)))
      .filter(({ id }) => areSeedsHeard || before.byId.has(id)) ?? input.previous.members;
  const holders = new Map(entries.map((entry) => [entry.address, entry]));
  for (const { id, address } of known) {
    if (id === '' || address === '' || seen.has(id)) continue;
    const holder = holders.get(address);
    if (holder !== undefined) {
      if (rows !== null)
        alarms.push(`the group reports both ${holder.id || 'another'} and ${id} at ${address}`);
      continue;
    }
    seen.add(id);
    const entry = entryOf(id, address, false);
    holders.set(address, entry);
    discovered.push(entry);
  }
  discovered.sort((a, b) => (a.address < b.address ? -1 : 1));
  return { entries: [...entries, ...discovered], alarms };
}

/** Nobody listens there any more, or one slow answer does not explain the silence. */
function isLost({ nowMs, settings }: DecisionInput, observation: Observation | undefined): boolean {
  if (observation === undefined || observation.failure === null) return false;
  return isGone(observation) || standingAnswer(observation, nowMs, settings.confirmationTtlMs / 2) === null;
}

function isWell(observation: Observation | undefined): boolean {
  return observation !== undefined && observation.answer !== null && observation.failure === null;
}

type MemberIndex = {
  readonly byId: ReadonlyMap<string, Member>;
  readonly byAddress: ReadonlyMap<string, Member>;
};

/** Of several the first counts. */
function indexMembers(members: readonly Member[]): MemberIndex {
  const reversed = members.toReversed();
  return {
    byId: new Map(reversed.map((member) => [member.id, member])),
    byAddress: new Map(reversed.map((member) => [member.address, member])),
  };
}

/** Where a member is dialled: what somebody knows of it, else what the group reports. */
function rowIdentity(
  row: ViewRow,
  endpoints: DecisionInput['endpoints'],
): { readonly id: string; readonly address: string } {
  const endpoint = endpoints?.get(row.id);
  return { id: row.id, address: endpoint ?? (row.host === '' ? '' : addressOf(row.host, row.port)) };
}

/**
 * Where a member of the group is met: where the metadata says; else where it answers already, though discovery may name
 * that address no longer; else where the group says, which may be a name that only the members can resolve.
 */
function placeOf(
  { nowMs, endpoints }: DecisionInput,
  row: ViewRow,
  observations: ReadonlyMap<string, Observation>,
  before: Member | undefined,
): { readonly id: string; readonly address: string } {
  const address = before?.address ?? '';
  const answer = observations.get(address)?.answer;
  const answeredThere = answer?.serverUuid === row.id && nowMs - answer.answeredAtMs < FORMER_PLACE_MS;
  return answeredThere && endpoints?.has(row.id) !== true
    ? { id: row.id, address }
    : rowIdentity(row, endpoints);
}

/** Who is behind a seed: whoever answered there last, else whom the group or an earlier topology saw there. */
function seedIdentity(
  input: DecisionInput,
  observation: Observation | undefined,
  rows: readonly ViewRow[] | null,
  before: Member | undefined,
  address: string,
): string {
  const answered = observation?.answer?.serverUuid ?? '';
  if (answered !== '' && (observation?.failure === null || rows?.some((row) => row.id === answered))) {
    return answered;
  }
  const row = rows?.find((candidate) => rowIdentity(candidate, input.endpoints).address === address);
  if (row !== undefined) return row.id;
  return answered || (before?.id ?? '');
}

/** So long a member that has gone silent is looked for where it was met last. */
const FORMER_PLACE_MS = 30_000;
