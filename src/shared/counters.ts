/**
 * Counters of the data plane, in one SharedArrayBuffer.
 *
 * Each data thread owns one block and is its only writer, so a count is a plain addition; the main thread adds the
 * blocks up when it is scraped. A reading may be a few events old, never torn: every cell is one aligned 64-bit float,
 * exact up to 2^53. The blocks are sized once: routes and members get an index in them, unknown names never make them grow.
 *
 *   header | thread 0: own cells, errors by number, routes, members, client addresses | thread 1: …
 */
import { CLIENT_TABLE_BYTES } from './client-counts.ts';
import { CONNECT_ERROR_BYTES, createKey } from './connect-errors.ts';

/** Routes that can have counters of their own. */
export const MAX_ROUTES = 32;
/** Members that can have counters of their own; more are served and counted together in the last block. */
export const MAX_MEMBER_SLOTS = 256;

/** Routes of routing guidelines that can have counters of their own. */
export const MAX_GUIDELINE_SLOTS = 64;

/** Why a session ended: one reason for each. */
export const END_REASONS = [
  'client_closed',
  'client_error',
  'client_quit',
  'server_closed',
  'server_error',
  'server_refused',
  'member_gone',
  'member_demoted',
  'member_promoted',
  'idle_timeout',
  'max_session_age',
  'shutdown',
  'protocol_error',
  'handshake_timeout',
  'no_destination',
  'limit',
  'tls_error',
  'internal_error',
  /** The routing guideline in force does not lead there. */
  'guideline',
] as const;
export type EndReason = (typeof END_REASONS)[number];

