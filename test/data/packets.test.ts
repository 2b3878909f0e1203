/** Statements and rows around the longest packet there is, followed by the tracker all the way. */
import t from 'tap';
import { encodePacket, MAX_PAYLOAD_BYTES } from '../../protocol/packet-header.ts';
import { SERVER_STATUS_AUTOCOMMIT } from '../../protocol/status-flags.ts';
import { Writer } from '../../protocol/writer.ts';
import { DataLab, primaryAt } from '../support/data-lab.ts';
import { createStream } from '../support/random-stream.ts';
import { RawClient } from '../support/raw-client.ts';
import { okPayload, type ServerPeer } from '../support/scripted-server.ts';
import type { Wire } from '../support/wire.ts';

/** Payload bytes of the statement, and of the row that answers it. */
const SIZES = [
  [1, 5],
  [300, 70_000],
  [MAX_PAYLOAD_BYTES - 1, 10],
  [MAX_PAYLOAD_BYTES, 10],
  [10, MAX_PAYLOAD_BYTES - 1],
  [10, MAX_PAYLOAD_BYTES],
  [MAX_PAYLOAD_BYTES + 1, MAX_PAYLOAD_BYTES + 1],
  [40_000_000, 40_000_000],
] as const;

for (const mode of ['fast', 'portable'] as const) {
  t.test(`statements and rows of any size pass unchanged (${mode})`, async (t) => {
    const lab = await DataLab.start(t, { mode });
    const server = await lab.server(t, async (peer) => {
      if (!(await peer.logIn())) return;
      for (const [statementBytes, rowBytes] of SIZES) await answer(peer, statementBytes, rowBytes);
      await peer.answerCommands(() => peer.ok(1));
    });
    lab.publish(primaryAt(server));
    const client = await RawClient.logIn(lab.port());
    for (const [statementBytes, rowBytes] of SIZES) {
      client.write(statementOf(statementBytes));
      t.ok(
        await receives(client, resultOf(rowBytes, packetsOf(statementBytes))),
        `a row of ${rowBytes} bytes`,
      );
    }
    t.ok(await client.command(COM_PING));
    t.equal(lab.route('sessionsOpaque'), 0, 'the tracker has not lost its way');
    t.equal(lab.route('sessionsBusy'), 0);
    t.equal(lab.route('rows'), SIZES.length);
    client.close();
    await lab.settled();
  });
}

async function answer(peer: ServerPeer, statementBytes: number, rowBytes: number): Promise<void> {
  if (!(await receives(peer, statementOf(statementBytes))))
    throw new Error(`a statement of ${statementBytes} bytes was changed`);
  peer.write(resultOf(rowBytes, packetsOf(statementBytes)));
}

async function receives(wire: Wire, expected: Buffer): Promise<boolean> {
  return (await wire.readBytes(expected.length))?.equals(expected) ?? false;
}

function statementOf(bytes: number): Buffer {
  return encodePacket(Buffer.concat([Buffer.of(COM_QUERY), createStream('statement')(bytes - 1)]), 0);
}

/** One column, one row of `bytes`, and the OK that ends it; sequence ids go on from those of the statement. */
function resultOf(bytes: number, sequenceId: number): Buffer {
  const row = Buffer.from(createStream('row')(bytes));
  // No marker of another packet; what its length says is the business of those who read rows.
  row[0] = 1;
  const end = okPayload(SERVER_STATUS_AUTOCOMMIT);
  end[0] = 0xfe;
  return Buffer.concat([
    encodePacket(Buffer.of(1), sequenceId),
    encodePacket(COLUMN, sequenceId + 1),
    encodePacket(row, sequenceId + 2),
    encodePacket(end, sequenceId + 2 + packetsOf(bytes)),
  ]);
}

function packetsOf(payloadBytes: number): number {
  return Math.floor(payloadBytes / MAX_PAYLOAD_BYTES) + 1;
}

/** Column definition: catalog to original name, then twelve bytes of fixed length. */
const COLUMN = ['def', '', '', '', 'c', '']
  .reduce((writer, text) => writer.writeLenencBytes(Buffer.from(text)), new Writer())
  .writeLenencBytes(Buffer.from([63, 0, 255, 255, 255, 255, 252, 0, 0, 0, 0, 0]))
  .finish();
const COM_QUERY = 3;
const COM_PING = 14;
