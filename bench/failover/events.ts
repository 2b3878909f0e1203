/** What is done to the group, its network and its proxies. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Group, Row, Server } from '../../src/sandbox/index.ts';
import type { LoadSize } from './load.ts';
import type { Stage } from './stage.ts';

export type FailoverEvent = {
  readonly name: string;
  readonly title: string;
  /** Whether writes are impossible for a while, so that "after the group" means something. */
  readonly changesPrimary: boolean;
  readonly load?: LoadSize;
  /** Before the load. */
  prepare?(stage: Stage): Promise<void>;
  /** Under load; the time is taken from its beginning. */
  inflict(stage: Stage, primary: Server, secondary: Server): Promise<void>;
  /** Under load, once all are served again or it is clear who is not. */
  heal?(stage: Stage, former: Server, secondary: Server): Promise<void>;
  /** After the load. */
  restore?(stage: Stage, former: Server, secondary: Server): Promise<void>;
};

const rejoinFormer = (stage: Stage, former: Server): Promise<void> => stage.group.rejoin(former);
const healNetwork = (stage: Stage): Promise<void> => stage.network.heal();

export const EVENTS: readonly FailoverEvent[] = [
  {
    name: 'set-as-primary',
    title: 'planned switchover (group_replication_set_as_primary)',
    changesPrimary: true,
    inflict: ({ group }, _, secondary) => group.setPrimary(secondary),
  },
  {
    name: 'sigterm',
    title: 'SIGTERM to the primary',
    changesPrimary: true,
    inflict: (_, primary) => primary.stop(),
    restore: rejoinFormer,
  },
  {
    name: 'sigkill',
    title: 'SIGKILL of the primary',
    changesPrimary: true,
    inflict: (_, primary) => primary.kill(),
    restore: rejoinFormer,
  },
  {
    name: 'freeze-primary',
    title: 'primary frozen (SIGSTOP)',
    changesPrimary: true,
    inflict: async (_, primary) => primary.freeze(),
    heal: async (_, former) => former.thaw(),
    restore: rejoinFormer,
  },
  {
    name: 'freeze-secondary',
    title: 'secondary frozen (SIGSTOP) for 6 s',
    changesPrimary: false,
    load: { connectEveryMs: 20 },
    inflict: async (_, __, secondary) => {
      secondary.freeze();
      await pause(6000);
      secondary.thaw();
    },
    restore: (stage, _, secondary) => stage.group.rejoin(secondary),
  },
  {
    name: 'stop-group-replication',
    title: 'STOP GROUP_REPLICATION on the primary',
    changesPrimary: true,
    inflict: async (_, primary) => {
      await primary.query('STOP GROUP_REPLICATION');
    },
    restore: rejoinFormer,
  },
  {
    name: 'clone',
    title: 'a wiped member comes back by clone, at its old address',
    changesPrimary: false,
    prepare: async (stage) => {
      const [secondary] = await stage.group.secondaries();
      if (secondary === undefined) throw new Error('no secondary');
      await stage.group.removeMember(secondary);
      await stage.forget(secondary);
    },
    inflict: async ({ group }) => {
      await group.addMember({ recovery: 'clone' });
    },
  },
  {
    name: 'drop',
    title: 'packets of the primary dropped, to and from everybody',
    changesPrimary: true,
    inflict: ({ network, group, proxies }, primary) =>
      network.partition(
        [primary.host],
        [network.outside, ...otherHosts(group, primary), ...proxies.map(({ address }) => address.host)],
      ),
    heal: healNetwork,
    restore: rejoinFormer,
  },
  {
    name: 'minority',
    title: 'primary cut off from the group, proxies reach all',
    changesPrimary: true,
    inflict: ({ network, group }, primary) => network.partition([primary.host], otherHosts(group, primary)),
    heal: healNetwork,
    restore: rejoinFormer,
  },
  {
    name: 'cable',
    title: 'cable of the primary cut',
    changesPrimary: true,
    inflict: (stage, primary) => stage.podOf(primary).cutCable(),
    heal: (stage, former) => stage.podOf(former).plugCable(),
    restore: rejoinFormer,
  },
  {
    name: 'lose-two',
    title: 'quorum lost: both secondaries frozen for 8 s',
    changesPrimary: true,
    inflict: async ({ group }, primary) => {
      const others = group.members.filter((member) => member !== primary);
      for (const member of others) member.freeze();
      await pause(8000);
      for (const member of others) member.thaw();
    },
    restore: async ({ group }, former) => {
      for (const member of group.members) if (member !== former) await group.rejoin(member);
    },
  },
  {
    name: 'all-down',
    title: 'all three killed, started and formed again',
    changesPrimary: true,
    inflict: async ({ group }, primary) => {
      await Promise.all(group.members.map((member) => member.kill()));
      await Promise.all(group.members.map((member) => member.start()));
      const leader = await mostAdvanced(group, primary);
      await group.bootstrap([leader, ...group.members.filter((member) => member !== leader)]);
    },
  },
  {
    name: 'control-loss',
    title: 'monitoring accounts locked and their sessions killed, for 5 s',
    changesPrimary: false,
    inflict: async ({ group }, primary) => {
      await lockMonitors(primary, 'LOCK');
      await group.waitUntilApplied();
      for (const member of group.members) await killMonitors(member);
      await pause(5000);
      await lockMonitors(primary, 'UNLOCK');
    },
  },
  {
    name: 'router-killed',
    title: 'the proxy itself: SIGKILL, started again at once',
    changesPrimary: false,
    inflict: async ({ proxies }) => {
      await Promise.all(
        proxies.map(async (proxy) => {
          await proxy.kill();
          await proxy.start();
        }),
      );
    },
  },
];

