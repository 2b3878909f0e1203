/**
 * Whether an answer says anything that the one before it did not. Members are asked several times a second and mostly
 * repeat themselves: that only renews their word, and no role can change by it.
 */
import type { AuroraAnswer, Channel, GaleraAnswer, GroupAnswer, MemberAnswer } from './observations.ts';

/** Times, lags and GTIDs do not count: they move all the time, and nothing hangs on a fraction of a second of theirs. */
export function isNews(before: MemberAnswer | null, after: MemberAnswer): boolean {
  return (
    before === null ||
    SELF_FIELDS.some((field) => before[field] !== after[field]) ||
    !isSame(before.group, after.group, isSameGroup) ||
    !isSame(before.galera, after.galera, isSameNode) ||
    !isSame(before.aurora, after.aurora, isSameInstance) ||
    !isSame(before.channels, after.channels, areSameChannels)
  );
}

/** Whether it is now otherwise behind, or has executed other transactions, than the answer before told. */
export function hasDrifted(before: MemberAnswer | null, after: MemberAnswer): boolean {
  return (
    before === null ||
    before.lag.seconds !== after.lag.seconds ||
    before.lag.transactions !== after.lag.transactions ||
    before.gtids !== after.gtids
  );
}

function isSame<T>(before: T | null, after: T | null, compare: (before: T, after: T) => boolean): boolean {
  if (before === after) return true;
  return before !== null && after !== null && compare(before, after);
}

function isSameGroup(before: GroupAnswer, after: GroupAnswer): boolean {
  return (
    before.groupName === after.groupName &&
    before.isSinglePrimary === after.isSinglePrimary &&
    before.viewId === after.viewId &&
    isSameList(before.rows, after.rows, ROW_FIELDS)
  );
}

function isSameNode(before: GaleraAnswer, after: GaleraAnswer): boolean {
  return (
    NODE_FIELDS.every((field) => before[field] === after[field]) &&
    before.members.length === after.members.length &&
    before.members.every((member, index) => member === after.members[index])
  );
}

function isSameInstance(before: AuroraAnswer, after: AuroraAnswer): boolean {
  return before.serverId === after.serverId && isSameList(before.rows, after.rows, INSTANCE_FIELDS);
}

function areSameChannels(before: readonly Channel[], after: readonly Channel[]): boolean {
  return isSameList(before, after, CHANNEL_FIELDS);
}

function isSameList<T extends object>(
  before: readonly T[],
  after: readonly T[],
  fields: readonly (keyof T)[],
): boolean {
  return (
    before.length === after.length &&
    before.every((item, index) => {
      const other = after[index];
      return other !== undefined && fields.every((field) => item[field] === other[field]);
    })
  );
}

const SELF_FIELDS = [
  'serverUuid',
  'serverId',
  'instance',
  'version',
  'readOnly',
  'superReadOnly',
  'mysqlxPort',
  'mysqlxGreets',
] as const satisfies readonly (keyof MemberAnswer)[];
const ROW_FIELDS = ['id', 'host', 'port', 'state', 'role'] as const;
const NODE_FIELDS = [
  'clusterUuid',
  'isPrimaryComponent',
  'isReady',
  'localState',
  'setAside',
  'configuration',
  'nodeUuid',
  'localIndex',
] as const satisfies readonly (keyof GaleraAnswer)[];
const INSTANCE_FIELDS = ['serverId', 'isWriter'] as const;
const CHANNEL_FIELDS = [
  'sourceUuid',
  'sourceServerId',
  'sourceAddress',
  'isReceiving',
  'isApplying',
] as const satisfies readonly (keyof Channel)[];
