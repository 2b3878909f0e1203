/**
 * Real programs by name. A part is a set of Debian packages, unpacked once into its own folder of the cache and run
 * from there; adding a program to the sandbox means adding a line to {@link PART_DEFINITIONS}.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CHROMIUM, IMAGE_BASE, WORDPRESS } from './applications.ts';
import { unpackPackages } from './apt.ts';
import { cacheDirectory, underLock } from './cache.ts';
import { readInterpreter, writeInterpreter } from './elf.ts';
import { PERL, PHP, PYTHON } from './languages.ts';
import { type Availability, messageOf, type SandboxLog, UnavailableError } from './outcome.ts';
import { libraryDirectory, type PartDefinition } from './part-definition.ts';
import { type Command, inheritedEnvironment, runCommand } from './run-command.ts';
import { SUITE_PARTS } from './suite-parts.ts';

export const PART_DEFINITIONS = {
  mysql: { packages: ['mysql-server-core', 'mysql-client-core'], release: 'sid' },
  'mysql-router': {
    packages: ['mysql-router'],
    release: 'sid',
    libraryDirectories: [join('usr', 'lib', 'mysql-router')],
  },
  // The programs that wsrep's shell scripts run are part of it: they share the libraries the scripts are started with.
  mariadb: {
    packages: [
      ...[
        'mariadb-server',
        'mariadb-client',
        'mariadb-backup',
        'galera-4',
        'rsync',
        'socat',
        'lsof',
        'iproute2',
      ],
      ...['bash', 'dash', 'coreutils', 'debianutils', 'findutils', 'grep', 'gzip', 'hostname', 'libc-bin'],
      ...['mawk', 'openssl', 'procps', 'sed', 'tar'],
    ],
    release: 'sid',
    runsOwnScripts: true,
    finish: finishMariadb,
    environment: (root) => ({
      PATH: `${join(root, 'usr', 'sbin')}:${join(root, 'usr', 'bin')}`,
      MARIADB_PLUGIN_DIR: join(libraryDirectory(root), 'libmariadb3', 'plugin'),
    }),
  },
  perl: PERL,
  php: PHP,
  python: PYTHON,
  // With their authors' tests, which are run through the router.
  'client-sources': { kind: 'sources', packages: ['libdbd-mysql-perl', 'python-pymysql'], release: 'trixie' },
  // Further clients and their authors' tests: only `npm run suites` wants them.
  ...SUITE_PARTS,
  // The C APIs' own test programs.
  'mysql-testsuite': {
    packages: ['mysql-testsuite'],
    release: 'sid',
    programDirectories: [join('usr', 'lib', 'mysql-test', 'bin')],
  },
  'mariadb-test': {
    packages: ['mariadb-test'],
    release: 'sid',
    environment: (root) => ({ MARIADB_PLUGIN_DIR: join(libraryDirectory(root), 'libmariadb3', 'plugin') }),
  },
  // To build clients with.
  'mysql-headers': { packages: ['libmysqlclient-dev', 'libperl-dev'], release: 'sid' },
  haproxy: { packages: ['haproxy'], release: 'sid' },
  /** Another time of day for one process. Of an old release: its library is loaded into programs of the machine. */
  faketime: { packages: ['libfaketime'], release: 'bookworm' },
  /** `ip` and `nft`, for the test network of namespaces. */
  network: { packages: ['iproute2', 'nftables'], release: 'sid' },
  kubectl: { packages: ['kubernetes-client'], release: 'sid' },
  prometheus: { packages: ['prometheus'], release: 'sid' },
  /** Go with the libraries Helm makes its templates of. */
  'go-templates': {
    packages: ['golang-go', 'golang-github-masterminds-sprig-dev', 'golang-k8s-sigs-yaml-dev'],
    release: 'sid',
  },
  sysbench: {
    packages: ['sysbench'],
    release: 'sid',
    environment: (root) => ({
      LUA_PATH: `${join(root, 'usr', 'share', 'sysbench')}/?.lua`,
      MARIADB_PLUGIN_DIR: join(libraryDirectory(root), 'libmariadb3', 'plugin'),
    }),
  },
  wordpress: WORDPRESS,
  chromium: CHROMIUM,
  'image-base': IMAGE_BASE,
  // A name server, for names that change.
  knot: { packages: ['knot'], release: 'sid' },
  /** Speaks X Protocol: Python with MySQL's own connector (module `mysqlx`). */
  'x-client': {
    packages: ['python3-mysql.connector', 'python3'],
    release: 'sid',
    environment: (root) => ({
      PYTHONHOME: join(root, 'usr'),
      PYTHONPATH: join(root, 'usr', 'lib', 'python3', 'dist-packages'),
      // The connector asks lsb_release for the system's name, where there is one; a system's Python cannot run with these.
      PATH: join(root, 'usr', 'bin'),
    }),
  },
} as const satisfies Record<string, PartDefinition>;

