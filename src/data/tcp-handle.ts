/**
 * The handles behind `net.Socket`: the one place that reaches below Node's public API. The fast transport stands on them;
 * transport-self-test.ts proves at start that they are as expected, and else the portable transport is used.
 */
import { type Server, Socket, type SocketConstructorOpts } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** A TCP connection as libuv has it. What returns a number returns 0, or an error as `uv_err_name` knows it. */
export type TcpHandle = {
  /** The file descriptor; -1 while there is none. */
  readonly fd: number;
  /** Called with what became of a read in `TcpBinding.state`. */
  onread: (this: TcpHandle) => void;
  /** From now on, reads fill this buffer. The handle does not keep it alive. */
  useUserBuffer(buffer: Buffer): void;
  readStart(): number;
  readStop(): number;
  /** Takes what the kernel takes at once; the rest is read from `buffer` later, then `oncomplete` is called. */
  writeBuffer(request: HandleRequest, buffer: Buffer): number;
  /** Sends FIN behind what is queued. */
  shutdown(request: HandleRequest): number;
  connect(request: HandleRequest, address: string, port: number): number;
  connect6(request: HandleRequest, address: string, port: number): number;
  getpeername(into: { address?: string; port?: number }): number;
  getsockname(into: { address?: string; port?: number }): number;
  setNoDelay(enable: boolean): number;
  setKeepAlive(enable: boolean, seconds: number): number;
  /** `onClosed` is called in a later turn of the event loop; what was under way ends with ECANCELED before. */
  close(onClosed: (this: TcpHandle) => void): void;
  /** As `close`, with RST. Not to be called behind `shutdown`. */
  reset(onClosed: (this: TcpHandle) => void): number;
  /** Ours: whose it is. */
  owner?: unknown;
};

/** Something a handle was asked to do and has not done yet. */
export type HandleRequest = {
  oncomplete?: (this: HandleRequest, status: number) => void;
  /** Ours: on whose behalf. */
  owner?: unknown;
  /** Ours: what must not be collected before it is sent. */
  buffer?: Buffer;
};

/** A request on behalf of `owner`, to be handed to a handle. */
export function requestFor(
  owner: unknown,
  Request: NewRequest,
  oncomplete: (this: HandleRequest, status: number) => void,
): HandleRequest {
  const request = new Request();
  request.owner = owner;
  request.oncomplete = oncomplete;
  return request;
}

/** A read that found the peer's FIN. From uv/errno.h, where it is the same on every system. */
export const UV_EOF = -4095;

type NewRequest = new () => HandleRequest;

/** What makes handles and requests, and the cells in which they leave their results. */
export type TcpBinding = {
  readonly createHandle: () => TcpHandle;
  readonly WriteRequest: NewRequest;
  readonly ShutdownRequest: NewRequest;
  readonly ConnectRequest: NewRequest;
  /** Results of the last call. */
  readonly state: Int32Array;
  /** In `state`: the bytes read, or an error. */
  readonly readBytesAt: number;
  /** In `state`: whether a part of the last write was left for later. */
  readonly isWriteUnfinishedAt: number;
};

/**
 * Node's own TCP, by `process.binding`, which Node advises against (DEP0111) and has kept for programs that need it.
 *
 * @throws Error where this Node has it no more, or not to us
 */
