/**
 * The log, on standard output: JSON lines for machines, or lines for people.
 */
import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { MASK } from '../config/problems.ts';
import { createLogOutput } from './log-output.ts';

export type ProgramLog = {
  readonly log: Logger;
  /** Lines dropped so far because standard output did not take them. */
  droppedLines(): number;
  /** Waits until what is queued is written, within limits. */
  flush(): Promise<void>;
};

/** `isTerminal` decides what `format: auto` becomes. */
export async function createLogger(settings: Config['log'], isTerminal: boolean): Promise<ProgramLog> {
  const output = createLogOutput(STANDARD_OUTPUT);
  const isPretty = settings.format === 'pretty' || (settings.format === 'auto' && isTerminal);
  return {
    log: createLog(settings.level, isPretty ? await prettyStream(output, isTerminal) : output),
    droppedLines: () => output.droppedLines(),
    flush: () => output.flush(),
  };
}

/** A logger onto any stream; secrets are masked should they ever get into a line. */
export function createLog(level: Config['log']['level'], output: DestinationStream): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: MASK },
    },
    output,
  );
}

/** In this thread, not in a worker: a log that needs a thread of its own is lost with it. */
async function prettyStream(output: DestinationStream, isTerminal: boolean): Promise<DestinationStream> {
  const { prettyFactory } = await import('pino-pretty');
  const format = prettyFactory({
    colorize: isTerminal,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
  return { write: (line) => output.write(format(line)) };
}

const SECRET_PATHS = ['password', '*.password', '*.*.password', 'passwd', '*.passwd', 'secret', '*.secret'];

const STANDARD_OUTPUT = 1;
