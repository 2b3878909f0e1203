/** Tests that need a network to cut to pieces: they run in a process of their own, in a network namespace of its own. */
import type { Test } from 'tap';
import {
  inOwnNetwork,
  isInOwnNetwork,
  missingNetwork,
  missingParts,
  type PartName,
} from '../../src/sandbox/index.ts';

/**
 * Runs `body` as the only test of `file`, which is the caller's own: the file is started a second time, inside. Skipped
 * with the reason where that cannot be.
 */
export async function testInOwnNetwork(
  t: Test,
  file: string,
  name: string,
  body: (t: Test) => Promise<void>,
  parts: readonly PartName[] = [],
): Promise<void> {
  if (isInOwnNetwork()) {
    await t.test(name, body);
    return;
  }
  const skip = (await missingParts('mysql', ...parts)) || (await missingNetwork());
  if (skip !== false) {
    await t.test(name, { skip }, async () => {});
    return;
  }
  const command = inOwnNetwork(process.execPath, [...process.execArgv, file]);
  await t.spawn(command.file, [...command.args], { env: command.env }, name);
}
