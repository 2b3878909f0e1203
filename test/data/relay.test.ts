/** Promise 1: not a byte is changed, lost, repeated or reordered, whatever the two ends do. */

import t, { type Test } from 'tap';
import { encodePacket } from '../../protocol/packet-header.ts';
import { messageOf } from '../../src/shared/message-of.ts';
import { createRandom } from '../protocol/bytes.ts';
import { DataLab, openSockets, primaryAt } from '../support/data-lab.ts';
import { expectStream, type Manners, sendStream } from '../support/random-stream.ts';
import { loginPayload, RawClient } from '../support/raw-client.ts';
import type { ServerPeer } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';
import type { Wire } from '../support/wire.ts';

/** How a session ends once its streams are through, or before. */
const ENDINGS = [
  'both-finish',
  'client-finishes-first',
  'server-finishes-first',
  'client-resets',
  'server-resets',
  'server-closes',
] as const;

type Plan = {
  readonly name: string;
  readonly ending: (typeof ENDINGS)[number];
  readonly bytesToServer: number;
  readonly bytesToClient: number;
  readonly manners: Readonly<Record<'clientSends' | 'clientReads' | 'serverSends' | 'serverReads', Manners>>;
};

/** What one end saw; `problem` is empty where all of it was as sent. */
type Seen = { readonly received: number; readonly problem: string };

const SEED = Number(process.env['FAIRLEAD_TEST_SEED'] ?? Date.now() % 1_000_000);

for (const mode of ['fast', 'portable'] as const) {
  t.test(`streams in both directions at once arrive as they were sent (${mode})`, async (t) => {
    const socketsBefore = openSockets();
    const lab = await DataLab.start(t, { mode });
    const plans = new Map<string, Plan>();
    const seenByServer = new Map<string, Promise<Seen>>();
    const server = await lab.server(t, async (peer) => {
      if (!(await peer.logIn())) return;
      const plan = plans.get(peer.username ?? '');
      if (plan === undefined) throw new Error('a session without a plan');
      seenByServer.set(plan.name, playServer(peer, plan));
    });
    lab.publish(primaryAt(server));
    const play = async (batch: readonly Plan[]) => {
      for (const plan of batch) plans.set(plan.name, plan);
      await Promise.all(batch.map((plan) => playAndCompare(t, lab, plan, seenByServer)));
    };
    // Nobody reads before the router has stopped reading both of them.
    await play([createFullPlan(`${mode}-full`, () => lab.threadCell('backpressurePauses') >= 2)]);
    const random = createRandom(SEED);
    await play(names(`${mode}-mixed`, 12).map((name) => createPlan(name, random)));
    await lab.settled();
    t.equal(lab.route('sessionsAccepted'), plans.size);
    for (const peer of server.peers) peer.close();
    await until('all sockets to be closed', () => openSockets() <= socketsBefore + LISTENERS);
  });
}

async function playAndCompare(
  t: Test,
  lab: DataLab,
  plan: Plan,
  seenByServer: ReadonlyMap<string, Promise<Seen>>,
): Promise<void> {
  const named = `seed ${SEED}, session ${plan.name}, ${plan.ending}`;
  try {
    const client = await RawClient.connect(lab.port());
    await client.readPacket();
    client.write(encodePacket(loginPayload(plan.name), 1));
    await client.readPacket();
    const atClient = await playClient(client, plan);
    const atServer = await seenByServer.get(plan.name);
    client.close();
    const problems = `${atClient.problem}${atServer?.problem ?? 'the server saw nothing'}`;
    if (problems !== '') t.fail(`${named}: ${problems}`);
    if (plan.ending === 'client-resets' || plan.ending === 'server-resets') return;
    if (atClient.received !== plan.bytesToClient || client.end !== 'fin') {
      t.fail(`${named}: the client got ${atClient.received} of ${plan.bytesToClient} bytes, ${client.end}`);
    }
    if (atServer?.received !== plan.bytesToServer) {
      t.fail(`${named}: the server got ${atServer?.received} of ${plan.bytesToServer} bytes`);
    }
  } catch (error) {
    t.fail(`${named}: ${messageOf(error)}`);
  }
}

