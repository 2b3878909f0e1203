import { EXIT } from './exit-codes.ts';

/** Where a command writes, and the variables it was started with: the process, or what a test puts in its place. */
export type Terminal = {
  readonly writeOut: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly environment: Readonly<Record<string, string | undefined>>;
};

export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', giveUpWriting);
  return {
    writeOut: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
    environment: process.env,
  };
}

/** A reader that has seen enough, such as `head`, is no failure; a disk without room is. */
function giveUpWriting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') process.once('exit', () => (process.exitCode = EXIT.failure));
}
