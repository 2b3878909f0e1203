/**
 * Fetches the real servers and programs before the tests run, so that no test's time is spent on a download. What cannot
 * be had is told here, and once more by each test that is skipped for it.
 */
import { findPart, type PartName } from '../../src/sandbox/index.ts';

const PARTS = [
  'mysql',
  'mysql-router',
  'haproxy',
  'sysbench',
  'network',
  'mariadb',
  'php',
  'python',
  'mysql-headers',
  'client-sources',
  'perl',
  'x-client',
  'wordpress',
  'chromium',
  'knot',
  'kubectl',
  'image-base',
] as const satisfies readonly PartName[];

for (const name of PARTS) {
  const part = await findPart(name, (message) => console.log(`${name}: ${message}`));
  console.log(part.kind === 'available' ? `${name} is there` : part.reason);
}
