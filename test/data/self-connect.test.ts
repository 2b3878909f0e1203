/** Dials of ports that nobody listens on, on the own host, where the kernel gives the same port to the end that dials. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { createSandbox, inOwnNetwork, missingNetwork } from '../../src/sandbox/index.ts';

// So few ports that it happens again and again; elsewhere it takes hundreds of dials.
const SET_UP = `
  LD_LIBRARY_PATH=$1 "$2" link set lo up
  echo "40000 40015" > /proc/sys/net/ipv4/ip_local_port_range
  exec "$3" "$4"`;
const DIALLER = join(import.meta.dirname, '..', 'support', 'self-dialler.ts');
const skip = await missingNetwork();

t.test(
  'a dial that is connected with itself is refused like one that nobody answers',
  { skip },
  async (t) => {
    const sandbox = await createSandbox({ log: (message) => t.comment(message) });
    t.teardown(() => sandbox.close());
    const ip = (await sandbox.part('network')).command('ip', []);
    const { LD_LIBRARY_PATH: library = '' } = ip.env;
    const inside = ['-ec', SET_UP, 'sh', library, ip.file, process.execPath, DIALLER];
    const { file, args, env } = inOwnNetwork('sh', inside);
    const { status, stdout, stderr } = spawnSync(file, args, { env, encoding: 'utf8', timeout: 60_000 });
    t.equal(status, 0, stderr);
    const { selfConnects, outcomes } = JSON.parse(stdout);
    t.ok(selfConnects > 0, `it happens here: ${selfConnects} of 200 plain connects`);
    for (const [how, kinds] of Object.entries(outcomes)) t.same(kinds, ['refused'], how);
    t.equal(Object.keys(outcomes).length, 4);
  },
);
