/**
 * Newly initialised data directories, made once per version and recipe, copied for every server: an
 * initialisation takes seconds, a copy a tenth of one. The generated TLS and RSA files are part of the copy.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory, underLock } from './cache.ts';
import type { SandboxLog } from './outcome.ts';
import { inheritedEnvironment, runCommand } from './run-command.ts';
import type { Software } from './software.ts';

/**
 * Gives `dataDirectory`, which must not exist yet, the contents of a newly initialised server with all accounts.
 * With the run directory's `mark` the copy ends where the sandbox does.
 */
export async function copyTemplate(
  software: Software,
  dataDirectory: string,
  mark: Readonly<Record<string, string>>,
  log: SandboxLog,
): Promise<void> {
  const template = await cachedTemplate(software, log);
  await runCommand({
    file: 'cp',
    args: ['-a', '--reflink=auto', template, dataDirectory],
    env: inheritedEnvironment(mark),
  });
}

async function cachedTemplate(software: Software, log: SandboxLog): Promise<string> {
  const key = createHash('sha256').update(software.recipe).digest('hex').slice(0, 16);
  const templates = join(cacheDirectory(), 'templates');
  const template = join(templates, key);
  if (existsSync(template)) return template;
  return underLock(join(cacheDirectory(), 'templates.lock'), async () => {
    if (!existsSync(template)) await makeTemplate(software, templates, template, log);
    return template;
  });
}

async function makeTemplate(
  software: Software,
  templates: string,
  template: string,
  log: SandboxLog,
): Promise<void> {
  log(`initialising a data directory (once per ${software.kind} version)`);
  await mkdir(templates, { recursive: true });
  const staging = await mkdtemp(`${template}.`);
  try {
    const dataDirectory = join(staging, 'data');
    await software.initialise(staging, dataDirectory);
    await rename(dataDirectory, template);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}
