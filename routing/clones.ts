/**
 * Two servers under one `server_uuid`: somebody has copied a data directory together with its auto.cnf. What one of them says
 * is not to be taken for the word of the other, who would lose the writes, or get them, each time its double speaks.
 */
import { type DecisionInput, type MemberAnswer, type Observation, standingAnswer } from './observations.ts';
import { viewOf } from './views.ts';

export type ToldApart = {
  /** With another identity for each double. */
  readonly input: DecisionInput;
  /** One for each double. */
  readonly alarms: readonly string[];
};

/** Who is who: of doubles the one that is ONLINE in a group with quorum, else the one known before, else the first. */
export function tellClonesApart(input: DecisionInput): ToldApart {
  const alarms: string[] = [];
  const renamed = new Map<Observation, Observation>();
  for (const [uuid, bearers] of bearersOf(input.observations)) {
    const isOneServer = bearers.every(({ instance }) => instance === bearers[0]?.instance);
    const genuine = isOneServer ? undefined : genuineOf(input, uuid, bearers);
    if (genuine === undefined) continue;
    for (const { observation, answer, instance } of bearers) {
      if (instance === genuine.instance) continue;
      renamed.set(observation, { ...observation, answer: underAnotherName(answer) });
      if (observation.failure !== null) continue;
      alarms.push(
        `${genuine.observation.address} and ${observation.address} are two servers with the same server_uuid: stop the one that is the copy, and start it again without auto.cnf`,
      );
    }
  }
  if (renamed.size === 0) return { input, alarms };
  const observations = input.observations.map((observation) => renamed.get(observation) ?? observation);
  return { input: { ...input, observations }, alarms };
}

type Bearer = { readonly observation: Observation; readonly answer: MemberAnswer; readonly instance: string };

/** Who has answered under a name, by that name; of those only who tells where it runs. */
function bearersOf(observations: readonly Observation[]): ReadonlyMap<string, readonly Bearer[]> {
  const byUuid = new Map<string, Bearer[]>();
  for (const observation of observations) {
    const { answer } = observation;
    if (answer === null || answer.instance === '') continue;
    const bearer = { observation, answer, instance: answer.instance };
    const others = byUuid.get(answer.serverUuid);
    if (others === undefined) byUuid.set(answer.serverUuid, [bearer]);
    else others.push(bearer);
  }
  return byUuid;
}

/** Undefined while at most one of them is there now: a server that was started anew elsewhere is its own successor. */
function genuineOf(
  { nowMs, settings, previous }: DecisionInput,
  uuid: string,
  bearers: readonly Bearer[],
): Bearer | undefined {
  const present = bearers.filter(
    ({ observation }) =>
      standingAnswer(observation, nowMs, settings.confirmationTtlMs) !== null &&
      (observation.failure === null || observation.failure.kind === 'timeout'),
  );
  if (present.every(({ instance }) => instance === present[0]?.instance)) return undefined;
  const online = present.filter(
    ({ observation, answer }) => viewOf(observation, answer, answer.group?.groupName ?? '') !== null,
  );
  const candidates = online.length > 0 ? online : present;
  const known = previous.members.find(({ id }) => id === uuid)?.address;
  return candidates.find(({ observation }) => observation.address === known) ?? candidates[0];
}

/** In what it says of itself, too. */
function underAnotherName(answer: MemberAnswer): MemberAnswer {
  const { serverUuid, instance, group } = answer;
  const id = `${serverUuid} at ${instance}`;
  const rows = group?.rows.map((row) => (row.id === serverUuid ? { ...row, id } : row));
  return {
    ...answer,
    serverUuid: id,
    group: group === null || rows === undefined ? null : { ...group, rows },
  };
}
