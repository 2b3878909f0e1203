/**
 * Why a control session does not answer, as one of a few kinds. Decided by codes and error numbers, never by texts.
 */
import type { FailureKind } from '../../routing/observations.ts';

/** A failure with what there is to say about it; `message` never contains a password. */
export class ControlFailure extends Error {
  readonly kind: FailureKind;
  /** True when the connection is of no more use. */
  readonly isFatal: boolean;
  /** MySQL's error number, or 0. */
  readonly errorNumber: number;

  constructor(
    kind: FailureKind,
    message: string,
    facts: { isFatal?: boolean; errorNumber?: number; cause?: unknown } = {},
  ) {
    super(message, { cause: facts.cause });
    this.name = 'ControlFailure';
    this.kind = kind;
    this.isFatal = facts.isFatal ?? true;
    this.errorNumber = facts.errorNumber ?? 0;
  }
}

/** Turns whatever mysql2 or a socket threw into a failure. */
export function toControlFailure(error: unknown): ControlFailure {
  if (error instanceof ControlFailure) return error;
  const { code, errno, isFatal, message } = factsOf(error);
  const kind = KIND_BY_NUMBER.get(errno) ?? KIND_BY_CODE.get(code) ?? 'error';
  // Errors of the system carry negative numbers.
  const isServerError = errno > 0;
  return new ControlFailure(kind, message, {
    isFatal: isFatal || !isServerError,
    errorNumber: isServerError ? errno : 0,
    cause: error,
  });
}

function factsOf(error: unknown): { code: string; errno: number; isFatal: boolean; message: string } {
  if (!(error instanceof Error)) return { code: '', errno: 0, isFatal: true, message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const errno = 'errno' in error && typeof error.errno === 'number' ? error.errno : 0;
  // Several addresses were tried: the text of the whole is empty, those of the parts are not.
  const message = error.message === '' ? code : error.message;
  return { code, errno, isFatal: 'fatal' in error && error.fatal === true, message };
}

const KIND_BY_CODE: ReadonlyMap<string, FailureKind> = new Map([
  ['ECONNREFUSED', 'refused'],
  ['ETIMEDOUT', 'timeout'],
  // A router on the way says so; it need not be right.
  ['EHOSTUNREACH', 'timeout'],
  ['ENETUNREACH', 'timeout'],
  ['EHOSTDOWN', 'timeout'],
  ['EMFILE', 'router-exhausted'],
  ['ENFILE', 'router-exhausted'],
  ['ENOBUFS', 'router-exhausted'],
  ['ENOMEM', 'router-exhausted'],
  ['EADDRNOTAVAIL', 'router-exhausted'],
  ['ECONNRESET', 'closed'],
  ['ECONNABORTED', 'closed'],
  ['EPIPE', 'closed'],
  ['PROTOCOL_CONNECTION_LOST', 'closed'],
  ['PROTOCOL_PACKETS_OUT_OF_ORDER', 'not-mysql'],
  ['HANDSHAKE_SSL_ERROR', 'tls-failed'],
]);

const KIND_BY_NUMBER: ReadonlyMap<number, FailureKind> = new Map([
  /** ER_SERVER_SHUTDOWN */
  [1053, 'closed'],
  /** ER_SESSION_WAS_KILLED, ER_CLIENT_INTERACTION_TIMEOUT */
  [3169, 'closed'],
  [4031, 'closed'],
  /** ER_SERVER_OFFLINE_MODE; since MySQL 9.0 also ER_SERVER_OFFLINE_MODE_REASON and ER_SERVER_OFFLINE_MODE_USER */
  [3032, 'offline-mode'],
  [6400, 'offline-mode'],
  [6401, 'offline-mode'],
  /** ER_ACCESS_DENIED_ERROR, ER_HOST_NOT_PRIVILEGED, ER_ACCESS_DENIED_NO_PASSWORD_ERROR */
  [1045, 'access-denied'],
  [1130, 'access-denied'],
  [1698, 'access-denied'],
  /** ER_MUST_CHANGE_PASSWORD, ER_MUST_CHANGE_PASSWORD_LOGIN, ER_ACCOUNT_HAS_BEEN_LOCKED, ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK */
  [1820, 'access-denied'],
  [1862, 'access-denied'],
  [3118, 'access-denied'],
  [3955, 'access-denied'],
  /** ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR, ER_SPECIFIC_ACCESS_DENIED_ERROR */
  [1044, 'missing-grant'],
  [1142, 'missing-grant'],
  [1143, 'missing-grant'],
  [1227, 'missing-grant'],
  /** ER_SECURE_TRANSPORT_REQUIRED */
  [3159, 'tls-required'],
]);