/** Why a client was refused by the router itself. */
export const REFUSAL_REASONS = [
  'route_limit',
  'total_limit',
  'client_limit',
  'hold_full',
  'no_destination',
  'bad_handshake',
  'out_of_order',
  'handshake_timeout',
  'server_handshake',
  'server_lost',
  'draining',
  /** One side has no TLS that the route demands of it, or no certificate that will do. */
  'tls_required',
  /** TLS with the client, or with the server, did not come about. */
  'tls_client',
  'tls_server',
  /** The password cannot be passed on from a side with TLS to a side without, or back. */
  'auth_impossible',
  /** The route does not let the client's network in. */
  'not_allowed',
  /** Too many malformed logins from the address. */
  'client_blocked',
  /** A proxy did not say for whom it connects, or not so that it can be understood. */
  'bad_proxy_header',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** How an attempt to reach a member ended. */
export const DIAL_RESULTS = [
  'ok',
  'refused',
  'timeout',
  'no_handshake',
  'error_packet',
  'error',
  'abandoned',
] as const;
export type DialResult = (typeof DIAL_RESULTS)[number];

/** Upper bounds of the latency buckets, in seconds; a last bucket takes the rest. */
export const LATENCY_BOUNDS_SECONDS = [
  0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60,
] as const;

/** Cells of one histogram: one per bound, one for the rest, and the sum in seconds. */
export const HISTOGRAM_CELLS = LATENCY_BOUNDS_SECONDS.length + 2;

/** Commands counted by kind: COM_* numbers 0 to 0x20, and one cell for all others. */
export const COMMAND_KINDS = 34;

/** Error numbers counted apart in one thread; further numbers share the cell `other`. */
export const ERROR_NUMBER_CELLS = 64;

type Layout = Readonly<Record<string, number>>;

/** Cells of a route's block: name → how many. */
const ROUTE_CELLS = {
  sessionsAccepted: 1,
  sessionsOpen: 1,
  sessionsHeld: 1,
  sessionsAuthenticated: 1,
  sessionsInTransaction: 1,
  /** Sessions in the command phase with a command in flight. */
  sessionsBusy: 1,
  sessionsOpaque: 1,
  holdsStarted: 1,
  holdsServed: 1,
  holdsExpired: 1,
  holdsAbandoned: 1,
  bytesToServer: 1,
  bytesToClient: 1,
  rows: 1,
  ended: END_REASONS.length,
  refused: REFUSAL_REASONS.length,
  commands: COMMAND_KINDS,
  firstByteSeconds: HISTOGRAM_CELLS,
  commandSeconds: HISTOGRAM_CELLS,
  connectSeconds: HISTOGRAM_CELLS,
  holdSeconds: HISTOGRAM_CELLS,
} as const satisfies Layout;

/** Cells of a member's block. */
const MEMBER_CELLS = {
  sessionsOpen: 1,
  /** Sessions open and dials under way: this thread's part of `HEADER.loadOnMember`. */
  load: 1,
  sessionsTotal: 1,
  commands: 1,
  dials: DIAL_RESULTS.length,
  isQuarantined: 1,
  /** How often it was tried again in vain since it was set aside. */
  vainRetries: 1,
  /** Attempts to reach it by X Protocol, which has a port of its own. */
  xDials: DIAL_RESULTS.length,
  isXQuarantined: 1,
  vainXRetries: 1,
} as const satisfies Layout;

/** Cells of a thread's own block. */
const THREAD_CELLS = {
  /** 1 when bare handles with a shared read buffer carry the traffic, 0 for the portable path. */
  fastRelay: 1,
  acceptFailures: 1,
  backpressurePauses: 1,
  queuedBytes: 1,
  trackerGaveUp: 1,
  logLinesSuppressed: 1,
  starts: 1,
  /** Goes on by one about every second, as long as the event loop turns; see thread-watch.ts. */
  beats: 1,
  /** How often it was ended because it did not. The one cell that the main thread counts in. */
  hangs: 1,
  /** Its number in the kernel; 0 where that is not known. */
  kernelThread: 1,
  errorsOther: 1,
  errorNumbers: ERROR_NUMBER_CELLS,
  errorCounts: ERROR_NUMBER_CELLS,
  /** Sessions placed by each route of routing guidelines, see guideline-slots.ts. */
  guidelineSessions: MAX_GUIDELINE_SLOTS,
} as const satisfies Layout;

/** Offset of each name within its block. */
export const ROUTE = offsetsOf(ROUTE_CELLS);
export const MEMBER = offsetsOf(MEMBER_CELLS);
export const THREAD = offsetsOf(THREAD_CELLS);

const ROUTE_SIZE = sizeOf(ROUTE_CELLS);
const MEMBER_SIZE = sizeOf(MEMBER_CELLS);
const THREAD_SIZE = sizeOf(THREAD_CELLS);
const BLOCK_SIZE = THREAD_SIZE + MAX_ROUTES * ROUTE_SIZE + MAX_MEMBER_SLOTS * MEMBER_SIZE;
const CELLS_BYTES = BLOCK_SIZE * 8;
const THREAD_BYTES = CELLS_BYTES + CLIENT_TABLE_BYTES;

/**
 * In front of the blocks, 32-bit integers that all threads change together, with Atomics: the round-robin position of
 * each route, the sessions open on each route, the sessions open and held in all, two of connect-errors.ts, the load of
 * each member, the round-robin position of each route of a routing guideline, and when the last decision lapses. The table of connect-errors.ts follows them.
 */
const HEADER_INTS = alignedInts(2 * MAX_ROUTES + 5 + MAX_MEMBER_SLOTS + MAX_GUIDELINE_SLOTS);
const CONNECT_ERRORS_AT = HEADER_INTS * 4;
const HEADER_BYTES = CONNECT_ERRORS_AT + CONNECT_ERROR_BYTES;

/** What follows is of 64 bits. */
function alignedInts(ints: number): number {
  return ints + (ints % 2);
}

/** Makes the memory for `threads` data threads. */
export function createCounterMemory(threads: number): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(HEADER_BYTES + threads * THREAD_BYTES);
  sharedHeader(memory)[HEADER.connectErrorKey] = createKey();
  return memory;
}

/** The table of malformed logins by client address, see connect-errors.ts. */
export function connectErrorTable(memory: SharedArrayBuffer): BigUint64Array {
  return new BigUint64Array(memory, CONNECT_ERRORS_AT, CONNECT_ERROR_BYTES / 8);
}

