/** What became of listeners, thread by thread. */
import t from 'tap';
import { RouteTable } from '../../src/data/route-table.ts';
import { labConfig } from '../support/data-lab.ts';

const { routes } = labConfig({});

t.test('a thread that dies while routes are replaced takes nobody else with it', async (t) => {
  const table = new RouteTable(routes);
  table.replace(routes, [0, 1]);
  const settled = table.settled();
  for (const { name } of routes) table.listening(1, name, 3306);
  table.gone(0, new Error('died'));
  t.match(await settled, { message: 'died' });
  // Started again, it has to say so itself: what the other said before does not count for it.
  table.expect([0]);
  let isSettled = false;
  const again = table.settled().then((failure) => {
    isSettled = true;
    return failure;
  });
  const [first, ...rest] = routes;
  if (first !== undefined) table.listening(0, first.name, 3306);
  await Promise.resolve();
  t.notOk(isSettled);
  for (const { name } of rest) table.listening(0, name, 3306);
  t.equal(await again, null, 'and its death is no failure of what comes after');
});

t.test('a thread that dies later has nothing to do with it', async (t) => {
  const table = new RouteTable(routes);
  table.expect([0, 1]);
  for (const thread of [0, 1]) for (const { name } of routes) table.listening(thread, name, 3306);
  table.gone(0, new Error('died'));
  t.equal(await table.settled(), null);
});

t.test('the first listener that fails is told, once all have said something', async (t) => {
  const table = new RouteTable(routes);
  table.expect([0]);
  const settled = table.settled();
  for (const [index, { name }] of routes.entries()) table.failed(0, name, new Error(`taken ${index}`));
  t.match(await settled, { message: 'taken 0' });
  t.match(table.status()[0], { isListening: false, problem: 'taken 0' });
});
