/**
 * Three routers behind one address, replaced one after the other by new ones, over and over for as long as one says, while
 * a hundred clients a second connect and others keep their sessions: `npm run campaign:rolling -- 120`.
 */
import { lostWrites } from '../../bench/failover/record.ts';
import { runInOwnNetwork, say, withScope } from '../support/console-scope.ts';
import { startNetworkGroup, storedRows, untilAtWork } from '../support/network-group.ts';
import { countRolling, describeRolling, startRollingClients } from '../support/rolling-count.ts';
import { RouterService } from '../support/router-service.ts';
import type { Scope } from '../support/scope.ts';

const SERVICE = '10.213.7.200';
const seconds = Number(process.argv[2] ?? 120);

process.exitCode = await runInOwnNetwork(() => withScope(roll));

async function roll(scope: Scope): Promise<number> {
  const stage = await startNetworkGroup(scope, {
    // What an operator gets who sets nothing.
    discovery: async (_sandbox, _network, group) => ({
      seeds: group.members.map(({ address }) => address),
      flags: ['--drain-delay=5s', '--drain-timeout=25s'],
    }),
  });
  const service = new RouterService(stage.network, SERVICE, stage.addRouter);
  await service.take(stage.router);
  await service.add();
  await service.add();
  const load = startRollingClients(SERVICE);
  scope.teardown(() => load.stop(0));
  await untilAtWork(load);
  const startedAtMs = performance.now();
  let replaced = 0;
  for (let oldest = service.routers[0]; oldest !== undefined; oldest = service.routers[0]) {
    if (performance.now() - startedAtMs > seconds * 1000) break;
    await service.add();
    if ((await service.remove(oldest)) !== 0) say('a router did not end with 0');
    replaced += 1;
    say(`${((performance.now() - startedAtMs) / 1000).toFixed(0)} s: ${replaced} routers replaced`);
  }
  await untilAtWork(load);
  const attempts = await load.stop(5000);
  const count = countRolling(attempts);
  say(
    `\n${((performance.now() - startedAtMs) / 1000).toFixed(0)} s, ${replaced} routers replaced: ${describeRolling(count)}`,
  );
  for (const failure of [...count.failedConnects, ...count.failedStatements]) say(failure);
  const lost = lostWrites(attempts, await storedRows(await stage.group.primary()));
  say(`acknowledged writes lost: ${lost.length}`);
  if (count.failedConnects.length + count.failedStatements.length + lost.length > 0) return 1;
  return 0;
}
