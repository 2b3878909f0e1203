#!/usr/bin/env node
import { EXIT } from './cli/exit-codes.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
// As in package.json's engines. The rest is imported only then: an older Node fails at the imports, with a riddle.
if (major > 22 || (major === 22 && minor >= 19)) {
  const [{ runCommandLine }, { processTerminal }] = await Promise.all([
    import('./cli/commands.ts'),
    import('./cli/terminal.ts'),
  ]);
  process.exitCode = await runCommandLine(process.argv.slice(2), processTerminal());
} else {
  process.stderr.write(`fairlead: this is Node ${process.versions.node}, and it needs 22.19 or later\n`);
  process.exitCode = EXIT.usage;
}
