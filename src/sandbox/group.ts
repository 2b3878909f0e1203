import { randomUUID } from 'node:crypto';
import { ACCOUNTS } from './accounts.ts';
import { type ClusterMetadata, installMetadata, recordMembers } from './metadata-fixture.ts';
import type { Variables } from './mysqld-options.ts';
import { messageOf, SandboxError } from './outcome.ts';
import { Server, type ServerContext, type ServerPlace } from './server.ts';
import { waitFor } from './wait.ts';

export type GroupMode = 'single-primary' | 'multi-primary';

export type GroupOptions = {
  /** Members at the start, 1 to 9. Default 3. */
  readonly size?: number;
  /** Default "single-primary". */
  readonly mode?: GroupMode;
  /** `server_id` of the first member; the others count on. Default 1; groups that replicate from each other need others. */
  readonly firstServerId?: number;
  /** On top of the sandbox's for every member; these win. */
  readonly variables?: Variables;
  /** Whether the group is to look like an InnoDB Cluster, and with which version of its metadata. Default: not. */
  readonly metadata?: ClusterMetadata;
  /** A host of its own for every member, also for those added later. Default: all on loopback. */
  readonly place?: (memberName: string) => Promise<ServerPlace>;
};

export type AddMemberOptions = {
  /** How the new member gets the group's data: from a donor's binary log, or as a copy. Default "incremental". */
  readonly recovery?: 'incremental' | 'clone';
};

/** One row of `performance_schema.replication_group_members`. */
export type MemberRow = {
  readonly uuid: string;
  readonly port: number;
  readonly state: string;
  readonly role: string;
};

/** A Group Replication group of real servers on loopback. */
export class Group {
  /** `group_replication_group_name`. */
  readonly name: string = randomUUID();
  readonly #context: ServerContext;
  readonly #options: GroupOptions;
  readonly #prefix: string;
  #members: readonly Server[] = [];
  #nextServerId: number;
  #hasMetadata = false;

  private constructor(context: ServerContext, options: GroupOptions, prefix: string) {
    this.#context = context;
    this.#options = options;
    this.#prefix = prefix;
    this.#nextServerId = options.firstServerId ?? 1;
  }

