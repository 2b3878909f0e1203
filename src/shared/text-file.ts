/**
 * Files that an operator names: configuration, passwords, certificates. What stands under such a path is hostile until it was
 * looked at: a folder, a pipe nobody writes to, a device without end, a dump of ten gigabytes. Reading ends in any case,
 * and takes no more memory than is allowed.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno } from './errno.ts';

/** The message says what is wrong with the file, and does not name it: "it is a directory". */
export class TextFileError extends Error {
  override readonly name = 'TextFileError';
}

/**
 * The whole text. A pipe is read to its end, as shells make it of `<(…)`.
 *
 * @throws TextFileError, or what the system says where the file cannot be opened or read
 */
export async function readTextFile(path: string, maxBytes: number): Promise<string> {
  // Not to wait for somebody who writes: an open that blocks would keep one of Node's few pool threads for ever.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const facts = await file.stat();
    if (facts.isDirectory()) throw new TextFileError('it is a directory, not a file');
    if (facts.size > maxBytes) throw tooLarge(maxBytes);
    const text = await readToEnd(file, maxBytes);
    if (facts.isFIFO() && text === '') throw new TextFileError('it is a pipe, and nobody writes to it');
    return text;
  } finally {
    await file.close();
  }
}

async function readToEnd(file: FileHandle, maxBytes: number): Promise<string> {
  const untilMs = performance.now() + PATIENCE_MS;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const bytesRead = await readSome(file, chunk);
    if (bytesRead === 0) return Buffer.concat(chunks, bytes).toString('utf8');
    if (bytesRead === null) {
      if (performance.now() > untilMs)
        throw new TextFileError(`its end did not come within ${PATIENCE_MS / 1000} s`);
      await delay(AGAIN_MS);
      continue;
    }
    bytes += bytesRead;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk.subarray(0, bytesRead));
  }
}

/** 0 at the end, null while there is nothing. */
async function readSome(file: FileHandle, into: Buffer): Promise<number | null> {
  try {
    return (await file.read(into, 0, into.length, null)).bytesRead;
  } catch (error) {
    if (isErrno(error) && error.code === 'EAGAIN') return null;
    throw error;
  }
}

function tooLarge(maxBytes: number): TextFileError {
  return new TextFileError(`it is larger than ${maxBytes / 1024} KiB`);
}

/** More than any configuration: sixteen thousand routes. */
export const MAX_CONFIG_BYTES = 1024 * 1024;
export const MAX_SECRET_BYTES = 64 * 1024;
/** Revocation lists of large authorities have some megabytes. */
export const MAX_PEM_BYTES = 16 * 1024 * 1024;

const CHUNK_BYTES = 16 * 1024;
const AGAIN_MS = 20;
/** For whoever writes to a pipe: a program that decrypts, say. */
const PATIENCE_MS = 10_000;
