/**
 * Debian packages without touching the system: a private apt state, downloads into our cache, `dpkg -x` into a folder.
 * Works without root. The mirror is the machine's own, the signatures are checked against Debian's own keyring.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError, type SandboxLog } from './outcome.ts';
import { type Command, inheritedEnvironment, runCommand } from './run-command.ts';

type Apt = (...args: string[]) => Command;

export type UnpackOptions = {
  /** Source packages are unpacked into a folder of their name each, as their authors published them. */
  readonly kind: 'programs' | 'sources';
  readonly packages: readonly string[];
  /** Debian release, "sid" or a code name. */
  readonly release: string;
  /** Where apt keeps its state and the downloaded packages; shared between parts of one release. */
  readonly stateDirectory: string;
  /** Receives the files; must exist. */
  readonly targetDirectory: string;
  readonly log: SandboxLog;
};

/**
 * Downloads `packages`, programs with all they depend on, and unpacks them. The caller holds the cache's lock.
 * Returns the names of the unpacked archives, which contain their versions.
 */
export async function unpackPackages(options: UnpackOptions): Promise<readonly string[]> {
  const configuration = await writeAptState(options);
  const apt: Apt = (...args) => ({
    file: 'apt-get',
    args: ['-qq', '-y', ...args],
    env: inheritedEnvironment({ APT_CONFIG: configuration, LC_ALL: 'C' }),
  });
  await refreshLists(apt, options);
  if (options.kind === 'sources') return unpackSources(apt, options);
  // Asked for before the download: afterwards apt leaves out what it already has.
  const files = await wantedArchives(apt, join(options.stateDirectory, 'empty'), options.packages);
  options.log(`fetching ${options.packages.join(', ')} (${files.length} packages with what they need)`);
  await runCommand(apt('--download-only', 'install', ...options.packages), {
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
  for (const file of files) {
    const archive = join(options.stateDirectory, 'cache', 'archives', file);
    await runCommand({
      file: 'dpkg',
      args: ['-x', archive, options.targetDirectory],
      env: inheritedEnvironment(),
    });
  }
  return files;
}

/** Only what the authors published: Debian's own changes are about packaging. Checked against the signed list's hash. */
async function unpackSources(apt: Apt, options: UnpackOptions): Promise<readonly string[]> {
  options.log(`fetching the sources of ${options.packages.join(', ')}`);
  const archives: string[] = [];
  for (const name of options.packages) {
    const { stdout } = await runCommand(apt('--print-uris', 'source', name));
    const listed = /^'([^']+)' (\S+\.orig\.tar\.\w+) \d+ (\S+)$/m.exec(stdout);
    if (listed === null) throw new SandboxError(`the source package ${name} has no original archive`);
    const [, uri = '', file = '', hash = ''] = listed;
    const archive = join(options.stateDirectory, 'cache', 'archives', file);
    const download = {
      ...apt(),
      file: '/usr/lib/apt/apt-helper',
      args: ['download-file', uri, archive, hash],
    };
    await runCommand(download, { timeoutMs: DOWNLOAD_TIMEOUT_MS });
    const target = join(options.targetDirectory, name);
    await mkdir(target);
    const args = ['-xf', archive, '--strip-components=1', '-C', target];
    await runCommand({ file: 'tar', args, env: inheritedEnvironment() });
    archives.push(file);
  }
  return archives;
}

/** Several parts are usually fetched one after the other; the list is as good for the second as for the first. */
async function refreshLists(apt: Apt, options: UnpackOptions): Promise<void> {
  const stamp = join(options.stateDirectory, 'lists-read');
  if (existsSync(stamp) && Date.now() - (await stat(stamp)).mtimeMs < LISTS_MAX_AGE_MS) return;
  options.log(`reading Debian ${options.release}'s package list`);
  await runCommand(apt('update'), { timeoutMs: DOWNLOAD_TIMEOUT_MS });
  await writeFile(stamp, '');
}

async function wantedArchives(
  apt: Apt,
  emptyFolder: string,
  packages: readonly string[],
): Promise<readonly string[]> {
  // The archive cache is set aside so that packages fetched for another part are listed too.
  const listing = await runCommand(
    apt('-o', `Dir::Cache::archives=${emptyFolder}`, '--print-uris', 'install', ...packages),
  );
  const files: string[] = [];
  for (const line of listing.stdout.split('\n')) {
    const name = /^'[^']+' (\S+\.deb) /.exec(line)?.[1];
    if (name !== undefined) files.push(name);
  }
  if (files.length === 0) throw new SandboxError(`apt-get would fetch nothing for ${packages.join(' ')}`);
  return files;
}

async function writeAptState(options: UnpackOptions): Promise<string> {
  const directory = options.stateDirectory;
  const emptyFolder = join(directory, 'empty');
  for (const folder of [
    join('state', 'lists', 'partial'),
    join('cache', 'archives', 'partial'),
    join('empty', 'partial'),
  ]) {
    await mkdir(join(directory, folder), { recursive: true });
  }
  await writeFile(join(directory, 'state', 'status'), '');
  const type = options.kind === 'sources' ? 'deb-src' : 'deb';
  const source = `${type} [signed-by=${await debianKeyring()}] ${await debianMirror()} ${options.release} main\n`;
  await writeFile(join(directory, 'sources.list'), source);
  const settings = {
    'Dir::State': join(directory, 'state'),
    'Dir::State::status': join(directory, 'state', 'status'),
    'Dir::Cache': join(directory, 'cache'),
    'Dir::Etc::sourcelist': join(directory, 'sources.list'),
    'Dir::Etc::sourceparts': emptyFolder,
    'Dir::Etc::preferencesparts': emptyFolder,
    'APT::Install-Recommends': 'false',
    'APT::Sandbox::User': 'root',
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '2',
    'Acquire::http::Timeout': '20',
    // A list that could not be fetched is an error, not a warning.
    'APT::Update::Error-Mode': 'any',
  };
  const configuration = join(directory, 'apt.conf');
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  await writeFile(configuration, lines.join(''));
  return configuration;
}

/** `FAIRLEAD_DEBIAN_MIRROR`, else the archive the machine's own apt is set up with. */
async function debianMirror(): Promise<string> {
  const { FAIRLEAD_DEBIAN_MIRROR: configured } = process.env;
  if (configured !== undefined && configured !== '') return configured;
  const listing = await runCommand({
    file: 'apt-get',
    args: ['indextargets', '--format', '$(SITE) $(ORIGIN)'],
    env: inheritedEnvironment({ LC_ALL: 'C' }),
  });
  for (const line of listing.stdout.split('\n')) {
    const [site, origin] = line.split(' ');
    // Release files may be absent (slim images), then the customary name of an archive has to do.
    if (site !== undefined && (/\/debian\/?$/.test(site) || (origin === 'Debian' && !/security/.test(site))))
      return site;
  }
  throw new SandboxError("the machine's apt knows no Debian archive (FAIRLEAD_DEBIAN_MIRROR can name one)");
}

async function debianKeyring(): Promise<string> {
  const folder = '/usr/share/keyrings';
  const names = await readdir(folder);
  const found = names.find((name) => /^debian-archive-keyring\.(gpg|pgp)$/.test(name));
  if (found === undefined) throw new SandboxError(`no Debian keyring in ${folder}`);
  return join(folder, found);
}

const DOWNLOAD_TIMEOUT_MS = 600_000;
/** The mirror removes a package some days after a newer one came. */
const LISTS_MAX_AGE_MS = 3_600_000;
