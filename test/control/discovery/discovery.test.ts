import pino from 'pino';
import t from 'tap';
import { bareDestination, type Destination, mergeDestinations } from '../../../routing/destinations.ts';
import { createDiscovery, type SourceSpec } from '../../../src/control/discovery/discovery.ts';
import {
  createSourceLedger,
  type SourceLedger,
  type SourceReport,
} from '../../../src/control/discovery/source.ts';
import { recordReport } from '../../../src/control/discovery/source-events.ts';
import { createNameResolver } from '../../../src/control/resolver.ts';
import { createEventLog } from '../../../src/shared/events.ts';

const named = (address: string, facts: Partial<Destination> = {}): Destination => ({
  ...bareDestination(address),
  ...facts,
});

t.test('several sources make one list, of each fact the first that knows it', async (t) => {
  const merged = mergeDestinations([
    [named('db-0:3306'), named('db-1:3306', { zone: 'a', labels: { role: 'x' } })],
    [
      named('db-1:3306', { zone: 'b', dialHost: '10.0.0.1', labels: { role: 'y', app: 'z' }, hint: 'ready' }),
      named('10.0.0.2:3306', { id: 'uuid-2', weight: 5 }),
    ],
    [named('db-2:3306', { id: 'uuid-2', dialHost: '10.9.9.9', zone: 'c' })],
  ]);
  t.strictSame(merged, [
    named('db-0:3306'),
    named('db-1:3306', {
      zone: 'a',
      dialHost: '10.0.0.1',
      labels: { role: 'x', app: 'z' },
      hint: 'ready',
    }),
    named('10.0.0.2:3306', { id: 'uuid-2', weight: 5, zone: 'c' }),
  ]);
});

t.test('a destination that is named no more stays until the others are heard, then leaves', async (t) => {
  const lab = createLab(['one', 'two']);
  const { discovery } = lab;
  lab.find('one', ['a:1', 'b:1']);
  t.strictSame(lab.addresses(), ['a:1', 'b:1'], 'two has not answered yet');
  lab.find('one', ['a:1']);
  discovery.settle(ALL_HEARD);
  t.strictSame([lab.addresses(), lab.dropped()], [['a:1', 'b:1'], []], 'two may still name it');
  lab.find('two', ['c:1']);
  discovery.settle(heardWhere((address) => address === 'a:1'));
  t.strictSame(
    [lab.addresses(), lab.dropped()],
    [['a:1', 'c:1', 'b:1'], []],
    'c may be b under another name',
  );
  discovery.settle(ALL_HEARD);
  t.strictSame(lab.dropped(), ['b:1']);
  lab.pass(999);
  discovery.settle(ALL_HEARD);
  t.strictSame(lab.addresses(), ['a:1', 'c:1', 'b:1'], 'its sessions have their time');
  lab.pass(1);
  discovery.settle(ALL_HEARD);
  t.strictSame([lab.addresses(), lab.dropped()], [['a:1', 'c:1'], []]);

  lab.find('two', []);
  lab.pass(4999);
  discovery.settle(heardWhere(() => false));
  t.strictSame(lab.dropped(), []);
  lab.pass(1);
  discovery.settle(heardWhere(() => false));
  t.strictSame(lab.dropped(), ['c:1'], 'a silent one does not keep it for ever');
  lab.find('two', ['c:1']);
  t.strictSame([lab.addresses(), lab.dropped()], [['a:1', 'c:1'], []], 'named again, it is back');
});

t.test('a source that never answers does not keep the dead for ever', async (t) => {
  const lab = createLab(['one', 'two']);
  lab.find('one', ['a:1', 'b:1', 'c:1']);
  lab.find('one', ['a:1']);
  const isAnswering = (address: string) => address !== 'c:1';
  lab.pass(599_999);
  lab.discovery.settle({ ...ALL_HEARD, isAnswering });
  t.strictSame([lab.addresses(), lab.dropped()], [['a:1', 'b:1', 'c:1'], []]);
  lab.pass(1);
  lab.discovery.settle({ ...ALL_HEARD, isAnswering });
  t.strictSame(
    [lab.addresses(), lab.dropped()],
    [['a:1', 'b:1'], []],
    'who answers may be what two would name',
  );
});

t.test('a source that fails keeps what it found, and tells of it once', async (t) => {
  const lab = createLab(['one']);
  lab.find('one', ['a:1']);
  const told = lab.changes.length;
  lab.fail('one', 'ESERVFAIL');
  lab.fail('one', 'ESERVFAIL');
  t.equal(lab.changes.length, told + 1);
  t.strictSame(lab.addresses(), ['a:1']);
  t.match(lab.discovery.reports(), [
    {
      name: 'one',
      failures: 2,
      successes: 1,
      failure: { code: 'ESERVFAIL' },
      destinations: [{ address: 'a:1' }],
    },
  ]);
  lab.find('one', ['a:1']);
  t.equal(lab.changes.length, told + 2, 'and that it is well again');
  lab.find('one', ['a:1']);
  t.equal(lab.changes.length, told + 2, 'the same again is no news');
});

t.test('a source that finds more than can be watched is cut short, and says so', async (t) => {
  const lab = createLab(['one']);
  lab.find(
    'one',
    Array.from({ length: 300 }, (_, index) => `db-${index}:3306`),
  );
  t.equal(lab.addresses().length, 256);
  t.match(lab.discovery.reports(), [{ failure: { code: 'too_many', message: /^300 addresses/ } }]);
});