export type PartName = keyof typeof PART_DEFINITIONS;

/** An unpacked part, or for "mysql" the installation `FAIRLEAD_MYSQLD` points into. */
export type Part = {
  readonly name: PartName;
  /** The folder that stands for "/": programs are in usr/bin and usr/sbin below it. */
  readonly root: string;
  /** What a cache key of something made with this part must contain: changes with the part's version. */
  readonly version: string;
  /** How to start one of the part's programs, by its bare name. */
  command(program: string, args: readonly string[]): Command;
};

/** Finds `name` in the cache or fetches it. Never throws for want of network, tools or rights. */
export async function findPart(name: PartName, log: SandboxLog): Promise<Availability<Part>> {
  try {
    const { FAIRLEAD_MYSQLD: mysqld } = process.env;
    if (name === 'mysql' && mysqld !== undefined && mysqld !== '') {
      return { kind: 'available', value: await installedMysql(mysqld) };
    }
    return { kind: 'available', value: await cachedPart(name, log) };
  } catch (error) {
    return { kind: 'unavailable', reason: `no ${name}: ${messageOf(error)}` };
  }
}

/** The part, or an {@link UnavailableError} with the reason. */
export async function requirePart(name: PartName, log: SandboxLog): Promise<Part> {
  const part = await findPart(name, log);
  if (part.kind === 'unavailable') throw new UnavailableError(part.reason);
  return part.value;
}

/**
 * `false` when every named part can be had, else the reason: made for tap's `skip`.
 * Fetches what is missing.
 */
export async function missingParts(...names: readonly PartName[]): Promise<string | false> {
  for (const name of names) {
    const part = await findPart(name, ignoreProgress);
    if (part.kind === 'unavailable') return part.reason;
  }
  return false;
}

async function cachedPart(name: PartName, log: SandboxLog): Promise<Part> {
  const cache = cacheDirectory();
  const root = join(cache, 'parts', name);
  const definition: PartDefinition = PART_DEFINITIONS[name];
  // The folder's own path is in the programs' headers: a cache that was moved is unpacked anew.
  const { packages, release, revision } = definition;
  const wanted = JSON.stringify({ packages, release, root, revision });
  if (!(await isUnpacked(root, wanted))) {
    await underLock(join(cache, 'parts.lock'), async () => {
      if (await isUnpacked(root, wanted)) return;
      await unpackPart(definition, root, wanted, log);
    });
  }
  const environment = { LD_LIBRARY_PATH: libraryPath(root, definition), ...definition.environment?.(root) };
  return {
    name,
    root,
    version: await readVersion(root),
    command: (program, args) => ({
      file: findProgram(root, definition, program),
      args,
      env: inheritedEnvironment(environment),
    }),
  };
}

