import t from 'tap';
import { fuzzCommandTracker } from './command-tracker-fuzz.ts';

t.test(
  'changed conversations never make the tracker throw, contradict itself, or depend on the cut',
  async (t) => {
    const seed = 1 + (Date.now() % 0x7fff_fffe);
    const result = fuzzCommandTracker({ seconds: 2.5, seed, grow: false });
    t.equal(result.failure, undefined, `seed ${seed}, ${result.conversations} conversations`);
  },
);
