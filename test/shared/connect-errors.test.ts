/** Malformed logins by address (src/shared/connect-errors.ts): counted over threads, bounded, forgotten. */
import t from 'tap';
import { type ConnectErrors, createConnectErrors } from '../../src/shared/connect-errors.ts';
import {
  connectErrorTable,
  createCounterMemory,
  forgetConnectErrors,
  HEADER,
  sharedHeader,
} from '../../src/shared/counters.ts';

t.test('errors in a row are counted for all threads, and a success sets them back', async (t) => {
  const { open, entries } = openLab();
  const [one, other] = [open(), open()];
  t.ok(one.isEmpty);
  t.equal(one.failed('10.0.0.1'), 1);
  t.equal(other.failed('10.0.0.1'), 2);
  t.equal(other.failed('10.0.0.2'), 1);
  t.equal(one.count('10.0.0.1'), 2);
  t.equal(one.count('10.0.0.3'), 0);
  t.notOk(one.isEmpty);
  other.succeeded('10.0.0.1');
  other.succeeded('10.0.0.3');
  t.equal(one.count('10.0.0.1'), 0);
  t.equal(one.count('10.0.0.2'), 1);
  t.equal(entries(), 1);
});

t.test('errors are forgotten some time after the last one, and all of them at a reload', async (t) => {
  const lab = openLab();
  const errors = lab.open();
  errors.failed('10.0.0.1');
  lab.pass(59);
  errors.failed('10.0.0.1');
  lab.pass(59);
  t.equal(errors.count('10.0.0.1'), 2, 'the time counts from the last one');
  lab.pass(2);
  t.equal(errors.count('10.0.0.1'), 0);
  t.equal(errors.failed('10.0.0.1'), 1, 'it begins anew');
  errors.failed('10.0.0.2');
  lab.pass(61);
  t.equal(lab.entries(), 2);
  errors.sweep();
  t.equal(lab.entries(), 0);
  errors.failed('10.0.0.1');
  forgetConnectErrors(lab.memory);
  t.equal(errors.count('10.0.0.1'), 0);
  t.ok(errors.isEmpty);
});

t.test('a count does not run over, and any number of addresses fits', async (t) => {
  const lab = openLab();
  const errors = lab.open();
  for (let error = 0; error < 5000; error++) errors.failed('10.0.0.1');
  t.equal(errors.count('10.0.0.1'), 4095);
  t.equal(errors.count('10.0.0.2'), 0);
  lab.pass(1);
  for (let address = 0; address < 20_000; address++) errors.failed(`2001:db8::${address.toString(16)}`);
  t.ok(lab.entries() <= 8192);
  t.ok(errors.count('2001:db8::4e1f') >= 1, 'the last one is known: older ones made room');
  for (let address = 0; address < 20_000; address++) errors.succeeded(`2001:db8::${address.toString(16)}`);
  t.ok(lab.entries() <= 1, 'what was counted in was counted out');
});

t.test('addresses are told apart', async (t) => {
  const lab = openLab();
  const errors = lab.open();
  for (let address = 0; address < 2000; address++) errors.failed(`10.0.${address >> 8}.${address & 255}`);
  const wrong = Array.from(
    { length: 50_000 },
    (_, index) => `172.${16 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`,
  );
  const mistaken = wrong.filter((address) => errors.count(address) > 0).length;
  t.ok(mistaken <= 2, `of 50,000, ${mistaken} are taken for another; 0.02 are to be expected`);
  t.equal(lab.entries(), 2000);
});

function openLab() {
  const memory = createCounterMemory(1);
  const header = sharedHeader(memory);
  const cells = { entries: HEADER.connectErrorAddresses, key: HEADER.connectErrorKey };
  let nowMs = Date.UTC(2026, 0, 1);
  return {
    memory,
    entries: () => Atomics.load(header, cells.entries),
    pass: (minutes: number) => {
      nowMs += minutes * 60_000;
    },
    open: (): ConnectErrors =>
      createConnectErrors(
        connectErrorTable(memory),
        header,
        cells,
        () => 3_600_000,
        () => nowMs,
      ),
  };
}
