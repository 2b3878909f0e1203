import t from 'tap';
import { fuzzConnectionPhase } from './connection-phase-fuzz.ts';
import { fuzzRelayedLogin } from './relayed-login-fuzz.ts';
import { fuzzTerminatedLogin } from './terminated-login-fuzz.ts';

t.test(
  'changed logins never make the connection phase throw, lose bytes, or depend on the cut',
  async (t) => {
    const seed = 1 + (Date.now() % 0x7fff_fffe);
    const result = fuzzConnectionPhase(2.5, seed);
    t.equal(result.failure, undefined, `seed ${seed}, ${result.logins} logins`);
    t.comment(`${result.logins} logins, ${result.ends} ways to end`);
  },
);

t.test('nor the login whose TLS ends at the router, whichever side has TLS', async (t) => {
  const seed = 1 + (Date.now() % 0x7fff_fffe);
  const result = fuzzTerminatedLogin(2.5, seed);
  t.equal(result.failure, undefined, `seed ${seed}, ${result.logins} logins`);
  t.comment(`${result.logins} logins, ${result.ends} ways to end`);
});

t.test('nor the relay of a login, whenever its client leaves', async (t) => {
  const seed = 1 + (Date.now() % 0x7fff_fffe);
  const result = fuzzRelayedLogin(1.5, seed);
  t.equal(result.failure, undefined, `seed ${seed}, ${result.logins} logins`);
  t.comment(`${result.logins} logins, ${result.ends} ways to end`);
});
