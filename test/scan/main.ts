/**
 * `npm run scan -- [--tries 10000] [--rounds 1] [--concurrency 8] [--seed 1]`: strangers of every kind at every port of a router, and
 * what its applications notice.
 */
import { parseArgs } from 'node:util';
import { runCampaign } from './campaign.ts';

const { values } = parseArgs({
  options: {
    tries: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '1' },
    concurrency: { type: 'string', default: '8' },
    crawlers: { type: 'string', default: '20' },
    seed: { type: 'string', default: String(1 + (Date.now() % 0x7fff_0000)) },
  },
});
const ends: (() => unknown)[] = [];
try {
  console.log(`seed ${values.seed}`);
  const report = await runCampaign(
    { teardown: (end) => void ends.push(end), comment: console.log },
    {
      tries: Number(values.tries),
      rounds: Number(values.rounds),
      concurrency: Number(values.concurrency),
      crawlers: Number(values.crawlers),
      seed: Number(values.seed),
    },
  );
  console.log(JSON.stringify({ ...report, openssl: report.openssl.map((text) => text.length) }, null, 2));
  if (report.errors.length > 0 || report.sessionsLeft > 0) process.exitCode = 1;
} finally {
  for (const end of ends.toReversed()) await end();
}