function otherHosts(group: Group, primary: Server): readonly string[] {
  return group.members.filter((member) => member !== primary).map(({ host }) => host);
}

/** As an operator has to choose who leads: one that lacks nothing any other has. */
async function mostAdvanced(group: Group, primary: Server): Promise<Server> {
  const histories = await Promise.all(
    group.members.map(async (member) => {
      const [row] = await member.query('SELECT @@global.gtid_executed AS gtids');
      const { gtids }: Row = row ?? {};
      return gtids;
    }),
  );
  for (const member of [primary, ...group.members.filter((other) => other !== primary)]) {
    const covers = await Promise.all(
      histories.map((gtids) =>
        member.query('SELECT GTID_SUBSET(?, @@global.gtid_executed) AS isCovered', [gtids]),
      ),
    );
    const isComplete = covers.every(([row]) => {
      const { isCovered }: Row = row ?? {};
      return isCovered === 1;
    });
    if (isComplete) return member;
  }
  throw new Error('no member has all that the others have');
}

async function lockMonitors(primary: Server, lock: 'LOCK' | 'UNLOCK'): Promise<void> {
  const accounts = await primary.query(`SELECT user, host FROM mysql.user WHERE ${IS_MONITOR}`);
  for (const { user, host } of accounts) await primary.query(`ALTER USER ?@? ACCOUNT ${lock}`, [user, host]);
}

async function killMonitors(member: Server): Promise<void> {
  const sessions = await member.query(`SELECT id FROM information_schema.processlist WHERE ${IS_MONITOR}`);
  for (const { id } of sessions) {
    await member.query('KILL ?', [id]).catch((error: unknown) => {
      const hasEnded = error instanceof Error && 'errno' in error && error.errno === ER_NO_SUCH_THREAD;
      if (!hasEnded) throw error;
    });
  }
}

/** Fairlead's and HAProxy's account, and those MySQL Router makes for itself. */
const IS_MONITOR = "(user = 'router' OR user LIKE 'mysql_router%')";
const ER_NO_SUCH_THREAD = 1094;
