/** HAProxy in front, MariaDB behind: the client's address goes all the way by the PROXY protocol. */
import { connect } from 'node:net';
import t from 'tap';
import { createAccount, createSandbox, missingParts } from '../../src/sandbox/index.ts';
import { ask, errorName } from '../support/clients.ts';
import { RouterProcess } from '../support/router-process.ts';
import { until } from '../support/until.ts';

const cannot = await missingParts('mariadb', 'haproxy');

t.test('the server sees the client’s own address, and the router shows it', { skip: cannot }, async (t) => {
  const sandbox = await createSandbox({ log: (message) => t.comment(message) });
  t.teardown(() => sandbox.close());
  const server = await sandbox.startMariadb({ variables: { proxy_protocol_networks: '127.0.0.1' } });
  const keys = 'clientProxyProtocolFrom=127.0.0.1,serverProxyProtocol=v2';
  const router = await RouterProcess.start(t, sandbox, {
    seeds: [server.address],
    flags: [
      '--cluster-topology=static',
      `--route=name=proxied,listen=127.0.0.1:0,role=primary,${keys}`,
      '--route=name=told,listen=127.0.0.1:0,role=primary,serverProxyProtocol=v2',
    ],
  });
  const portOf = (route: string) =>
    router.events('route_listening').find((event) => event.route === route)?.port ?? 0;
  await router.untilTopology('a primary', ({ primary }) => primary === server.address);
  const whoAmI = async (port: number, localAddress: string) => {
    const stream = () => connect({ host: '127.0.0.1', port, localAddress });
    const [row] = await ask(port, "SELECT SUBSTRING_INDEX(USER(), '@', -1)", { stream });
    return row?.[0];
  };

  t.equal(await whoAmI(router.ports.rw, '127.0.0.5'), '127.0.0.1', 'without it the server sees the router');
  t.equal(await whoAmI(portOf('told'), '127.0.0.5'), '127.0.0.5', 'told by the router');

  // Grants by host go by the address the server sees: the router's, or the client's where the server is told.
  for (const host of ['127.0.0.1', '127.0.0.5']) {
    await createAccount(server, { user: 'by_host', password: `at-${host}`, host });
  }
  const logIn = (port: number, password: string) =>
    ask(port, 'SELECT SUBSTRING_INDEX(CURRENT_USER(), "@", -1)', {
      ...{ user: 'by_host', password, database: '' },
      stream: () => connect({ host: '127.0.0.1', port, localAddress: '127.0.0.5' }),
    }).then(([row]) => row?.[0], errorName);
  t.equal(await logIn(router.ports.rw, 'at-127.0.0.1'), '127.0.0.1', 'the account for the router’s host');
  t.equal(await logIn(router.ports.rw, 'at-127.0.0.5'), '1045', 'not that for the client’s host');
  t.equal(await logIn(portOf('told'), 'at-127.0.0.5'), '127.0.0.5', 'that for the client’s host, when told');

  for (const words of ['send-proxy check inter 100', 'send-proxy-v2 check inter 100']) {
    const haproxy = await sandbox.startHaproxy({
      primary: `127.0.0.1:${portOf('proxied')}`,
      secondaries: [],
      serverWords: words,
    });
    t.equal(await whoAmI(haproxy.ports.rw, '127.0.0.6'), '127.0.0.6', `told by HAProxy: ${words}`);
    await haproxy.stop();
  }
  // Health checks have come and gone in between.
  await until('all sessions to be over', async () => (await router.metric('fairlead_sessions_open')) === 0);
  t.same(router.events('client_refused'), []);
});