async function playClient(client: RawClient, plan: Plan): Promise<Seen> {
  const { ending, manners } = plan;
  const reading = expectAll(client, `${plan.name} down`, manners.clientReads);
  const sending = sendStream(client, `${plan.name} up`, plan.bytesToServer, manners.clientSends);
  if (ending === 'server-finishes-first') await reading;
  await sending;
  if (ending === 'client-resets') client.reset();
  else if (ending !== 'server-closes') client.finish();
  return reading;
}

async function playServer(peer: ServerPeer, plan: Plan): Promise<Seen> {
  const { ending, manners } = plan;
  const reading =
    ending === 'server-closes'
      ? expectAtMost(peer, `${plan.name} up`, plan.bytesToServer, manners.serverReads)
      : expectAll(peer, `${plan.name} up`, manners.serverReads);
  const sending = sendStream(peer, `${plan.name} down`, plan.bytesToClient, manners.serverSends);
  if (ending === 'client-finishes-first') await reading;
  await sending;
  if (ending === 'server-resets') peer.reset();
  else if (ending === 'server-closes') await reading;
  peer.finish();
  return reading;
}

/** Reads to the other side's end, and past the end of the stream if more than that comes; never rejects. */
function expectAll(wire: Wire, seed: string, manners: Manners): Promise<Seen> {
  return expectAtMost(wire, seed, Number.POSITIVE_INFINITY, manners);
}

async function expectAtMost(wire: Wire, seed: string, bytes: number, manners: Manners): Promise<Seen> {
  try {
    return { received: await expectStream(wire, seed, bytes, manners), problem: '' };
  } catch (error) {
    return { received: -1, problem: messageOf(error) };
  }
}

/** More than kernels buffer, both ways, for readers that are late and slow: what is read cannot be written at once. */
/** More than the kernel keeps for a reader that does not read, in both directions. */
function createFullPlan(name: string, isRouterWaiting: () => boolean): Plan {
  const bytes = 24_000_000;
  const swift: Manners = { random: () => 1, maxChunkBytes: 1_000_000, stallsAt: [], maxStallMs: 0 };
  const late: Manners = {
    ...swift,
    beforeReading: () => until('the router to wait', isRouterWaiting, 20_000),
  };
  return {
    name,
    ending: 'both-finish',
    bytesToServer: bytes,
    bytesToClient: bytes,
    manners: { clientSends: swift, clientReads: late, serverSends: swift, serverReads: late },
  };
}

function createPlan(name: string, random: () => number): Plan {
  const bytesToServer = createLength(random);
  const bytesToClient = createLength(random);
  return {
    name,
    ending: pick(random, ENDINGS),
    bytesToServer,
    bytesToClient,
    manners: {
      clientSends: createManners(random, bytesToServer),
      clientReads: createManners(random, bytesToClient),
      serverSends: createManners(random, bytesToClient),
      serverReads: createManners(random, bytesToServer),
    },
  };
}

function names(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
}

/** As many short streams as long ones: nothing, one packet, what kernel buffers hold, and more than that. */
function createLength(random: () => number): number {
  return Math.floor(pick(random, [0, 2_000, 300_000, 12_000_000]) * random());
}

function createManners(random: () => number, totalBytes: number): Manners {
  const stalls = pick(random, [0, 2, 15]);
  return {
    random,
    // Streams of a million tiny chunks would test nothing but patience.
    maxChunkBytes: pick(random, totalBytes < 100_000 ? [10, 1000] : [5_000, 200_000, 1_000_000]),
    stallsAt: Array.from({ length: stalls }, () => random() * totalBytes).sort((one, other) => one - other),
    maxStallMs: pick(random, [1, 10, 60]),
  };
}

function pick<T>(random: () => number, values: readonly [T, ...T[]]): T {
  return values[Math.floor(random() * values.length)] ?? values[0];
}

/** Of the lab's four routes and its server. */
const LISTENERS = 5;
