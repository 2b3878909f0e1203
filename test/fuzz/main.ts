/**
 * `npm run fuzz -- [--seconds 600] [--seed 1]`: the command-phase tracker, the connection phase, the login whose
 * TLS is passed through, and the one whose TLS ends at the router, a quarter of the time each.
 */
import { parseArgs } from 'node:util';
import { fuzzCommandTracker } from './command-tracker-fuzz.ts';
import { fuzzConnectionPhase } from './connection-phase-fuzz.ts';
import { fuzzRelayedLogin } from './relayed-login-fuzz.ts';
import { fuzzTerminatedLogin } from './terminated-login-fuzz.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: String(1 + (Date.now() % 0x7fff_fffe)) },
  },
});
const seed = Number(values.seed);
const seconds = Number(values.seconds) / 4;
const login = fuzzConnectionPhase(seconds, seed);
console.log(`seed ${seed}: ${login.logins} logins, ${login.ends} ways to end`);
const relayed = fuzzRelayedLogin(seconds, seed);
console.log(`seed ${seed}: ${relayed.logins} logins relayed, ${relayed.ends} ways to end`);
const terminated = fuzzTerminatedLogin(seconds, seed);
console.log(`seed ${seed}: ${terminated.logins} logins with TLS ended, ${terminated.ends} ways to end`);
const commands = fuzzCommandTracker({ seconds, seed, grow: false });
console.log(`seed ${seed}: ${commands.conversations} conversations, ${commands.features} features`);
for (const { failure } of [login, relayed, terminated, commands]) {
  if (failure === undefined) continue;
  console.error(failure);
  process.exitCode = 1;
}
