import t, { type Test } from 'tap';
import * as C from '../../protocol/capability-flags.ts';
import type { TrackerCapabilities } from '../../protocol/command-tracker.ts';
import * as COM from '../../protocol/commands.ts';
import { MAX_PAYLOAD_BYTES } from '../../protocol/packet-header.ts';
import { MAX_QUEUED_RUNS, PipelineQueue } from '../../protocol/tracker/pipeline-queue.ts';
import { Random } from '../fuzz/random.ts';
import {
  answeredBytes,
  type Conversation,
  joinSegments,
  Recorder,
  replay,
  replayChunked,
  replayCut,
  Script,
  type Segment,
  withoutBytes,
} from './tracker/conversation.ts';
import { AUTOCOMMIT, column, eof, err, ok, okEof, textRow } from './tracker/packets.ts';
import { readRecordings } from './tracker/recording.ts';
import { SCRIPTED } from './tracker/scripted.ts';

const MODERN = {
  sharedCapabilities: C.CLIENT_PROTOCOL_41 | C.CLIENT_DEPRECATE_EOF,
  sharedMariadbCapabilities: 0,
  statusFlags: AUTOCOMMIT,
};
const OLDER = { ...MODERN, sharedCapabilities: C.CLIENT_PROTOCOL_41 };

for (const conversation of [...SCRIPTED, ...readRecordings()])
  t.test(conversation.name, async (t) => checkConversation(t, conversation));

t.test('values and statements around 16 MiB', async (t) => {
  for (const [name, agreed, end] of [
    ['without EOFs', MODERN, okEof()],
    ['with EOFs', OLDER, eof()],
  ] as const) {
    const head = agreed === MODERN ? [[1], column('v')] : [[1], column('v'), eof()];
    for (const extra of [-1, 0, 1, MAX_PAYLOAD_BYTES]) {
      const row = Buffer.alloc(MAX_PAYLOAD_BYTES + extra, 0xff);
      // The prefix of a value below 16 MiB, and that of one above.
      for (const first of [0xfd, 0xfe]) {
        if (first === 0xfe && extra < 0) continue;
        row[0] = first;
        const script = new Script()
          .command(COM.COM_QUERY, 'SELECT v')
          .server(...head, row, row, textRow('1'), end);
        const log = replay(agreed, script.segments);
        t.equal(log.at(-1), IDLE, `${name}, ${extra} bytes over a full packet, first byte ${first}`);
        t.match(log.at(-2), / rows=3 /);
        t.equal(firstDifferingLargeCut(agreed, script.segments), undefined);
      }
    }
  }
  for (const extra of [-2, -1, 0, MAX_PAYLOAD_BYTES - 1, MAX_PAYLOAD_BYTES]) {
    const sql = Buffer.alloc(MAX_PAYLOAD_BYTES + extra, 0xff);
    const script = new Script().command(COM.COM_QUERY, sql).server(ok()).command(COM.COM_PING).server(ok());
    t.same(withoutBytes(replay(MODERN, script.segments)), [
      'begin QUERY',
      'first QUERY',
      'end QUERY results=1 rows=0 left=0',
      'begin PING',
      'first PING',
      'end PING results=1 rows=0 left=0',
      IDLE,
    ]);
    t.equal(firstDifferingLargeCut(MODERN, script.segments), undefined, `a statement of ${sql.length} bytes`);
  }
});

t.test('a full packet of a file is continued, and what continues it does not end the file', async (t) => {
  const script = new Script()
    .command(COM.COM_QUERY, 'LOAD DATA')
    .server([0xfb, 0x66])
    .client(Buffer.alloc(MAX_PAYLOAD_BYTES, 0x31));
  const recorder = new Recorder(MODERN);
  for (const { side, bytes } of script.segments) recorder.feed(side, bytes);
  t.equal(recorder.tracker.isIdle, false);
  t.same(recorder.log, ['begin QUERY', 'first QUERY']);
  const whole = script.client('').server(ok());
  t.equal(replay(MODERN, whole.segments).at(-1), IDLE);
  t.equal(firstDifferingLargeCut(MODERN, whole.segments), undefined);
});

t.test('a long statement behind others in the pipeline is answered with its own sequence id', async (t) => {
  const script = new Script()
    .command(COM.COM_PING)
    .command(COM.COM_QUERY, Buffer.alloc(MAX_PAYLOAD_BYTES + 5, 0x20))
    .command(COM.COM_STMT_CLOSE, Buffer.alloc(MAX_PAYLOAD_BYTES + 5, 0x20))
    .sequence(1)
    .server(ok())
    .sequence(2)
    .server(ok());
  t.equal(replay(MODERN, script.segments).at(-1), IDLE);
});