t.test('after a reload a source that is configured as before goes on', async (t) => {
  const lab = createLab(['one', 'two']);
  lab.find('one', ['a:1']);
  lab.find('two', ['b:1']);
  lab.use(['two', 'three']);
  t.strictSame(lab.closed, ['one']);
  t.strictSame(lab.addresses(), ['b:1', 'a:1'], 'a may be what three will name');
  lab.discovery.settle(ALL_HEARD);
  t.strictSame(lab.dropped(), []);
  lab.find('three', ['d:1']);
  lab.discovery.settle(ALL_HEARD);
  t.strictSame([lab.addresses(), lab.dropped()], [['b:1', 'd:1', 'a:1'], ['a:1']]);
});

t.test(
  'what was remembered is gone by until a source finds anything, and not where somebody else is',
  async (t) => {
    const remembered = [
      named('db-0:3306', { id: 'uuid-0', dialHost: '10.0.0.1' }),
      named('db-1:3306', { id: 'uuid-1', dialHost: '10.0.0.2' }),
    ];
    const lab = createLab(['one', 'two'], remembered);
    t.strictSame(lab.addresses(), ['db-0:3306', 'db-1:3306']);
    t.equal(lab.discovery.destination('db-1:3306')?.dialHost, '10.0.0.2');
    t.match(lab.discovery.reports(), [{}, {}, { kind: 'state-file', destinations: { length: 2 } }]);
    lab.fail('one', 'ENOTFOUND');
    const ids = new Map([
      ['db-0:3306', 'uuid-0'],
      ['db-1:3306', 'uuid-9'],
    ]);
    lab.discovery.settle({ ...ALL_HEARD, idAt: (address) => ids.get(address) ?? '' });
    t.strictSame(lab.addresses()[0], 'db-0:3306');
    t.match(lab.discovery.reports()[2], { destinations: { length: 1 } }, 'the other is somebody else now');
    lab.find('two', ['db-0:3306']);
    t.equal(lab.discovery.destination('db-0:3306')?.dialHost, null, 'a source knows better');
    t.equal(lab.discovery.reports().length, 2);
  },
);

const heardWhere = (isHeard: (address: string) => boolean) => ({
  isHeard,
  idAt: () => '',
  isAnswering: () => true,
});
const ALL_HEARD = heardWhere(() => true);

/** A discovery with sources that find what the test says. */
function createLab(names: readonly string[], remembered: readonly Destination[] = []) {
  let nowMs = 0;
  const ledgers = new Map<string, SourceLedger>();
  const changes: string[] = [];
  const closed: string[] = [];
  const specs = (wanted: readonly string[]): readonly SourceSpec[] =>
    wanted.map((name) => ({
      key: name,
      create({ onReport }) {
        const ledger = createSourceLedger('static', name, onReport);
        ledgers.set(name, ledger);
        return { report: ledger.report, refresh: () => undefined, close: () => void closed.push(name) };
      },
    }));
  const resolver = createNameResolver({ servers: ['127.0.0.1:1'] });
  const discovery = createDiscovery({
    sources: specs(names),
    remembered,
    resolver,
    now: () => nowMs,
    random: () => 0.5,
    leaveMs: () => 1000,
    onChange: ({ name }) => void changes.push(name),
  });
  return {
    discovery,
    changes,
    closed,
    use: (wanted: readonly string[]) => discovery.use(specs(wanted)),
    pass: (ms: number) => {
      nowMs += ms;
    },
    find: (name: string, addresses: readonly string[]) =>
      ledgers.get(name)?.succeed(addresses.map(bareDestination)),
    fail: (name: string, code: string) => ledgers.get(name)?.fail({ code, message: code }),
    addresses: () => discovery.destinations().map(({ address }) => address),
    dropped: () => [...discovery.dropped()],
  };
}

t.test('a configured member whose name is lost is told of, though it stays where it was', async (t) => {
  const events = createEventLog(pino({ level: 'silent' }), 10);
  const told = () => events.recent(10).map(({ level, kind, message }) => `${level} ${kind} ${message}`);
  const tell = (report: Partial<SourceReport>) =>
    recordReport(events, {
      kind: 'static',
      name: 'static://db.example:3306',
      isCurrent: true,
      destinations: [bareDestination('db.example:3306')],
      lastSuccessAtMs: null,
      failure: null,
      successes: 0,
      failures: 0,
      ...report,
    });
  const failure = { code: 'ENOTFOUND', message: 'the name db.example does not resolve: ENOTFOUND' };
  tell({ failure, failures: 1 });
  tell({ lastSuccessAtMs: 1, successes: 1 });
  t.same(
    told().filter((line) => !line.startsWith('debug')),
    [],
    'at first the member tells by itself',
  );
  tell({ lastSuccessAtMs: 1, successes: 1, failure, failures: 1 });
  tell({ lastSuccessAtMs: 2, successes: 2, failures: 1 });
  t.same(
    told()
      .filter((line) => !line.startsWith('debug'))
      .sort(),
    [
      'info discovery_found static://db.example:3306: 1 addresses: db.example:3306',
      'warn discovery_failed static://db.example:3306: the name db.example does not resolve: ENOTFOUND; 1 addresses stay',
    ],
  );
});