async function unpackPart(
  definition: PartDefinition,
  root: string,
  wanted: string,
  log: SandboxLog,
): Promise<void> {
  if (process.platform !== 'linux')
    throw new UnavailableError(`Debian packages do not run on ${process.platform}`);
  await mkdir(dirname(root), { recursive: true });
  const staging = await mkdtemp(`${root}.`);
  try {
    const { kind = 'programs', packages, release } = definition;
    // The list of sources is long, and only wanted by who wants sources.
    const state = kind === 'sources' ? `${release}-sources` : release;
    const archives = await unpackPackages({
      kind,
      packages,
      release,
      stateDirectory: join(cacheDirectory(), 'apt', state),
      targetDirectory: staging,
      log,
    });
    if (definition.isRoot !== true) await useOwnLoader(staging, root, definition);
    await definition.finish?.(staging, root);
    await writeFile(join(staging, WANTED_FILE), wanted);
    await writeFile(
      join(staging, VERSION_FILE),
      createHash('sha256').update(archives.join(' ')).digest('hex').slice(0, 12),
    );
    await rm(root, { recursive: true, force: true });
    await rename(staging, root);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** Points every program in `staging` at the dynamic loader it will find below `root`. */
async function useOwnLoader(staging: string, root: string, definition: PartDefinition): Promise<void> {
  for (const folder of programDirectories(definition)) {
    const directory = join(staging, folder);
    if (!existsSync(directory)) continue;
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      const interpreter = entry.isFile() ? await readInterpreter(path) : undefined;
      if (interpreter !== undefined) {
        // Debian's /lib64 is a link to /usr/lib64 that packages no longer contain. A program with two names (hard
        // links) is met twice.
        if (!interpreter.startsWith(root)) await writeInterpreter(path, join(root, 'usr', interpreter));
      } else if (entry.isFile() && definition.runsOwnScripts === true) {
        await useOwnShell(path, staging, root);
      }
    }
  }
}

/** Points a script's first line at the part's own interpreter, if the part has it. */
async function useOwnShell(path: string, staging: string, root: string): Promise<void> {
  const text = await readFile(path, 'latin1');
  const program = /^#! *(?:\/usr)?\/bin\/(\w+)/.exec(text);
  if (program === null || !existsSync(join(staging, 'usr', 'bin', program[1] ?? ''))) return;
  const line = `#!${join(root, 'usr', 'bin', program[1] ?? '')}`;
  await writeFile(path, line + text.slice(program[0].length), 'latin1');
}

async function finishMariadb(staging: string): Promise<void> {
  await symlink('mawk', join(staging, 'usr', 'bin', 'awk'));
  // Galera's state transfer: an rsync daemon of root writes as nobody, who may not enter a sandbox's folder.
  const script = join(staging, 'usr', 'bin', 'wsrep_sst_rsync');
  const text = await readFile(script, 'utf8');
  await writeFile(script, text.replace(/^use chroot = no$/m, '$&\nuid = $$(id -u)\ngid = $$(id -g)'));
  // And mariabackup's sleeps for ten seconds before it begins.
  const backup = join(staging, 'usr', 'bin', 'wsrep_sst_mariabackup');
  await writeFile(backup, (await readFile(backup, 'utf8')).replace(/^ *sleep 10$/m, '        sleep 1'));
}

async function isUnpacked(root: string, wanted: string): Promise<boolean> {
  const path = join(root, WANTED_FILE);
  return existsSync(path) && (await readFile(path, 'utf8')) === wanted;
}

async function readVersion(root: string): Promise<string> {
  return readFile(join(root, VERSION_FILE), 'utf8');
}

function findProgram(root: string, definition: PartDefinition, program: string): string {
  for (const folder of programDirectories(definition)) {
    const path = join(root, folder, program);
    if (existsSync(path)) return path;
  }
  throw new UnavailableError(`no program ${program} in ${root}`);
}

function programDirectories(definition: PartDefinition): readonly string[] {
  return [join('usr', 'bin'), join('usr', 'sbin'), ...(definition.programDirectories ?? [])];
}

function libraryPath(root: string, definition: PartDefinition): string {
  const extra = (definition.libraryDirectories ?? []).map((directory) => join(root, directory));
  return [libraryDirectory(root), ...extra].join(':');
}

/** A MySQL that is installed elsewhere; its client programs are taken from beside it, else from the PATH. */
async function installedMysql(mysqld: string): Promise<Part> {
  if (!existsSync(mysqld))
    throw new UnavailableError(`FAIRLEAD_MYSQLD names ${mysqld}, which does not exist`);
  const prefix = dirname(dirname(mysqld));
  const { stdout } = await runCommand({ file: mysqld, args: ['--version'], env: inheritedEnvironment() });
  return {
    name: 'mysql',
    root: dirname(prefix),
    version: stdout.trim(),
    command: (program, args) => {
      const beside = [join(prefix, 'bin', program), join(dirname(mysqld), program)].find((path) =>
        existsSync(path),
      );
      return { file: program === 'mysqld' ? mysqld : (beside ?? program), args, env: inheritedEnvironment() };
    },
  };
}

function ignoreProgress(): void {}

const WANTED_FILE = '.fairlead-part.json';
const VERSION_FILE = '.fairlead-version';
