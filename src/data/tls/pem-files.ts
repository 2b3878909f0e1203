/** PEM files and folders of them, as the operator names them in the configuration. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../shared/message-of.ts';
import { MAX_PEM_BYTES, readTextFile } from '../../shared/text-file.ts';

/** Something is wrong with a file: which one, and what. */
export class TlsFileError extends Error {
  override readonly name = 'TlsFileError';
}

/** What a folder is read for. OpenSSL keeps both in one, by names of their own: `<hash>.0` and `<hash>.r0`. */
export type PemKind = 'certificate' | 'revocation list';

/** `what` names the key. Null where no path is given. @throws TlsFileError */
export async function readPem(what: string, path: string | null): Promise<string | null> {
  if (path === null) return null;
  const text = await readText(what, path);
  if (text.includes('-----BEGIN ')) return text;
  throw new TlsFileError(`${what} = "${path}" is not PEM: nothing in it begins with -----BEGIN`);
}

/**
 * Everything of one kind in the files of a folder; hidden files and folders are not looked into.
 *
 * @throws TlsFileError also where nothing of the kind is there, or a file is neither
 */
export async function readPemFolder(
  what: string,
  path: string | null,
  kind: PemKind,
): Promise<readonly string[]> {
  if (path === null) return [];
  const texts: string[] = [];
  for (const file of await filesIn(what, path)) {
    const text = await readText(what, file);
    const isEither = Object.values(MARKS).some((mark) => mark.test(text));
    if (!isEither)
      throw new TlsFileError(`${what} = "${path}": ${file} holds neither certificate nor revocation list`);
    if (MARKS[kind].test(text)) texts.push(text);
  }
  if (texts.length === 0) throw new TlsFileError(`${what} = "${path}" holds no ${kind}`);
  return texts;
}

/** Changes when a file behind the path does, or one in it: written to, replaced, or reached by another link. */
export async function signatureOf(path: string): Promise<string> {
  try {
    const facts = await stat(path);
    const { ino, size, mtimeMs, ctimeMs } = facts;
    const own = `${path} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
    if (!facts.isDirectory()) return own;
    const files = await Promise.all((await visibleIn(path)).map((file) => stat(file)));
    return [own, ...files.map((file) => `${file.ino} ${file.size} ${file.mtimeMs} ${file.ctimeMs}`)].join(
      ' ',
    );
  } catch (error) {
    return `${path} ${messageOf(error)}`;
  }
}

async function filesIn(what: string, path: string): Promise<readonly string[]> {
  try {
    const files: string[] = [];
    for (const file of await visibleIn(path)) {
      if ((await stat(file)).isFile()) files.push(file);
    }
    return files;
  } catch (error) {
    throw new TlsFileError(`${what} = "${path}" cannot be read: ${messageOf(error)}`);
  }
}

/** The paths of what is not hidden in a folder, in order. */
async function visibleIn(path: string): Promise<readonly string[]> {
  const names = (await readdir(path)).filter((name) => !name.startsWith('.')).sort();
  return names.map((name) => join(path, name));
}

async function readText(what: string, path: string): Promise<string> {
  try {
    return await readTextFile(path, MAX_PEM_BYTES);
  } catch (error) {
    throw new TlsFileError(`${what} = "${path}" cannot be read: ${messageOf(error)}`);
  }
}

const MARKS = {
  certificate: /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/,
  'revocation list': /-----BEGIN X509 CRL-----/,
} as const satisfies Record<PemKind, RegExp>;
