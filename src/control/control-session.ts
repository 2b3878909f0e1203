/**
 * One connection to one member, logged in, that can be probed.
 */
import type { MemberAnswer } from '../../routing/observations.ts';
import { unreachable } from '../../routing/unreachable.ts';
import { ControlFailure, toControlFailure } from './control-failure.ts';
import type { MetadataReader, Statement } from './metadata/metadata-reader.ts';
import { createAuroraProbe } from './probe/aurora-probe.ts';
import { createChannelWatch, type ReplicationFacts } from './probe/channel-watch.ts';
import { DETECTION_QUERY, readTraits, type ServerTraits } from './probe/detection.ts';
import { createGaleraProbe } from './probe/galera-probe.ts';
import { createGroupProbe, GROUP_SESSION_SETUP } from './probe/group-probe.ts';
import { createPlainProbe, type Probe } from './probe/probe.ts';
import { QuestionLine, type Tables } from './question-line.ts';
import {
  type ConnectionTarget,
  openConnection,
  type ServerConnection,
  takeStream,
} from './server-connection.ts';

export type ControlSessionOptions = ConnectionTarget & {
  /** Monotonic milliseconds. */
  readonly now: () => number;
};

export type ControlSession = {
  /**
   * One round trip. Never called while another is under way.
   *
   * @param readsGtids whether it is also to be found out, beside the probes, which transactions the server has executed
   * @throws ControlFailure
   */
  probe(readsGtids: boolean): Promise<ProbeOutcome>;
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
  const opened = await openConnection(options);
  const { socket } = opened;
  const abandon = (): void => {
    socket.destroy();
  };
  if (options.signal.aborted) abandon();
  options.signal.addEventListener('abort', abandon);
  try {
    return await createSession(opened, options.now);
  } catch (error) {
    abandon();
    throw toControlFailure(error);
  } finally {
    options.signal.removeEventListener('abort', abandon);
  }
}

async function createSession(opened: ServerConnection, now: () => number): Promise<ControlSession> {
  const { connection, socket } = opened;
  let traits: ServerTraits;
  let probe: Probe;
  let readsStats = true;
  let readsGtids = false;
  let mayReplicate = false;
  let detectedAtMs = 0;
  /** It lacks what it was found to have: a plugin may be taken away as well. */
  let isAstray = false;
  let before: Answered | null = null;
  let onEnd: ((failure: ControlFailure) => void) | null = null;
  let ended: ControlFailure | null = null;
  let isProbing = false;
  const end = (error: unknown): void => {
    if (ended !== null) return;
    ended = toControlFailure(error);
    line.end(ended);
    // mysql2 only ends its side, which a server that hangs never answers.
    socket.destroy();
    if (!isProbing) onEnd?.(ended);
  };
  const line = new QuestionLine(takeStream(opened), end);
  connection.on('error', end);
  connection.on('end', () => end(new ControlFailure('closed', 'the server closed the control session')));

  const useProbe = (): void => {
    probe = createProbe(traits, readsStats);
    before = null;
  };
  const detect = async (): Promise<void> => {
    const [rows] = await line.ask(DETECTION_QUERY);
    traits = readTraits(rows);
    detectedAtMs = now();
    isAstray = false;
    if (traits.kind === 'group') await line.ask(GROUP_SESSION_SETUP);
    useProbe();
  };
  const read = (tables: Tables, askedAtMs: number): ProbeOutcome => {
    const times = { askedAtMs, answeredAtMs: now() };
    const facts = replication.current();
    if (before?.tables === tables && before.facts === facts)
      return { answer: { ...before.answer, ...times }, isRepeated: true };
    const answer = probe.read(tables, times, facts);
    before = { tables, facts, answer };
    // A server may have the plugin and no group.
    mayReplicate = answer.group === null && answer.galera === null && answer.aurora === null;
    return { answer, isRepeated: false };
  };
  const setReadsStats = (reads: boolean): void => {
    readsStats = reads;
    useProbe();
  };
  const settle = (): void => {
    isProbing = false;
    if (mayReplicate && ended === null) replication.refresh(traits, readsGtids);
  };
  const failed = (error: unknown): ControlFailure => {
    const failure = toControlFailure(error);
    // Still not enough: next time all is asked for again, so that a grant given meanwhile is noticed.
    if (failure.kind === 'missing-grant' && !readsStats) setReadsStats(true);
    isAstray = failure.errorNumber === ER_UNKNOWN_SYSTEM_VARIABLE;
    if (failure.isFatal) end(failure);
    settle();
    return ended ?? failure;
  };
  const answered = (tables: Tables, askedAtMs: number): ProbeOutcome => {
    try {
      const outcome = read(tables, askedAtMs);
      settle();
      return outcome;
    } catch (error) {
      throw failed(error);
    }
  };
  const ask = (): Promise<ProbeOutcome> => {
    const askedAtMs = now();
    return line.ask(probe.text).then((tables) => answered(tables, askedAtMs), refused);
  };
  const refused = (error: unknown): Promise<ProbeOutcome> => {
    const isWithoutStats =
      traits.kind === 'group' && readsStats && toControlFailure(error).kind === 'missing-grant';
    if (!isWithoutStats) throw failed(error);
    setReadsStats(false);
    return ask();
  };
  await detect();
  const replication = createChannelWatch({
    query: async (text) => (await line.ask(text))[0],
    now,
    onEnd: end,
  });

  return {
    probe(wantsGtids) {
      if (ended !== null) return Promise.reject(ended);
      readsGtids = wantsGtids;
      isProbing = true;
      // A plugin may be installed while the server runs.
      const isDetectionDue =
        isAstray || (traits.kind === 'plain' && now() - detectedAtMs > DETECTION_INTERVAL_MS);
      return isDetectionDue
        ? detect().then(ask, (error: unknown) => {
            throw failed(error);
          })
        : ask();
    },
    async readMetadata(reader) {
      const textOf = ({ sql, values }: Statement): string =>
        values.length === 0 ? sql : connection.format(sql, [...values]);
      const failure = await reader.read({
        query: async (sql, values = []) => (await line.ask(textOf({ sql, values })))[0],
        together: (statements) => line.ask(statements.map(textOf).join('; ')),
      });
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
      line.end(ended);
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

export type ProbeOutcome = {
  readonly answer: MemberAnswer;
  /** But for its times it is what this session answered before. */
  readonly isRepeated: boolean;
};

/** What was answered last, and what was made of it. */
type Answered = {
  readonly tables: Tables;
  readonly facts: ReplicationFacts;
  readonly answer: MemberAnswer;
};

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

const ER_UNKNOWN_SYSTEM_VARIABLE = 1193;
const DETECTION_INTERVAL_MS = 5000;
const GOODBYE_MS = 500;
