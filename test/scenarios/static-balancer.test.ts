/** A plain balancer, as in front of Vitess' vtgates: nobody is asked, a server that does not greet is set aside. */
import t from 'tap';
import { createSandbox, missingParts, waitFor } from '../../src/sandbox/index.ts';
import { connectTo, memberBehind } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';

const noMariadb = await missingParts('mariadb');

t.test('a static balancer over servers that know nothing of each other', { skip: noMariadb }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const servers = await Promise.all([sandbox.startMariadb(), sandbox.startMariadb()]);
  const [a, b] = servers;
  const router = await RouterProcess.start(t, sandbox, {
    seeds: servers.map(({ address }) => address),
    flags: [
      '--cluster-topology=static',
      '--route=name=all,listen=127.0.0.1:0,role=primary-and-secondary,strategy=least-connections',
      '--route=name=first,listen=127.0.0.1:0,role=primary-and-secondary,strategy=first-available',
    ],
  });
  const port = (route: string) =>
    router.events('route_listening').find((line) => line.route === route)?.port ?? 0;
  await router.untilTopology('both', ({ members }) => members.every(({ acceptsReads }) => acceptsReads));

  const clients = await Promise.all(Array.from({ length: 10 }, () => connectTo(port('all'))));
  const ports = await Promise.all(
    clients.map(async (client) =>
      Number((await client.query({ sql: 'SELECT @@port', rowsAsArray: true }))[0].toString()),
    ),
  );
  t.equal(ports.filter((found) => found === a?.port).length, 5, 'ten clients, five on each');
  t.equal(await memberBehind(port('first')), a?.port);

  await a?.kill();
  for (let visit = 0; visit < 4; visit++) {
    t.equal(
      await memberBehind(port(visit % 2 === 0 ? 'all' : 'first')),
      b?.port,
      'who comes now meets the other',
    );
  }
  for (const client of clients) client.destroy();
  t.match(await router.get('/readyz'), { status: 200 });
  await a?.start();
  await waitFor({ what: 'the first to be back', timeoutMs: 15_000 }, async () =>
    (await memberBehind(port('first'))) === a?.port ? true : undefined,
  );
  const accounts = await a?.query(
    "SELECT COUNT(*) AS logins FROM information_schema.processlist WHERE user = 'router'",
  );
  t.same(accounts, [{ logins: 0 }], 'nobody has asked it anything');
});
