/** The bench's own programs in C: compiled once for each change of their sources, with the machine's own compiler. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { UnavailableError } from '../src/sandbox/index.ts';
import { inheritedEnvironment, runCommand } from '../src/sandbox/run-command.ts';

/**
 * Compiles all of `bench/<folder>/*.c` into one program and returns its path.
 *
 * @throws UnavailableError where there is no compiler
 */
export async function buildProgram(folder: string): Promise<string> {
  const source = join(import.meta.dirname, folder);
  const names = (await readdir(source)).filter((name) => /\.[ch]$/.test(name)).toSorted();
  const hash = createHash('sha256');
  for (const name of names) hash.update(name).update(await readFile(join(source, name)));
  const target = join(BUILD_DIRECTORY, `${folder}-${process.arch}-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(target)) return target;
  await mkdir(BUILD_DIRECTORY, { recursive: true });
  const compiler = findCompiler();
  const files = names.filter((name) => name.endsWith('.c')).map((name) => join(source, name));
  const unfinished = `${target}.${process.pid}`;
  await runCommand({
    file: compiler,
    args: ['-O2', '-o', unfinished, ...files],
    env: inheritedEnvironment(),
  });
  await rename(unfinished, target);
  return target;
}

function findCompiler(): string {
  const { PATH: path = '' } = process.env;
  for (const directory of path.split(':')) {
    for (const name of ['gcc', 'cc', 'clang']) {
      if (directory !== '' && existsSync(join(directory, name))) return join(directory, name);
    }
  }
  throw new UnavailableError('no C compiler (gcc, cc or clang) on the PATH');
}

const BUILD_DIRECTORY = join(import.meta.dirname, '..', '.cache', 'bench');
