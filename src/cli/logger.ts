/**
 * The log, on standard output: JSON lines for machines, or lines for people.
 *
 * Writing is asynchronous and bounded, because it must never stall the program: when nobody reads what was piped, lines
 * beyond MAX_QUEUED_BYTES are dropped and counted. What is queued is written out when the process exits.
 */
import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from '../config/config.ts';
import { MASK } from '../config/problems.ts';

export type ProgramLog = {
  readonly log: Logger;
  /** Lines dropped so far because standard output was not read. */
  droppedLines(): number;
  /** Writes out what is queued, now. */
  flush(): void;
};

/** `isTerminal` decides what `format: auto` becomes. */
export async function createLogger(settings: Config['log'], isTerminal: boolean): Promise<ProgramLog> {
  let dropped = 0;
  const output = pino.destination({ dest: 1, sync: false, maxLength: MAX_QUEUED_BYTES });
  output.on('drop', () => dropped++);
  const isPretty = settings.format === 'pretty' || (settings.format === 'auto' && isTerminal);
  return {
    log: createLog(settings.level, isPretty ? await prettyStream(output, isTerminal) : output),
    droppedLines: () => dropped,
    flush: () => output.flushSync(),
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

/** About ten thousand lines. */
const MAX_QUEUED_BYTES = 4 * 1024 * 1024;
