import t from 'tap';
import { createQuarantine } from '../../routing/quarantine.ts';
import { memberNamed } from './members.ts';

const B = memberNamed('b');
const C = memberNamed('c');

t.test('only failures in a row, as many as the threshold says, set a member aside', async (t) => {
  const quarantine = createQuarantine({ threshold: 3, intervalMs: 1000 });
  t.equal(quarantine.reportFailure(B, 0), false);
  t.equal(quarantine.reportFailure(B, 1), false);
  t.equal(quarantine.reportSuccess(B, 1), false, 'a success in between begins the count anew');
  t.equal(quarantine.reportFailure(B, 2), false);
  t.equal(quarantine.reportFailure(B, 3), false);
  t.equal(quarantine.isQuarantined(B), false);
  t.equal(quarantine.reportFailure(B, 4), true);
  t.equal(quarantine.isQuarantined(B), true);
  t.equal(quarantine.isQuarantined(C), false, 'the others are not touched');
  t.equal(quarantine.reportFailure(B, 5), false, 'it enters once');
});

t.test('a member in quarantine is probed once an interval until a probe succeeds', async (t) => {
  const quarantine = createQuarantine({ threshold: 1, intervalMs: 1000 });
  t.equal(quarantine.nextProbeAtMs(), null);
  quarantine.reportFailure(B, 100);
  t.equal(quarantine.nextProbeAtMs(), 1100);
  t.strictSame(quarantine.dueForProbe([B, C], 1099), []);
  t.strictSame(quarantine.dueForProbe([B, C], 1100), [B]);
  t.strictSame(quarantine.dueForProbe([B, C], 1101), [], 'the probe is under way');
  t.strictSame(quarantine.dueForProbe([B, C], 2100), [B], 'no answer: the next one');
  t.equal(quarantine.reportSuccess(B, 2200), true);
  t.equal(quarantine.isQuarantined(B), false);
  t.strictSame(quarantine.dueForProbe([B, C], 9999), []);
});

t.test('a new identity at the same address, and the same identity elsewhere, start clean', async (t) => {
  const quarantine = createQuarantine({ threshold: 1, intervalMs: 1000 });
  quarantine.reportFailure(B, 0);
  t.equal(quarantine.isQuarantined({ ...B, id: 'another-uuid' }), false);
  t.equal(quarantine.isQuarantined({ ...B, dial: { host: '10.0.0.9', port: 3306 } }), false);
  t.equal(quarantine.isQuarantined({ ...B, reason: 'slow', slot: 7 }), true);
});

t.test('members that left are forgotten, and settings take effect with the next failure', async (t) => {
  const quarantine = createQuarantine({ threshold: 1, intervalMs: 1000 });
  quarantine.reportFailure(B, 0);
  quarantine.reportFailure(C, 0);
  quarantine.keepOnly([C]);
  t.equal(quarantine.isQuarantined(B), false);
  t.equal(quarantine.isQuarantined(C), true);
  quarantine.configure({ threshold: 2, intervalMs: 5000 });
  t.equal(quarantine.reportFailure(B, 10), false);
  t.equal(quarantine.reportFailure(B, 20), true);
  t.strictSame(quarantine.dueForProbe([B], 5019), []);
  t.strictSame(quarantine.dueForProbe([B], 5020), [B]);
});

t.test('an attempt that began before the last success says nothing by its failure', async (t) => {
  const quarantine = createQuarantine({ threshold: 1, intervalMs: 1000 });
  t.equal(quarantine.reportFailure(B, 1000, 0), true, 'the network is gone');
  t.equal(quarantine.reportSuccess(B, 1500), true, 'and is back');
  for (const sinceMs of [600, 900, 1400])
    t.equal(quarantine.reportFailure(B, sinceMs + 1000, sinceMs), false, 'whoever set out before is late');
  t.equal(quarantine.isQuarantined(B), false);
  t.equal(quarantine.reportFailure(C, 2000, 900), true, 'of another member it is news');
  t.equal(quarantine.reportFailure(B, 2600, 1600), true, 'as is who set out later');
});