/** Lets every client address in again. */
export function forgetConnectErrors(memory: SharedArrayBuffer): void {
  const table = connectErrorTable(memory);
  for (let slot = 0; slot < table.length; slot++) {
    if (Atomics.exchange(table, slot, 0n) !== 0n)
      Atomics.sub(sharedHeader(memory), HEADER.connectErrorAddresses, 1);
  }
}

/** The cells of one thread: what it adds to. */
export function threadCells(memory: SharedArrayBuffer, threadIndex: number): Float64Array {
  return new Float64Array(memory, HEADER_BYTES + threadIndex * THREAD_BYTES, BLOCK_SIZE);
}

/** The tables of all threads in which sessions are counted by client address, see client-counts.ts. */
export function clientTables(memory: SharedArrayBuffer): readonly BigUint64Array[] {
  const threads = (memory.byteLength - HEADER_BYTES) / THREAD_BYTES;
  return Array.from({ length: threads }, (_, thread) => clientTable(memory, thread));
}

function clientTable(memory: SharedArrayBuffer, threadIndex: number): BigUint64Array {
  const offset = HEADER_BYTES + threadIndex * THREAD_BYTES + CELLS_BYTES;
  return new BigUint64Array(memory, offset, CLIENT_TABLE_BYTES / 8);
}

/** Numbers that all threads share exactly, because a limit or an order hangs on them. Changed with Atomics only. */
export function sharedHeader(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, HEADER_INTS);
}

/** Indices into the shared header; some take the index of a route, of a guideline's route or of a member on top. */
export const HEADER = {
  roundRobinPosition: 0,
  openOnRoute: MAX_ROUTES,
  openInAll: 2 * MAX_ROUTES,
  heldInAll: 2 * MAX_ROUTES + 1,
  connectErrorAddresses: 2 * MAX_ROUTES + 2,
  connectErrorKey: 2 * MAX_ROUTES + 3,
  loadOnMember: 2 * MAX_ROUTES + 4,
  /** Takes the index of a guideline's route on top. */
  guidelinePosition: 2 * MAX_ROUTES + 4 + MAX_MEMBER_SLOTS,
  /** See decision-lapse.ts; 0 before the first decision. */
  decisionLapsesAt: 2 * MAX_ROUTES + 4 + MAX_MEMBER_SLOTS + MAX_GUIDELINE_SLOTS,
} as const;

/** Where the block of a route begins in a thread's cells. */
export function routeOffset(routeIndex: number): number {
  return THREAD_SIZE + routeIndex * ROUTE_SIZE;
}

/** Where the block of a member begins in a thread's cells; members without a slot share the last one. */
export function memberOffset(slot: number): number {
  const index = slotIndex(slot);
  return THREAD_SIZE + MAX_ROUTES * ROUTE_SIZE + index * MEMBER_SIZE;
}

/** Adds one duration to the histogram that begins at `offset`. */
export function observeSeconds(cells: Float64Array, offset: number, seconds: number): void {
  let bucket = 0;
  while (bucket < LATENCY_BOUNDS_SECONDS.length && seconds > (LATENCY_BOUNDS_SECONDS[bucket] ?? 0)) bucket++;
  cells[offset + bucket] = (cells[offset + bucket] ?? 0) + 1;
  const sum = offset + HISTOGRAM_CELLS - 1;
  cells[sum] = (cells[sum] ?? 0) + seconds;
}

/** Counts an error by its number; once the thread's cells are taken, further numbers are counted together. */
export function countErrorNumber(cells: Float64Array, errorNumber: number): void {
  for (let cell = 0; cell < ERROR_NUMBER_CELLS; cell++) {
    const taken = cells[THREAD.errorNumbers + cell];
    if (taken === 0) cells[THREAD.errorNumbers + cell] = errorNumber;
    else if (taken !== errorNumber) continue;
    return add(cells, THREAD.errorCounts + cell, 1);
  }
  add(cells, THREAD.errorsOther, 1);
}

