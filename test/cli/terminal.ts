/** A terminal that keeps what is written to it, and a command line run in this process. */
import { runCommandLine } from '../../src/cli/commands.ts';

export type CommandResult = { readonly code: number; readonly out: string; readonly error: string };

export async function runCommand(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  let out = '';
  let error = '';
  const code = await runCommandLine(argv, {
    writeOut: (text) => {
      out += text;
    },
    writeError: (text) => {
      error += text;
    },
    environment,
  });
  return { code, out, error };
}
