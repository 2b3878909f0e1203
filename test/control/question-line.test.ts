/** Questions on a connection: their order, what is known already, and how it ends. */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { QuestionLine } from '../../src/control/question-line.ts';
import { waitFor } from '../../src/sandbox/index.ts';
import { bytes, packet } from '../protocol/bytes.ts';

/** A line, and what stands at its other end. */
async function open(t: Test) {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const accepted = once(server, 'connection');
  const socket = createConnection({ port, host: '127.0.0.1', noDelay: true });
  const [peer]: Socket[] = await accepted;
  if (peer === undefined) throw new Error('nobody came');
  t.teardown(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });
  let asked = '';
  peer.on('data', (chunk) => {
    asked += chunk.toString('latin1');
  });
  const ends: unknown[] = [];
  const line = new QuestionLine(socket, (error) => ends.push(error));
  return {
    line,
    ends,
    answer: (...chunks: readonly Buffer[]) => peer.write(Buffer.concat(chunks)),
    untilAsked: (text: string) =>
      waitFor({ what: text, timeoutMs: 10_000, intervalMs: 1 }, async () => {
        if (!asked.endsWith(text)) return undefined;
        const all = asked;
        asked = '';
        return all;
      }),
  };
}

function table(value: string): Buffer {
  const name = ['def', '', '', '', 'id', 'id'].flatMap((text) => [text.length, text]);
  return bytes(
    packet(1, 1),
    packet(2, ...name, 12, '\x2d\x00\x00\x04\x00\x00\xfd\x00\x00\x00\x00\x00'),
    packet(3, 0xfe, 0, 0, 2, 0),
    packet(4, value.length, value),
    packet(5, 0xfe, 0, 0, 2, 0),
  );
}

t.test('one question at a time, in order; an answer of the same bytes is the same object', async (t) => {
  const { line, answer, untilAsked, ends } = await open(t);
  const first = line.ask('A');
  const second = line.ask('B');
  t.equal(await untilAsked('A'), '\x02\x00\x00\x00\x03A');
  answer(table('1'));
  const one = await first;
  t.strictSame(one, [[{ id: '1' }]]);
  t.equal(await untilAsked('B'), '\x02\x00\x00\x00\x03B');
  answer(table('1'));
  t.not(await second, one, 'each question has its own');

  const askAgain = async (chunks: readonly Buffer[]) => {
    const again = line.ask('A');
    await untilAsked('A');
    for (const chunk of chunks) {
      answer(chunk);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return await again;
  };
  t.equal(await askAgain([table('1')]), one);
  const whole = table('1');
  t.equal(await askAgain([whole.subarray(0, 30), whole.subarray(30)]), one, 'however it comes');
  const other = await askAgain([table('2')]);
  t.strictSame(other, [[{ id: '2' }]]);
  t.equal(await askAgain([table('2')]), other);
  t.strictSame(await askAgain([table('1')]), [[{ id: '1' }]]);
  t.strictSame(ends, []);
});

t.test('an error belongs to its question, and the line goes on', async (t) => {
  const { line, answer, untilAsked, ends } = await open(t);
  const refused = line.ask('A');
  await untilAsked('A');
  answer(packet(1, 0xff, 0x76, 0x04, '#42000denied'));
  await t.rejects(refused, { message: 'denied', errno: 1142 });
  const asked = line.ask('A');
  await untilAsked('A');
  answer(table('1'));
  t.strictSame(await asked, [[{ id: '1' }]]);
  t.strictSame(ends, []);
});

t.test('what nobody asked for ends it, and says why', async (t) => {
  const ended = async (chunk: Buffer): Promise<unknown> => {
    const { answer, ends } = await open(t);
    answer(chunk);
    return await waitFor({ what: 'the end', timeoutMs: 10_000 }, async () => ends[0]);
  };
  t.match(await ended(packet(0, 0xff, 0xbf, 0x0f, '#HY000idle')), {
    message: 'idle',
    errno: 4031,
    fatal: true,
  });
  t.match(await ended(table('1')), { message: /not asked/ });
  t.match(await ended(packet(0, 7, 7)), { name: 'ProtocolError' });
});

t.test('what is not answered any more is told so', async (t) => {
  const { line, answer, untilAsked } = await open(t);
  const asked = [line.ask('A'), line.ask('B')];
  await untilAsked('A');
  line.end(new Error('gone'));
  answer(table('1'));
  for (const question of [...asked, line.ask('C')]) await t.rejects(question, /gone/);
});
