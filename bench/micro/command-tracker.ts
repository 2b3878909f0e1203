/**
 * What the command-phase tracker costs: nanoseconds per small command, per megabyte of result, bytes per session.
 *
 *     node --expose-gc bench/micro/command-tracker.ts
 */
import { CLIENT_DEPRECATE_EOF, CLIENT_PROTOCOL_41 } from '../../protocol/capability-flags.ts';
import {
  type CommandTracker,
  createCommandTracker,
  type TrackerSink,
} from '../../protocol/command-tracker.ts';
import { COM_QUERY, COM_STMT_EXECUTE } from '../../protocol/commands.ts';
import { writePacketHeader } from '../../protocol/packet-header.ts';

const AGREED = {
  sharedCapabilities: CLIENT_PROTOCOL_41 | CLIENT_DEPRECATE_EOF,
  sharedMariadbCapabilities: 0,
  statusFlags: 2,
};

const ROUNDS = 7;
const ROUND_MS = 250;
const CHUNK_BYTES = 65_536;
const NAME_WIDTH = 46;

/** A sink that does as little as one that counts. */
class CountingSink implements TrackerSink {
  commands = 0;
  answers = 0;
  errors = 0;
  commandBegan(): void {
    this.commands++;
  }
  responseBegan(): void {}
  responseEnded(): void {
    this.answers++;
  }
  unsolicitedError(): void {
    this.errors++;
  }
  becameOpaque(reason: string): void {
    throw new Error(`the bench's own conversation made the tracker opaque: ${reason}`);
  }
}

const sink = new CountingSink();

measureCommands(
  'point select, text, 1 column',
  packets(0, query('SELECT c FROM t WHERE id=1')),
  pointSelect(1),
);
measureCommands(
  'point select, prepared, 4 columns',
  packets(0, [COM_STMT_EXECUTE, ...zeros(20)]),
  pointSelect(4),
);
measureCommands('OK only (UPDATE, COMMIT, PING)', packets(0, query('COMMIT')), packets(1, ok(0)));
measureCommands('100 rows of 200 B in one chunk', packets(0, query('SELECT')), rows(100, 200));
measureCutCommands(
  'point select, every packet in its own chunk',
  packets(0, query('SELECT')),
  pointSelect(1),
);
measureBytes('rows of 20 B', 20);
measureBytes('rows of 200 B', 200);
measureBytes('rows of 2 kB', 2000);
measureBytes('values of 1 MB', 1_000_000);
measureOpaque();
measureMemory();

function measureCommands(name: string, command: Buffer, answer: Buffer): void {
  const tracker = createCommandTracker(AGREED, sink);
  report(name, 'ns/command', 1, () => {
    for (let count = 0; count < 1000; count++) {
      tracker.onClientBytes(command, 0, command.length);
      tracker.onServerBytes(answer, 0, answer.length);
    }
    return 1000;
  });
}

function measureCutCommands(name: string, command: Buffer, answer: Buffer): void {
  const tracker = createCommandTracker(AGREED, sink);
  const ends: number[] = [];
  for (let position = 0; position < answer.length; position = ends.at(-1) ?? 0) {
    ends.push(position + 4 + answer.readUIntLE(position, 3));
  }
  report(name, 'ns/command', 1, () => {
    for (let count = 0; count < 1000; count++) {
      tracker.onClientBytes(command, 0, command.length);
      let start = 0;
      for (const end of ends) {
        tracker.onServerBytes(answer, start, end);
        start = end;
      }
    }
    return 1000;
  });
}

/** A result of 64 MB or so, in chunks of 64 KiB as the relay reads them. */
function measureBytes(name: string, rowBytes: number): void {
  const tracker = createCommandTracker(AGREED, sink);
  const command = packets(0, query('SELECT'));
  const answer = rows(Math.ceil(16_000_000 / (rowBytes + 4)), rowBytes);
  report(`large result, ${name}`, 'ns/MB', answer.length / 1e6, () => {
    tracker.onClientBytes(command, 0, command.length);
    for (let start = 0; start < answer.length; start += CHUNK_BYTES) {
      tracker.onServerBytes(answer, start, Math.min(answer.length, start + CHUNK_BYTES));
    }
    return 1;
  });
}