t.test('a packet that ends an answer but is continued ends it only when it has passed', async (t) => {
  const long = Buffer.alloc(MAX_PAYLOAD_BYTES, 0x20);
  long.set(err());
  const script = new Script().command(COM.COM_QUERY, 'X').server(long);
  const recorder = new Recorder(MODERN);
  for (const { side, bytes } of script.segments) recorder.feed(side, bytes, 0, bytes.length - 1);
  t.same(recorder.log, ['begin QUERY', 'first QUERY']);
  t.match(replay(MODERN, script.segments).at(-2), /^end QUERY error=1064/);
});

t.test('a session is idle only between packets, in both directions', async (t) => {
  const { segments } = new Script()
    .command(COM.COM_STMT_CLOSE, Buffer.of(1, 0, 0, 0))
    .command(COM.COM_QUERY, 'BEGIN')
    .server(ok());
  const recorder = new Recorder(MODERN);
  t.equal(recorder.tracker.isIdle, true);
  for (const [index, { side, bytes }] of segments.entries()) {
    for (let position = 0; position < bytes.length; position++) {
      recorder.feed(side, bytes, position, position + 1);
      const isBoundary = position === bytes.length - 1 && index !== 1;
      t.equal(recorder.tracker.isIdle, isBoundary, `after byte ${position} of packet ${index}`);
    }
  }
  recorder.feed('server', Buffer.of(1));
  t.equal(recorder.tracker.isIdle, false, 'a header the server has begun');
});

t.test('an answer is over with its last byte, not with its status flags', async (t) => {
  const recorder = new Recorder(MODERN);
  recorder.feed('client', Buffer.of(1, 0, 0, 0, COM.COM_PING));
  const answer = Buffer.concat([Buffer.of(27, 0, 0, 1), Buffer.from(ok()), Buffer.alloc(20)]);
  recorder.feed('server', answer, 0, answer.length - 1);
  t.same(recorder.log, ['begin PING', 'first PING']);
  recorder.feed('server', answer, answer.length - 1);
  t.equal(recorder.finish().at(-1), IDLE);
});

t.test('a batch that is sent ahead is followed, however long', async (t) => {
  const execute = Buffer.of(5, 0, 0, 0, COM.COM_STMT_EXECUTE, 1, 0, 0, 0);
  const answer = Buffer.concat([Buffer.of(7, 0, 0, 1), Buffer.from(ok())]);
  const recorder = new Recorder(MODERN);
  for (let count = 0; count < BATCH; count++) recorder.feed('client', execute);
  t.equal(recorder.tracker.inFlight, BATCH);
  for (let count = 0; count < BATCH; count++) recorder.feed('server', answer);
  t.equal(recorder.tracker.isIdle, true);
});

t.test(
  'a pipeline deeper than the tracker remembers makes it opaque; up to there it is followed',
  async (t) => {
    const commands = [COM.COM_PING, COM.COM_RESET_CONNECTION].map((each) => Buffer.of(1, 0, 0, 0, each));
    const recorder = new Recorder(MODERN);
    const answer = Buffer.concat([Buffer.of(7, 0, 0, 1), Buffer.from(ok())]);
    const send = (count: number) => recorder.feed('client', commands[count % 2] ?? Buffer.alloc(0));
    for (let round = 0; round < 3; round++) {
      for (let count = 0; count < MAX_QUEUED_RUNS + 1; count++) send(count);
      t.equal(recorder.tracker.inFlight, MAX_QUEUED_RUNS + 1);
      for (let count = 0; count < MAX_QUEUED_RUNS + 1; count++) recorder.feed('server', answer);
      t.equal(recorder.tracker.isIdle, true);
    }
    for (let count = 0; count < MAX_QUEUED_RUNS + 2; count++) send(count);
    t.equal(recorder.tracker.opaqueReason, 'pipeline-depth');
    t.match(recorder.log.at(-1), /pipeline-depth/, 'and that is its last word');
  },
);

t.test('the queue of a pipeline gives back what it was given, in order', async (t) => {
  const random = new Random(7);
  const queue = new PipelineQueue();
  const given: number[] = [];
  const returned: number[] = [];
  for (let step = 0; step < 100_000; step++) {
    if (random.chance(0.52)) {
      const command = random.chance(0.9) ? COM.COM_STMT_EXECUTE : COM.COM_QUERY;
      if (!queue.push(command)) break;
      given.push(command);
      for (let sequenceId = 1; random.chance(0.03); sequenceId++) {
        queue.extendLast(sequenceId);
        given.push(((given.pop() ?? 0) & 0xff) | (sequenceId << 8));
      }
    } else if (queue.length > 0) returned.push(queue.shift());
  }
  t.ok(queue.length > 1500, 'it has been deep');
  while (queue.length > 0) returned.push(queue.shift());
  t.equal(returned.join(), given.join());
});