/** Adds to one cell. */
export function add(cells: Float64Array, offset: number, amount: number): void {
  cells[offset] = (cells[offset] ?? 0) + amount;
}

/** One session or dial more, or less, on the member with that slot. */
export function changeLoad(cells: Float64Array, header: Int32Array, slot: number, amount: 1 | -1): void {
  const index = slotIndex(slot);
  add(cells, memberOffset(index) + MEMBER.load, amount);
  Atomics.add(header, HEADER.loadOnMember + index, amount);
}

/** Members without a slot share the last one. */
export function slotIndex(slot: number): number {
  return slot < 0 || slot >= MAX_MEMBER_SLOTS ? MAX_MEMBER_SLOTS - 1 : slot;
}

/**
 * A thread that died took its sessions with it: its gauges start from zero again, and what it had open is taken out of
 * the shared header.
 */
export function forgetThread(memory: SharedArrayBuffer, threadIndex: number): void {
  const cells = threadCells(memory, threadIndex);
  const header = sharedHeader(memory);
  clientTable(memory, threadIndex).fill(0n);
  cells[THREAD.queuedBytes] = 0;
  for (let route = 0; route < MAX_ROUTES; route++) {
    const base = routeOffset(route);
    const open = cells[base + ROUTE.sessionsOpen] ?? 0;
    Atomics.sub(header, HEADER.openOnRoute + route, open);
    Atomics.sub(header, HEADER.openInAll, open);
    Atomics.sub(header, HEADER.heldInAll, cells[base + ROUTE.sessionsHeld] ?? 0);
    for (const name of ROUTE_GAUGES) cells[base + ROUTE[name]] = 0;
  }
  for (let slot = 0; slot < MAX_MEMBER_SLOTS; slot++) {
    const base = memberOffset(slot);
    cells[base + MEMBER.sessionsOpen] = 0;
    Atomics.sub(header, HEADER.loadOnMember + slot, cells[base + MEMBER.load] ?? 0);
    cells[base + MEMBER.load] = 0;
    cells[base + MEMBER.isQuarantined] = 0;
    cells[base + MEMBER.isXQuarantined] = 0;
    cells[base + MEMBER.vainRetries] = 0;
    cells[base + MEMBER.vainXRetries] = 0;
  }
}

/**
 * A slot went to another member: what was counted of the one before is not the new one's. Gauges stay, for sessions of
 * the one before may still be ending.
 */
export function forgetMember(memory: SharedArrayBuffer, threads: number, slot: number): void {
  for (let thread = 0; thread < threads; thread++) {
    const cells = threadCells(memory, thread);
    const base = memberOffset(slot);
    cells[base + MEMBER.sessionsTotal] = 0;
    cells[base + MEMBER.commands] = 0;
    cells.fill(0, base + MEMBER.dials, base + MEMBER.dials + DIAL_RESULTS.length);
    cells.fill(0, base + MEMBER.xDials, base + MEMBER.xDials + DIAL_RESULTS.length);
  }
}

/** Sums one cell over all threads. */
export function sumCells(memory: SharedArrayBuffer, threads: number, offset: number): number {
  let sum = 0;
  for (let thread = 0; thread < threads; thread++) sum += threadCells(memory, thread)[offset] ?? 0;
  return sum;
}

/** Cells of a route that go down as well as up. */
export const ROUTE_GAUGES = [
  'sessionsOpen',
  'sessionsHeld',
  'sessionsAuthenticated',
  'sessionsInTransaction',
  'sessionsBusy',
  'sessionsOpaque',
] as const;

function offsetsOf<T extends Layout>(cells: T): { readonly [K in keyof T]: number } {
  let next = 0;
  const entries = Object.entries(cells).map(([name, size]) => {
    const offset = next;
    next += size;
    return [name, offset];
  });
  // Object.fromEntries forgets the names; they are those of `cells`.
  return Object.fromEntries(entries) as { readonly [K in keyof T]: number };
}

function sizeOf(cells: Layout): number {
  return Object.values(cells).reduce((sum, size) => sum + size, 0);
}