function measureOpaque(): void {
  const quiet: TrackerSink = { ...noop(), becameOpaque() {} };
  const tracker = createCommandTracker({ ...AGREED, sharedCapabilities: 0 }, quiet);
  const bytes = packets(0, query('SELECT'));
  report('an opaque tracker', 'ns/round trip', 1, () => {
    for (let count = 0; count < 1000; count++) {
      tracker.onClientBytes(bytes, 0, bytes.length);
      tracker.onServerBytes(bytes, 0, bytes.length);
    }
    return 1000;
  });
}

function measureMemory(): void {
  const { gc } = globalThis;
  if (gc === undefined) {
    console.log('memory per session: not measured, run with --expose-gc');
    return;
  }
  const command = packets(0, query('SELECT'));
  const answer = pointSelect(1);
  const trackers: CommandTracker[] = [];
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let count = 0; count < 100_000; count++) {
    const tracker = createCommandTracker(AGREED, sink);
    tracker.onClientBytes(command, 0, command.length);
    tracker.onServerBytes(answer, 0, answer.length);
    trackers.push(tracker);
  }
  gc();
  const bytes = (process.memoryUsage().heapUsed - before) / trackers.length;
  console.log(`${'memory per session'.padEnd(NAME_WIDTH)} ${bytes.toFixed(0).padStart(10)} B`);
}

/** Runs `work` for some rounds; it returns how often it did the thing. Prints the median and the best round. */
function report(name: string, unit: string, perTime: number, work: () => number): void {
  const results: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    // Processor time, not the clock: others may be at work on the same machine.
    const start = process.cpuUsage();
    let times = 0;
    let elapsedNs = 0;
    while (elapsedNs < ROUND_MS * 1e6) {
      times += work();
      const { user, system } = process.cpuUsage(start);
      elapsedNs = (user + system) * 1000;
    }
    // The first round warms up.
    if (round > 0) results.push(elapsedNs / times / perTime);
  }
  results.sort((a, b) => a - b);
  const median = results[ROUNDS >> 1] ?? 0;
  const best = results[0] ?? 0;
  console.log(
    `${name.padEnd(NAME_WIDTH)} ${median.toFixed(1).padStart(10)} ${unit} (best ${best.toFixed(1)})`,
  );
}

function pointSelect(columns: number): Buffer {
  const definitions = new Array<readonly number[]>(columns).fill(zeros(50, 3));
  return packets(1, [columns], ...definitions, zeros(120, 110), ok(0xfe));
}

function rows(count: number, rowBytes: number): Buffer {
  const row = packets(0, zeros(rowBytes, 200));
  const head = packets(1, [1], zeros(50, 3));
  const bytes = Buffer.concat([head, Buffer.alloc(row.length * count, row), packets(count + 3, ok(0xfe))]);
  for (let index = 0; index < count; index++)
    bytes[head.length + index * row.length + 3] = (index + 3) & 0xff;
  return bytes;
}

function packets(firstSequenceId: number, ...payloads: readonly (readonly number[])[]): Buffer {
  const total = payloads.reduce((sum, payload) => sum + 4 + payload.length, 0);
  const bytes = Buffer.alloc(total);
  let position = 0;
  for (const [index, payload] of payloads.entries()) {
    writePacketHeader(bytes, position, {
      payloadBytes: payload.length,
      sequenceId: (firstSequenceId + index) & 0xff,
    });
    bytes.set(payload, position + 4);
    position += 4 + payload.length;
  }
  return bytes;
}

function query(sql: string): readonly number[] {
  return [COM_QUERY, ...Buffer.from(sql)];
}

function ok(header: number): readonly number[] {
  return [header, 0, 0, 2, 0, 0, 0];
}

function zeros(length: number, first = 0): readonly number[] {
  const payload = new Array<number>(length).fill(0);
  payload[0] = first;
  return payload;
}

function noop(): Omit<TrackerSink, 'becameOpaque'> {
  return { commandBegan() {}, responseBegan() {}, responseEnded() {}, unsolicitedError() {} };
}