t.test('commands in flight keep their order while the pipeline fills and drains unevenly', async (t) => {
  const recorder = new Recorder(MODERN);
  const kinds = [COM.COM_PING, COM.COM_INIT_DB, COM.COM_STMT_RESET, COM.COM_PROCESS_KILL, COM.COM_SET_OPTION];
  const answer = Buffer.concat([Buffer.of(7, 0, 0, 1), Buffer.from(ok())]);
  let sent = 0;
  let answered = 0;
  for (let round = 1; round < 60; round++) {
    for (let count = 0; count < round; count++) {
      recorder.feed('client', Buffer.of(1, 0, 0, 0, kinds[sent++ % kinds.length] ?? 0));
    }
    while (sent - answered > round / 2) {
      t.equal(recorder.tracker.command, kinds[answered % kinds.length]);
      recorder.feed('server', answer);
      answered++;
    }
  }
  t.equal(recorder.tracker.inFlight, sent - answered);
});

t.test('an opaque tracker tells it once and nothing afterwards', async (t) => {
  const recorder = new Recorder(MODERN);
  recorder.feed('server', Buffer.of(1));
  recorder.feed('client', Buffer.of(1, 0, 0, 9, COM.COM_PING));
  recorder.feed('server', Buffer.of(0, 0, 0, 0xff));
  recorder.feed('client', Buffer.of(1, 0, 0, 0, COM.COM_PING));
  t.same(recorder.finish(), ['opaque sequence', 'opaque']);
  t.equal(recorder.tracker.isIdle, false);
});

t.test('the status at the start is that of the connection phase', async (t) => {
  const { tracker } = new Recorder({ ...MODERN, statusFlags: 0 });
  t.equal(tracker.facts.isAutocommit, false);
  t.equal(tracker.facts.isInTransaction, false);
  t.equal(tracker.facts.isStatusCurrent, true);
});

function checkConversation(t: Test, { agreed, segments, expected }: Conversation): void {
  const log = replay(agreed, segments);
  t.same(withoutBytes(log), expected);
  const joined = joinSegments(segments);
  t.same(replay(agreed, joined), log, 'with packets of one side in one chunk');
  t.same(
    replayChunked(agreed, joined, () => 1),
    log,
    'byte by byte',
  );
  t.equal(firstDifferingCut(agreed, joined), undefined, 'cut at every byte');
  const isWhollyAnswered = log.at(-1)?.startsWith('idle') && !log.join().includes('unsolicited');
  if (isWhollyAnswered) {
    const sent = segments.reduce((sum, { side, bytes }) => sum + (side === 'server' ? bytes.length : 0), 0);
    t.equal(answeredBytes(log), sent, 'every byte of the server belongs to an answer');
  }
}

/** The first cut of one segment after which the tracker tells something else; `undefined` when there is none. */
function firstDifferingCut(agreed: TrackerCapabilities, segments: readonly Segment[]): string | undefined {
  const expected = replay(agreed, segments).join();
  for (const [index, { side, bytes }] of segments.entries()) {
    for (let cut = 1; cut < bytes.length; cut++) {
      const log = replayCut(agreed, segments, index, cut);
      if (log.join() !== expected) return `${side} segment ${index} at ${cut}: ${log.join(', ')}`;
    }
  }
  return undefined;
}

/** The same for segments too large to cut everywhere: around each packet's header. */
function firstDifferingLargeCut(
  agreed: TrackerCapabilities,
  segments: readonly Segment[],
): number | undefined {
  const expected = replay(agreed, segments).join();
  for (const { bytes } of segments) {
    let header = 0;
    while (header < bytes.length) {
      for (let cut = Math.max(1, header - 3); cut < header + 6; cut++) {
        let isFirst = true;
        const sizes = () => {
          const size = isFirst ? cut : 0x1_0001;
          isFirst = false;
          return size;
        };
        if (replayChunked(agreed, segments, sizes).join() !== expected) return cut;
      }
      header += 4 + bytes.readUIntLE(header, 3);
    }
  }
  return undefined;
}

const BATCH = 20_000;
const IDLE = 'idle, no transaction, 0 statements, 0 cursors';
