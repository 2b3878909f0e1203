/**
 * What the command-phase tracker tells: boundaries through a sink, everything else by reading `tracker.facts`
 * inside those calls. Nothing is allocated for it.
 */

/**
 * Called synchronously while bytes are fed. A sink may read the tracker, must not feed it, and must not throw:
 * an exception leaves through the feeding call with the tracker in an undefined state.
 */
export interface TrackerSink {
  /** The first byte of a command was seen. `command` is a COM_* number. Commands come in the order they were sent. */
  commandBegan(command: number): void;
  /** The first packet of the answer to `command` begins. */
  responseBegan(command: number): void;
  /**
   * The last byte of the answer to `command` has passed. `tracker.facts` are those of this answer. Never called for commands without a reply.
   */
  responseEnded(command: number): void;
  /** The server sent an ERR nobody asked for, such as 4031 (idle too long) or 1053 (shutdown). It usually closes next. */
  unsolicitedError(errorNumber: number): void;
  /** From here on the tracker knows nothing and costs nothing. Called at most once. */
  becameOpaque(reason: OpaqueReason): void;
}

/** Why boundaries are unknown; a label of bounded cardinality. */
export type OpaqueReason =
  /** Compression was agreed: packets are inside compressed ones. */
  | 'compression'
  /** CLIENT_PROTOCOL_41 was not agreed. */
  | 'old-protocol'
  /** COM_CLONE or COM_SUBSCRIBE_GROUP_REPLICATION_STREAM was accepted: another protocol from here. */
  | 'foreign-protocol'
  /** The server answered something other than ERR to a command we do not know. */
  | 'unknown-command'
  /** A sequence id that does not belong here: we, or they, have lost the thread. */
  | 'sequence'
  /** The server sent something other than an ERR with no command in flight. */
  | 'unasked-response'
  /** A packet that cannot stand here. */
  | 'unexpected-packet'
  /** A packet too short for its kind, or with fields that contradict each other. */
  | 'malformed-packet'
  /** An ERR numbered 65535, which is a progress report, although none were agreed. */
  | 'progress-not-agreed'
  /** A LOCAL INFILE request while more commands were under way: the server will read those as the file. */
  | 'infile-pipelined'
  /** More commands in flight than the tracker remembers: it counts equal ones in a row as one. */
  | 'pipeline-depth';