  /** Returns when all members are ONLINE. `prefix` starts the members' names, which are unique in the sandbox. */
  static async form(context: ServerContext, options: GroupOptions, prefix: string): Promise<Group> {
    const group = new Group(context, options, prefix);
    const size = options.size ?? 3;
    context.log(`starting a group with ${size} member${size === 1 ? '' : 's'}`);
    group.#members = await Promise.all(Array.from({ length: size }, () => group.#createServer()));
    await group.bootstrap(group.#members, (server) => group.#startConfigured(server));
    if (options.metadata !== undefined) await group.installMetadata(options.metadata);
    context.log(`the group is up: ${group.#members.map((server) => server.address).join(', ')}`);
    return group;
  }

  /** In the order they were added; also those that are stopped. */
  get members(): readonly Server[] {
    return this.#members;
  }

  /**
   * Forms the group from its members, the first of `members` leading: at the start, and again after the whole group was
   * lost. `prepare` is what each needs before it can join; by default they run.
   */
  async bootstrap(
    members: readonly Server[] = this.#members,
    prepare: (server: Server) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const [leader, ...others] = members;
    if (leader === undefined) throw new SandboxError('a group needs at least one member');
    const led = prepare(leader).then(() => this.#lead(leader));
    const prepared = others.map(prepare);
    const { started } = await led;
    await Promise.all([
      started,
      ...others.map(async (server, index) => {
        await prepared[index];
        await this.waitUntilOnline([server]);
      }),
    ]);
  }

  /** Returns when `leader` is a group of one; `started` is fulfilled when nobody can lead by mistake any more. */
  async #lead(leader: Server): Promise<{ readonly started: Promise<unknown> }> {
    await leader.query('SET GLOBAL group_replication_bootstrap_group = ON');
    // Others can join it a second before this statement returns.
    const started = this.#startReplication(leader).then(() =>
      leader.query('SET GLOBAL group_replication_bootstrap_group = OFF'),
    );
    const online = waitFor({ what: `${leader.name} to lead`, timeoutMs: ONLINE_TIMEOUT_MS }, async () =>
      (await this.#ownState(leader)) === 'ONLINE' ? true : undefined,
    );
    await Promise.race([online, started]);
    await online;
    return { started };
  }

  /** Throws when no reachable member knows a primary; with several, the first of `members`. */
  async primary(): Promise<Server> {
    const [primary] = await this.primaries();
    if (primary === undefined) throw new SandboxError('the group has no primary now');
    return primary;
  }

  /** As the first member with a quorum sees it. */
  async primaries(): Promise<readonly Server[]> {
    return this.#withRole('PRIMARY');
  }

  /** ONLINE secondaries, as the first member with a quorum sees it. */
  async secondaries(): Promise<readonly Server[]> {
    return this.#withRole('SECONDARY');
  }

  /** How `server` sees the group. */
  async view(server: Server): Promise<readonly MemberRow[]> {
    const rows = await server.query(
      'SELECT member_id AS uuid, member_port AS port, member_state AS state, member_role AS role' +
        ' FROM performance_schema.replication_group_members',
    );
    return rows.map(({ uuid, port, state, role }) => ({
      uuid: String(uuid),
      port: Number(port),
      state: String(state),
      role: String(role),
    }));
  }

  /** Makes the group look like an InnoDB Cluster; replaces metadata it has. Members are kept up to date in it. */
  async installMetadata(metadata: ClusterMetadata): Promise<void> {
    await installMetadata(await this.primary(), this.name, metadata);
    this.#hasMetadata = true;
    await this.#recordMembers();
  }

  /** Starts a new server, makes it a member and returns it when it is ONLINE. */
  async addMember(options: AddMemberOptions = {}): Promise<Server> {
    const server = await this.#createServer();
    this.#members = [...this.#members, server];
    await this.#startConfigured(server);
    await this.#announceSeeds();
    if (options.recovery === 'clone') {
      // More than one missing transaction makes it copy a donor.
      await server.query('SET GLOBAL group_replication_clone_threshold = 1');
    }
    await this.waitUntilOnline([server]);
    await this.#recordMembers();
    return server;
  }

  /** Takes `server` out of the group in good order and stops it. */
  async removeMember(server: Server): Promise<void> {
    await server.query('STOP GROUP_REPLICATION');
    await server.stop();
    this.#members = this.#members.filter((member) => member !== server);
    await this.#recordMembers();
  }

  /**
   * Starts `server` if it is stopped, has it join again if it does not by itself, and returns when it is ONLINE.
   * The others must have given it up before: until then they refuse it, which costs a try ten seconds. It comes
   * back on another group port, because the others would be slow to connect to the one they lost (8 s against 1 s).
   */
  async rejoin(server: Server): Promise<void> {
    if (!server.isRunning) {
      await this.waitUntilGivenUp(server);
      await server.renewGroupPort();
      await this.#startConfigured(server);
      await this.#announceSeeds();
    }
    await this.waitUntilOnline([server]);
  }

  /** Returns when no other answering member has `server` in its view any more. */
  async waitUntilGivenUp(server: Server): Promise<void> {
    const others = this.#members.filter((member) => member !== server && member.isAnswering);
    await waitFor({ what: `${server.name} to be given up`, timeoutMs: FAILOVER_TIMEOUT_MS }, async () => {
      const views = await Promise.all(others.map((other) => this.view(other)));
      return views.flat().some((row) => row.uuid === server.uuid) ? undefined : true;
    });
  }

  /** Makes `server` the primary; returns when it takes writes. */
  async setPrimary(server: Server): Promise<void> {
    await server.query('SELECT group_replication_set_as_primary(?)', [server.uuid]);
    await this.waitUntilWritable(server);
  }

  async switchToMultiPrimary(): Promise<void> {
    await (await this.primary()).query('SELECT group_replication_switch_to_multi_primary_mode()');
  }

  /** `primary` leads afterwards. */
  async switchToSinglePrimary(primary: Server): Promise<void> {
    await primary.query('SELECT group_replication_switch_to_single_primary_mode(?)', [primary.uuid]);
  }

  /** Returns when a member other than `former` is primary and takes writes, with that member. */
  async waitForNewPrimary(former: Server, timeoutMs: number = FAILOVER_TIMEOUT_MS): Promise<Server> {
    const primary = await waitFor({ what: `a primary other than ${former.name}`, timeoutMs }, async () => {
      const primaries = await this.primaries();
      return primaries.find((server) => server !== former);
    });
    await this.waitUntilWritable(primary);
    return primary;
  }

  async waitUntilWritable(server: Server): Promise<void> {
    await waitFor({ what: `${server.name} to take writes`, timeoutMs: FAILOVER_TIMEOUT_MS }, async () => {
      const [row] = await server.query('SELECT @@global.super_read_only AS readOnly');
      const { readOnly } = row ?? {};
      return readOnly === 0 ? true : undefined;
    });
  }

  /** Returns when every answering member has applied what the primary has committed until now. */
  async waitUntilApplied(): Promise<void> {
    const [row] = await (await this.primary()).query('SELECT @@global.gtid_executed AS gtids');
    const { gtids } = row ?? {};
    const answering = this.#members.filter((member) => member.isAnswering);
    const statement = 'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) AS timedOut';
    await Promise.all(
      answering.map(async (member) => {
        const [answer] = await member.query(statement, [gtids, APPLY_TIMEOUT_S]);
        const { timedOut } = answer ?? {};
        if (timedOut !== 0) throw new SandboxError(`${member.name} is behind after ${APPLY_TIMEOUT_S} s`);
      }),
    );
  }

  /** Returns when each of `members` and those it sees agree that it is ONLINE; has it join again where it is not. */
  async waitUntilOnline(members: readonly Server[] = this.#members): Promise<void> {
    await Promise.all(members.map((server) => this.#bringOnline(server)));
  }

  async #bringOnline(server: Server): Promise<void> {
    const what = `${server.name} to be ONLINE`;
    let goodAtMs = performance.now();
    await waitFor({ what, timeoutMs: ONLINE_TIMEOUT_MS, intervalMs: 100 }, async () => {
      const state = await this.#ownState(server);
      if (state !== 'ERROR') goodAtMs = performance.now();
      // A member that was frozen believes for a while that nothing has happened.
      if (state === 'ONLINE') return (await this.#isSeenOnline(server)) ? true : undefined;
      // An expelled member tries to come back by itself; only when it has not, it is made to.
      const isStuck = performance.now() - goodAtMs > REJOIN_PATIENCE_MS;
      if (isStuck) await server.query('STOP GROUP_REPLICATION');
      // New, stopped, or restarted by itself at the end of a clone.
      if (isStuck || state === 'OFFLINE') await this.#startReplication(server);
      return undefined;
    });
  }

  async #isSeenOnline(server: Server): Promise<boolean> {
    for (const other of this.#members.filter((member) => member !== server && member.isAnswering)) {
      const rows = await this.view(other);
      const isMember = rows.some((row) => row.uuid === other.uuid && row.state === 'ONLINE');
      if (isMember) return rows.some((row) => row.uuid === server.uuid && row.state === 'ONLINE');
    }
    return true;
  }

  /** What `server` says of itself; "OFFLINE" before it has ever been a member. */
  async #ownState(server: Server): Promise<string> {
    const rows = await this.view(server);
    return rows.find((row) => row.uuid === server.uuid)?.state ?? 'OFFLINE';
  }

  async #recordMembers(): Promise<void> {
    if (!this.#hasMetadata) return;
    await recordMembers(await this.primary(), this.#members);
    await this.waitUntilApplied();
  }

  async #withRole(role: string): Promise<readonly Server[]> {
    for (const server of this.#members) {
      if (!server.isAnswering) continue;
      try {
        const rows = await this.view(server);
        const online = rows.filter((row) => row.state === 'ONLINE');
        const own = online.find((row) => row.uuid === server.uuid);
        if (own === undefined || online.length * 2 <= rows.length) continue;
        const uuids = new Set(online.filter((row) => row.role === role).map((row) => row.uuid));
        return this.#members.filter((member) => uuids.has(member.uuid));
      } catch (error) {
        this.#context.log(`${server.name} was not asked about the group: ${messageOf(error)}`);
      }
    }
    return [];
  }

  async #createServer(): Promise<Server> {
    const serverId = this.#nextServerId;
    this.#nextServerId += 1;
    const name = `${this.#prefix}${serverId}`;
    const place = await this.#options.place?.(name);
    return Server.create(this.#context, {
      name,
      serverId,
      variables: { ...this.#options.variables },
      ...(place === undefined ? {} : { place }),
    });
  }

