/** A short run of `npm run consistency`: the long ones are for the night. */
import t from 'tap';
import { testInOwnNetwork } from '../support/own-network.ts';
import { runCampaign } from './campaign.ts';

await testInOwnNetwork(
  t,
  import.meta.filename,
  'what clients are told could come from one server',
  async (t) => {
    const { histories, inflicted, anomalies } = await runCampaign(t, {
      seed: 1,
      seconds: 8,
      faults: ['sessions', 'switchover', 'minority', 'router'],
      clients: 4,
    });
    t.same(anomalies, [], 'nothing is lost, repeated, reordered or stale');
    t.comment(`faults: ${inflicted.join(', ')}`);
    for (const [name, history] of Object.entries(histories)) {
      const writes = history.filter((operation) => operation.kind === 'write');
      const acknowledged = writes.filter(({ outcome }) => outcome === 'acknowledged');
      t.ok(acknowledged.length > 30, `${name}: ${acknowledged.length} acknowledged writes`);
    }
  },
);
