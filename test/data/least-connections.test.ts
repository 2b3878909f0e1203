/** Route strategy `least-connections`: sessions go where the fewest are open. */
import t from 'tap';
import { HEADER, sharedHeader } from '../../src/shared/counters.ts';
import { DataLab, secondaryAt } from '../support/data-lab.ts';
import { RawClient } from '../support/raw-client.ts';
import { serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

t.test('sessions even out over members, also when they leave and come at once', async (t) => {
  const lab = await DataLab.start(t, {
    routes: '  - { name: least, listen: "127.0.0.1:0", role: secondary, strategy: least-connections }',
  });
  const servers = await Promise.all([1, 2, 3].map(() => lab.server(t, serveOk)));
  lab.publish(...servers.map((server, slot) => secondaryAt(server, { id: `uuid-${slot}`, slot })));
  const open = () => servers.map((server) => server.openPeers.length);
  const come = async (count: number) => {
    const connecting = Array.from({ length: count }, () => RawClient.connect(lab.port('least')));
    const clients = await Promise.all(connecting);
    await Promise.all(clients.map((client) => client.authenticate()));
    return clients;
  };

  const clients = await come(30);
  t.strictSame(open(), [10, 10, 10], 'thirty at once');
  const [first] = servers;
  const ofFirst = new Set(first?.openPeers.slice(0, 9));
  for (const peer of ofFirst) peer.close();
  const openInAll = () => Atomics.load(sharedHeader(lab.counters), HEADER.openInAll);
  await until('nine to have left', () => openInAll() === 21);
  clients.push(...(await come(9)));
  t.strictSame(open(), [10, 10, 10], 'nine more all go where nine have left');
  for (const client of clients) client.close();
  await lab.settled();
});
