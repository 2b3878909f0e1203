/** The members on disk. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { EMPTY_TOPOLOGY, type Topology } from '../../../routing/topology.ts';
import { createStateFile, readStateFile } from '../../../src/control/discovery/state-file.ts';
import { waitFor } from '../../../src/sandbox/index.ts';
import { createEventLog } from '../../../src/shared/events.ts';
import { member } from '../../admin/fixture.ts';

const eventLog = () => createEventLog(pino({ level: 'silent' }), 100);
const topologyOf = (...addresses: readonly string[]): Topology => ({
  ...EMPTY_TOPOLOGY,
  members: addresses.map((address) => member(address, { dial: { host: '10.0.0.1', port: 3306 } })),
});

t.test('members are written whole, only when they change, and read again', async (t) => {
  const path = join(t.testdir({}), 'members.json');
  const events = eventLog();
  const file = createStateFile(() => path, events);
  const until = (count: number) =>
    waitFor({ what: `${count} members`, timeoutMs: 20_000, intervalMs: 5 }, async () => {
      const read = readStateFile(path, events).destinations;
      return read.length === count ? read : undefined;
    });
  file.remember(topologyOf('db-1:3306', 'db-2:3306'), null);
  t.match(await until(2), [
    { address: 'db-1:3306', dialHost: '10.0.0.1', id: /^0000.*3306$/ },
    { address: 'db-2:3306' },
  ]);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.strictSame(Object.keys(JSON.parse(readFileSync(path, 'utf8')).members[0]), [
    'address',
    'server_uuid',
    'host',
  ]);
  // Many changes at once: the last one is what counts.
  for (const count of [3, 4, 5])
    file.remember(topologyOf(...Array.from({ length: count }, (_, i) => `db-${i}:3306`)), null);
  await until(5);
  file.remember(topologyOf(), null);
  file.remember(
    {
      ...EMPTY_TOPOLOGY,
      members: [
        member('db-1:3306', { acceptsReads: false }),
        member('db-2:3306', { id: '' }),
        member('db-3:3306', { dial: null }),
      ],
    },
    null,
  );
  file.remember(topologyOf('[::1]:3306'), null);
  t.match(await until(1), [{ address: '[::1]:3306' }], 'nobody to serve is not worth remembering');
  const view = { id: 'set', viewId: 7 };
  file.remember(topologyOf('db-1:3306'), view);
  const written = await waitFor({ what: 'the view', timeoutMs: 20_000, intervalMs: 5 }, async () =>
    readStateFile(path, events).highestView === null ? undefined : readStateFile(path, events),
  );
  t.strictSame(written.highestView, { ...view, isFormer: true }, 'which others may have left behind by now');
  t.strictSame(events.recent(10), []);
});

t.test('another path, and one that could not be written, get what is known already', async (t) => {
  const folder = t.testdir({});
  let path = join(folder, 'missing', 'members.json');
  const events = eventLog();
  const file = createStateFile(() => path, events);
  const until = (what: string, holds: () => boolean) =>
    waitFor({ what, timeoutMs: 20_000, intervalMs: 5 }, async () => (holds() ? true : undefined));
  const topology = topologyOf('db-1:3306');
  file.remember(topology, null);
  await until('the failure', () => events.recent(10).length === 1);
  mkdirSync(join(folder, 'missing'));
  file.remember(topology, null);
  await until('the file', () => readStateFile(path, events).destinations.length === 1);
  path = join(folder, 'other.json');
  file.remember(topology, null);
  await until('the other file', () => readStateFile(path, events).destinations.length === 1);
});

t.test(
  'a file that is damaged or strange is told of and ignored, one that is missing is nothing',
  async (t) => {
    const path = join(t.testdir({}), 'members.json');
    const good = { address: 'db:3306', server_uuid: 'u', host: '10.0.0.1' };
    const events = eventLog();
    t.strictSame(readStateFile(path, events), { destinations: [], highestView: null });
    t.strictSame(events.recent(10), []);
    const bad = [
      '',
      '{"version":1,"mem',
      '[]',
      JSON.stringify({ version: 2, members: [good] }),
      JSON.stringify({ version: 1, members: [{ ...good, host: 'db.example' }] }),
      JSON.stringify({ version: 1, members: [{ ...good, address: 'db' }] }),
      JSON.stringify({ version: 1, members: Array.from({ length: 1001 }, () => good) }),
    ];
    for (const [index, text] of bad.entries()) {
      writeFileSync(path, text);
      t.strictSame(readStateFile(path, events).destinations, [], text.slice(0, 60));
      t.equal(events.recent(100).length, index + 1);
    }
    t.match(events.recent(1), [
      { kind: 'state_file_unusable', level: 'warn', message: /members\.json is ignored: / },
    ]);
    writeFileSync(path, JSON.stringify({ version: 1, members: [good] }));
    t.match(readStateFile(path, events), { destinations: { length: 1 }, highestView: null });
  },
);

t.test('a file that cannot be written is told of once', async (t) => {
  const events = eventLog();
  const path = join(t.testdir({}), 'nowhere', 'members.json');
  const file = createStateFile(() => path, events);
  file.remember(topologyOf('db-1:3306'), null);
  const isTold = () => events.recent(10).length > 0;
  await waitFor({ what: 'a warning', timeoutMs: 20_000, intervalMs: 5 }, async () =>
    isTold() ? true : undefined,
  );
  file.remember(topologyOf('db-2:3306'), null);
  t.match(events.recent(10), [{ kind: 'state_file_not_written', message: /ENOENT/ }]);
});