export function tcpBinding(): TcpBinding {
  const tcp = bindingNamed('tcp_wrap');
  const stream = bindingNamed('stream_wrap');
  const { TCP, TCPConnectWrap, constants } = tcp;
  const { WriteWrap, ShutdownWrap, streamBaseState, kReadBytesOrError, kLastWriteWasAsync } = stream;
  const isAsExpected =
    isConstructor(TCP) &&
    isConstructor(TCPConnectWrap) &&
    isConstructor(WriteWrap) &&
    isConstructor(ShutdownWrap) &&
    isRecord(constants) &&
    streamBaseState instanceof Int32Array &&
    typeof kReadBytesOrError === 'number' &&
    typeof kLastWriteWasAsync === 'number';
  if (!isAsExpected) throw new Error('this Node has its TCP handles elsewhere');
  // The type of a socket, not of a listener.
  const { SOCKET } = constants;
  return {
    // Node's declarations do not know what these make; the self-test tries every part of it.
    createHandle: () => new TCP(SOCKET) as TcpHandle,
    WriteRequest: WriteWrap as NewRequest,
    ShutdownRequest: ShutdownWrap as NewRequest,
    ConnectRequest: TCPConnectWrap as NewRequest,
    state: streamBaseState,
    readBytesAt: kReadBytesOrError,
    isWriteUnfinishedAt: kLastWriteWasAsync,
  };
}

function bindingNamed(name: string): Readonly<Record<string, unknown>> {
  const binding: unknown = Reflect.get(process, 'binding');
  const found: unknown = typeof binding === 'function' ? Reflect.apply(binding, process, [name]) : undefined;
  if (!isRecord(found)) throw new Error(`this Node has no binding ${name}`);
  return found;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function isConstructor(value: unknown): value is new (...args: readonly unknown[]) => unknown {
  return typeof value === 'function';
}

/**
 * Has a listening server hand over bare handles instead of sockets.
 *
 * @returns false when this Node keeps its handles elsewhere: then nothing has changed
 */
export function acceptHandles(
  server: Server,
  onHandle: (handle: TcpHandle) => void,
  onError: (status: number) => void,
): boolean {
  const listening: unknown = Reflect.get(server, '_handle');
  if (typeof listening !== 'object' || listening === null || !('onconnection' in listening)) return false;
  const isHandedOn = HANDS_SETTINGS_ON && 'setNoDelay' in listening;
  if (isHandedOn && typeof listening.setNoDelay === 'function') listening.setNoDelay(true);
  listening.onconnection = (status: number, handle: TcpHandle | undefined) => {
    if (status !== 0 || handle === undefined) return onError(status);
    if (!isHandedOn) handle.setNoDelay(true);
    onHandle(handle);
  };
  return true;
}

/**
 * Has the system probe connections that this server accepts from now on, when nothing has come for `seconds`; 0 for never.
 * Linux and the BSDs hand the settings of a listening socket on to those it accepts: no system call is made for each.
 */
export function keepAliveAccepted(server: Server, seconds: number): void {
  const listening: unknown = Reflect.get(server, '_handle');
  if (typeof listening !== 'object' || listening === null || !('setKeepAlive' in listening)) return;
  if (typeof listening.setKeepAlive === 'function') listening.setKeepAlive(seconds > 0, seconds);
}

/** The handle of a TLS socket: it reads and writes as one of TCP does. Null once it is closed, or where Node has it elsewhere. */
export function tlsHandleOf(socket: TLSSocket): TlsHandle | null {
  const handle: unknown = Reflect.get(socket, '_handle');
  const isAsExpected =
    isRecord(handle) &&
    ['useUserBuffer', 'readStart', 'readStop', 'writeBuffer', 'shutdown'].every(
      (name) => typeof handle[name] === 'function',
    );
  // Its declarations know nothing of it.
  return isAsExpected ? (handle as TlsHandle) : null;
}

export type TlsHandle = Pick<
  TcpHandle,
  'onread' | 'useUserBuffer' | 'readStart' | 'readStop' | 'writeBuffer' | 'shutdown' | 'owner'
>;

/** A socket around a handle. */
export function socketWithHandle(handle: TcpHandle, options: SocketConstructorOpts): Socket {
  const withHandle = { ...options };
  // The constructor takes any handle; its declarations know only those that BoundSocket hands out.
  Reflect.set(withHandle, 'handle', handle);
  return new Socket(withHandle);
}

/** Where it is known that a socket has the settings of the one it was accepted by. */
const HANDS_SETTINGS_ON = process.platform === 'linux';
