/**
 * One connection to one member, logged in, that can be probed.
 */
import type { Socket } from 'node:net';
import type { Connection } from 'mysql2/promise';
import type { MemberAnswer } from '../../routing/observations.ts';
import { unreachable } from '../../routing/unreachable.ts';
import { ControlFailure, toControlFailure } from './control-failure.ts';
import type { RunQuery } from './metadata/metadata-query.ts';
import type { MetadataReader } from './metadata/metadata-reader.ts';
import { createAuroraProbe } from './probe/aurora-probe.ts';
import { createChannelWatch } from './probe/channel-watch.ts';
import { DETECTION_QUERY, readTraits, type ServerTraits } from './probe/detection.ts';
import { createGaleraProbe } from './probe/galera-probe.ts';
import { createGroupProbe, GROUP_SESSION_SETUP } from './probe/group-probe.ts';
import { createPlainProbe, type Probe } from './probe/probe.ts';
import { type ConnectionTarget, openConnection } from './server-connection.ts';

export type ControlSessionOptions = ConnectionTarget & {
  /** Monotonic milliseconds. */
  readonly now: () => number;
};

export type ControlSession = {
  /** One round trip. Never called while another is under way. @throws ControlFailure */
  probe(): Promise<MemberAnswer>;
  /**
   * Brings the copy of the metadata up to date. It may be under way while a probe is: the probe is then answered after the
   * statement that runs.
   */
  readMetadata(reader: MetadataReader): Promise<void>;
  /** True when the account may not read view ids: see views.ts for what is lost. */
  lacksStats(): boolean;
  /** Called once when the server ends the session while no probe is under way. */
  onEnd(callback: (failure: ControlFailure) => void): void;
  close(): void;
};

/** @throws ControlFailure */
export async function openControlSession(options: ControlSessionOptions): Promise<ControlSession> {
  const { connection, socket } = await openConnection(options);
  const abandon = (): void => {
    socket.destroy();
  };
  if (options.signal.aborted) abandon();
  options.signal.addEventListener('abort', abandon);
  try {
    return await createSession(connection, socket, options.now);
  } catch (error) {
    abandon();
    throw toControlFailure(error);
  } finally {
    options.signal.removeEventListener('abort', abandon);
  }
}

async function createSession(
  connection: Connection,
  socket: Socket,
  now: () => number,
): Promise<ControlSession> {
  let traits: ServerTraits;
  let probe: Probe;
  let readsStats = true;
  let mayReplicate = false;
  let detectedAtMs = 0;
  let onEnd: ((failure: ControlFailure) => void) | null = null;
  let ended: ControlFailure | null = null;
  let isProbing = false;
  const end = (error: unknown): void => {
    if (ended !== null) return;
    ended = toControlFailure(error);
    // mysql2 only ends its side, which a server that hangs never answers.
    socket.destroy();
    if (!isProbing) onEnd?.(ended);
  };
  connection.on('error', end);
  connection.on('end', () => end(new ControlFailure('closed', 'the server closed the control session')));

  const detect = async (): Promise<void> => {
    const [rows] = await connection.query(DETECTION_QUERY);
    traits = readTraits(rows);
    detectedAtMs = now();
    if (traits.kind === 'group') await connection.query(GROUP_SESSION_SETUP);
    probe = createProbe(traits, readsStats);
  };
  const ask = async (): Promise<MemberAnswer> => {
    const askedAtMs = now();
    const [results] = await connection.query(probe.text);
    const answer = probe.read(results, { askedAtMs, answeredAtMs: now() }, replication.current());
    // A server may have the plugin and no group.
    mayReplicate = answer.group === null && answer.galera === null && answer.aurora === null;
    return answer;
  };
  const setReadsStats = (reads: boolean): void => {
    readsStats = reads;
    probe = createProbe(traits, readsStats);
  };
  await detect();
  const replication = createChannelWatch({ query: (text) => connection.query(text), now, onEnd: end });

  return {
    async probe() {
      if (ended !== null) throw ended;
      isProbing = true;
      try {
        // A plugin may be installed while the server runs.
        if (traits.kind === 'plain' && now() - detectedAtMs > DETECTION_INTERVAL_MS) await detect();
        try {
          return await ask();
        } catch (error) {
          if (traits.kind !== 'group' || !readsStats || toControlFailure(error).kind !== 'missing-grant')
            throw error;
          setReadsStats(false);
          return await ask();
        }
      } catch (error) {
        const failure = toControlFailure(error);
        // Still not enough: next time all is asked for again, so that a grant given meanwhile is noticed.
        if (failure.kind === 'missing-grant' && !readsStats) setReadsStats(true);
        if (failure.isFatal) end(failure);
        throw ended ?? failure;
      } finally {
        isProbing = false;
        if (mayReplicate && ended === null) replication.refresh(traits);
      }
    },
    async readMetadata(reader) {
      const query: RunQuery = async (sql, values = []) => (await connection.query(sql, [...values]))[0];
      const failure = await reader.read(query);
      if (failure !== null) end(failure);
    },
    lacksStats: () => !readsStats,
    onEnd(callback) {
      onEnd = callback;
      if (ended !== null) callback(ended);
    },
    close() {
      if (ended !== null) return;
      ended = new ControlFailure('closed', 'closed by the router');
      // A session that is idle says goodbye, or the server counts an aborted client.
      const destroy = (): void => {
        socket.destroy();
      };
      if (isProbing) destroy();
      else {
        connection.end().then(destroy, destroy);
        setTimeout(destroy, GOODBYE_MS).unref();
      }
    },
  };
}

function createProbe(traits: ServerTraits, readsStats: boolean): Probe {
  switch (traits.kind) {
    case 'group':
      return createGroupProbe(traits, readsStats);
    case 'galera':
      return createGaleraProbe(traits);
    case 'aurora':
      return createAuroraProbe(traits);
    case 'plain':
      return createPlainProbe(traits);
    default:
      return unreachable(traits.kind);
  }
}

const DETECTION_INTERVAL_MS = 5000;
const GOODBYE_MS = 500;
