/**
 * The connection phase as one table. Everything that may happen, in both directions, is in it; what is not is
 * a `ProtocolError`.
 *
 *     server  initial handshake ─┬─ ERR → refused
 *     client  SSLRequest → tls   │  HandshakeResponse41, inside TLS where TLS ends here
 *     server  OK → command phase │  ERR → refused │ AuthSwitchRequest, AuthNextFactor, AuthMoreData
 *     client  its plugin's bytes, and so on until OK or ERR
 *
 * States are named for what is awaited. Plugins are not followed: who speaks next after an AuthMoreData is
 * theirs to know, so both may.
 */
export const CONNECTION_PHASE_TRANSITIONS = {
  /** The server's first packet. */
  'initial-handshake': {
    'initial-handshake': 'handshake-response',
    err: 'refused',
    violation: 'failed',
  },
  /** The client's first packet. The server may lose patience meanwhile and send ERR, here and below. */
  'handshake-response': {
    'ssl-request': 'tls',
    'ssl-request-here': 'handshake-response-in-tls',
    'handshake-response': 'auth-result',
    err: 'refused',
    violation: 'failed',
  },
  /** What the client's TLS, which ends here, holds first; a second SSLRequest would be no HandshakeResponse41. */
  'handshake-response-in-tls': {
    'handshake-response': 'auth-result',
    err: 'refused',
    violation: 'failed',
  },
  /** The server's word on what the client sent. A plugin may send two packets in a row, so may the client. */
  'auth-result': {
    ok: 'command-phase',
    'auth-switch-request': 'auth-response',
    'auth-next-factor': 'auth-response',
    'auth-more-data': 'auth-data',
    'fast-auth-ok': 'auth-result',
    'auth-response': 'auth-result',
    err: 'refused',
    violation: 'failed',
  },
  /** The client's answer to an AuthSwitchRequest or AuthNextFactor; the server's plugin may add data first. */
  'auth-response': {
    'auth-response': 'auth-result',
    'auth-more-data': 'auth-data',
    err: 'refused',
    violation: 'failed',
  },
  /** After data from the server's plugin: the client's answer, or more from the server. */
  'auth-data': {
    'auth-response': 'auth-result',
    'auth-more-data': 'auth-data',
    'auth-switch-request': 'auth-response',
    'auth-next-factor': 'auth-response',
    ok: 'command-phase',
    err: 'refused',
    violation: 'failed',
  },
  /** The server's OK has passed: the next byte of either side belongs to the command phase. */
  'command-phase': {},
  /** An SSLRequest has passed: the next byte of either side belongs to TLS. */
  tls: {},
  /** The server's ERR has passed: the server closes. */
  refused: {},
  /** A peer broke the protocol: nothing more is read. */
  failed: {},
} as const satisfies Readonly<
  Record<ConnectionPhaseState, Readonly<Partial<Record<ConnectionPhaseTrigger, ConnectionPhaseState>>>>
>;

export type ConnectionPhaseState =
  | 'initial-handshake'
  | 'handshake-response'
  | 'handshake-response-in-tls'
  | 'auth-result'
  | 'auth-response'
  | 'auth-data'
  | FinalState;

/** A state without a way out. */
export type FinalState = 'command-phase' | 'tls' | 'refused' | 'failed';

/** A packet, named for what it is, or `violation`. */
export type ConnectionPhaseTrigger = ServerTrigger | ClientTrigger | 'violation';

export type ServerTrigger =
  | 'initial-handshake'
  | 'auth-switch-request'
  | 'auth-next-factor'
  | 'auth-more-data'
  | 'fast-auth-ok'
  | 'ok'
  | 'err';

export type ClientTrigger = 'ssl-request' | 'ssl-request-here' | 'handshake-response' | 'auth-response';

/** The state after `trigger`, or `undefined` where the table has no such way. */
export function nextConnectionPhaseState(
  state: ConnectionPhaseState,
  trigger: ConnectionPhaseTrigger,
): ConnectionPhaseState | undefined {
  const row: Readonly<Partial<Record<ConnectionPhaseTrigger, ConnectionPhaseState>>> =
    CONNECTION_PHASE_TRANSITIONS[state];
  return row[trigger];
}

export function isFinalState(state: ConnectionPhaseState): state is FinalState {
  return Object.keys(CONNECTION_PHASE_TRANSITIONS[state]).length === 0;
}
