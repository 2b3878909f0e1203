/** Promise 1 with TLS ended at the router: nothing is changed, lost, repeated or reordered, whichever side has TLS. */
import { createSecureContext } from 'node:tls';
import t from 'tap';
import { encodePacket } from '../../../protocol/packet-header.ts';
import { createRandom } from '../../protocol/bytes.ts';
import { createAuthority } from '../../support/certificates.ts';
import { DataLab, primaryAt } from '../../support/data-lab.ts';
import { expectStream, type Manners, sendStream } from '../../support/random-stream.ts';
import { loginPayload, RawClient } from '../../support/raw-client.ts';
import type { ServerPeer } from '../../support/scripted-server.ts';

const SEED = Number(process.env['FAIRLEAD_TEST_SEED'] ?? Date.now() % 1_000_000);
const SESSIONS = 6;
const CERTIFICATE = createAuthority().issue('server');
const CONTEXT = createSecureContext({ cert: CERTIFICATE.cert, key: CERTIFICATE.key });

type Legs = { readonly client: boolean; readonly server: boolean };
const RUNS = [
  { mode: 'fast', client: true, server: true },
  { mode: 'fast', client: true, server: false },
  { mode: 'fast', client: false, server: true },
  { mode: 'portable', client: true, server: true },
] as const;

for (const { mode, ...legs } of RUNS) {
  const name = `client ${legs.client ? 'with' : 'without'} TLS, server ${legs.server ? 'with' : 'without'}, ${mode}`;
  t.test(`streams in both directions at once arrive as they were sent: ${name}`, async (t) => {
    const serverSslMode = legs.server ? 'required' : 'disabled';
    const routeKeys = `clientSslMode: preferred, serverSslMode: ${serverSslMode}`;
    const lab = await DataLab.start(t, { mode, routeKeys });
    const streams = new Map<string, Stream>();
    const served: Promise<string>[] = [];
    const server = await lab.server(t, async (peer) => {
      const inside = await enter(peer, legs);
      const stream = streams.get(inside?.username ?? '');
      if (inside !== null && stream !== undefined) served.push(play(inside, stream, 'down', 'up'));
    });
    lab.publish(primaryAt(server));
    const random = createRandom(SEED);
    const all = Array.from({ length: SESSIONS }, (_, index) => createStream(`s${index}`, random));
    for (const stream of all) streams.set(stream.name, stream);
    const problems = await Promise.all(all.map((stream) => visit(lab, legs, stream)));
    t.same(
      [...problems, ...(await Promise.all(served))].filter((problem) => problem !== ''),
      [],
      `seed ${SEED}`,
    );
    t.equal(served.length, SESSIONS);
    await lab.settled();
  });
}

/** One session's two streams and the manners of its two ends. */
type Stream = {
  readonly name: string;
  readonly bytes: Readonly<Record<'up' | 'down', number>>;
  readonly manners: Readonly<Record<'client' | 'server', Manners>>;
};

async function visit(lab: DataLab, { client: isSecure }: Legs, stream: Stream): Promise<string> {
  const raw = await RawClient.connect(lab.port());
  const client = isSecure ? await raw.secure() : raw;
  if (!isSecure) await client.readPacket();
  client.write(encodePacket(loginPayload(stream.name), isSecure ? 2 : 1));
  await client.readPacket();
  return play(client, stream, 'up', 'down');
}

/** Answers what went wrong; nothing when all that came was as it was sent. */
async function play(
  wire: RawClient | ServerPeer,
  { name, bytes, manners }: Stream,
  sends: 'up' | 'down',
  reads: 'up' | 'down',
): Promise<string> {
  const own = manners[sends === 'up' ? 'client' : 'server'];
  const sending = sendStream(wire, `${name} ${sends}`, bytes[sends], own).then(() => wire.finish());
  try {
    const received = await expectStream(wire, `${name} ${reads}`, Number.POSITIVE_INFINITY, own);
    await sending;
    return received === bytes[reads] ? '' : `${name}: ${received} of ${bytes[reads]} bytes ${reads}`;
  } catch (error) {
    return `${name}: ${error instanceof Error ? error.message : error}`;
  }
}

/** Lets the router in, with TLS where the route has it. */
async function enter(peer: ServerPeer, { server }: Legs): Promise<ServerPeer | null> {
  if (!server) return (await peer.logIn()) ? peer : null;
  const secured = await peer.secure(CONTEXT);
  return secured !== null && (await secured.logInSecurely()) !== null ? secured : null;
}

function createStream(name: string, random: () => number): Stream {
  const length = () => Math.floor([2_000, 300_000, 6_000_000][Math.floor(random() * 3)] ?? 0 * random());
  const bytes = { up: length(), down: length() };
  const manners = (totalBytes: number): Manners => ({
    random,
    maxChunkBytes: totalBytes < 100_000 ? 1000 : 200_000,
    stallsAt: [0.1, 0.3, 0.8].map((part) => part * totalBytes),
    maxStallMs: 20,
  });
  return { name, bytes, manners: { client: manners(bytes.up), server: manners(bytes.down) } };
}