  /** Starts it with the group's variables, which name all present members as seeds. */
  async #startConfigured(server: Server): Promise<void> {
    const isMultiPrimary = this.#options.mode === 'multi-primary';
    await server.configure({
      // Loaded at the start, so that the template serves for single servers too.
      plugin_load_add: 'group_replication.so;mysql_clone.so',
      group_replication_group_name: this.name,
      group_replication_local_address: `${server.host}:${server.groupPort}`,
      group_replication_group_seeds: this.#members
        .map((member) => `${member.host}:${member.groupPort}`)
        .join(','),
      group_replication_start_on_boot: 'OFF',
      group_replication_single_primary_mode: isMultiPrimary ? 'OFF' : 'ON',
      group_replication_enforce_update_everywhere_checks: isMultiPrimary ? 'ON' : 'OFF',
      // A dead member is suspected after five seconds, which is fixed; tests do not wait for more.
      group_replication_member_expel_timeout: 0,
      group_replication_recovery_get_public_key: 'ON',
      group_replication_recovery_reconnect_interval: 1,
      group_replication_message_cache_size: 134_217_728,
      ...this.#options.variables,
    });
    await server.start();
  }

  get #seeds(): string {
    return this.#members.map((member) => `${member.host}:${member.groupPort}`).join(',');
  }

  /** An expelled member comes back through the seeds it knows, so the running ones are told of new ones. */
  async #announceSeeds(): Promise<void> {
    const answering = this.#members.filter((member) => member.isAnswering);
    const statement = 'SET GLOBAL group_replication_group_seeds = ?';
    await Promise.all(answering.map((member) => member.query(statement, [this.#seeds])));
  }

  async #startReplication(server: Server): Promise<void> {
    const { user, password } = ACCOUNTS.recovery;
    await server.query('START GROUP_REPLICATION USER = ?, PASSWORD = ?', [user, password]);
  }
}

const APPLY_TIMEOUT_S = 20;
const ONLINE_TIMEOUT_MS = 90_000;
/** Group Replication's own first try takes about five seconds. */
const REJOIN_PATIENCE_MS = 12_000;
const FAILOVER_TIMEOUT_MS = 60_000;
