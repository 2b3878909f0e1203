/** A short soak; `npm run soak` is the long one. */
import t from 'tap';
import { missingParts } from '../../src/sandbox/index.ts';
import { runSoak } from './soak.ts';

t.test('ten seconds of everything at once', { skip: await missingParts('mysql') }, async (t) => {
  const found = await runSoak(t, { seconds: 10, clientsOfEachKind: 2 });
  t.same(Object.fromEntries(found.errors), {}, `${found.turns} turns, every answer right`);
  t.same(found.leftBehind, [], 'when everybody has left, nothing of them is left');
  t.same(found.complaints, [], 'and the router had nothing to complain of');
  t.ok(
    found.descriptors.end <= found.descriptors.before + 2,
    `${found.descriptors.end} descriptors, ${found.descriptors.before} before`,
  );
  const grownKib = found.residentKib.end - found.residentKib.warm;
  t.ok(
    grownKib < 100_000,
    `${grownKib} KiB more than when it was warm, buffers V8 has not returned included`,
  );
});
