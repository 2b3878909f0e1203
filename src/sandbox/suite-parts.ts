/**
 * Clients, and what is built on them, whose authors' tests `npm run suites` runs through the router: each language in a
 * part of its own, and the sources that the tests are in.
 */
import { existsSync } from 'node:fs';
import { readdir, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { PERL, PYTHON } from './languages.ts';
import { libraryDirectory, type PartDefinition } from './part-definition.ts';

/** Of the release that has the sources of their tests. */
const PYTHON_CLIENTS = {
  ...PYTHON,
  release: 'trixie',
  packages: [
    ...PYTHON.packages,
    ...['python3-mysqldb', 'python3-aiomysql', 'python3-sqlalchemy', 'python3-django', 'python3-peewee'],
    ...['python3-greenlet', 'python3-pytest-asyncio', 'python3-tz', 'python3-jinja2', 'python3-docutils'],
  ],
  environment: (root) => ({
    ...PYTHON.environment(root),
    MARIADB_PLUGIN_DIR: join(libraryDirectory(root), 'libmariadb3', 'plugin'),
  }),
} as const satisfies PartDefinition;

const PERL_MARIADB = {
  ...PERL,
  packages: [
    ...['perl', 'libdbi-perl', 'libdbd-mariadb-perl', 'libtest-deep-perl', 'libproc-processtable-perl'],
    'libnet-ssleay-perl',
  ],
} as const satisfies PartDefinition;

/** A Java that compiles, with MariaDB Connector/J and what its tests use. */
const JAVA = {
  packages: [
    ...['openjdk-21-jdk-headless', 'libmariadb-java', 'junit4', 'libhamcrest-java', 'libslf4j-java'],
    'libjna-java',
  ],
  release: 'trixie',
  programDirectories: [join(javaHome(), 'bin')],
  finish: finishJava,
  revision: 1,
} as const satisfies PartDefinition;

export const SUITE_PARTS = {
  'python-clients': PYTHON_CLIENTS,
  'perl-mariadb': PERL_MARIADB,
  java: JAVA,
  'python-client-sources': {
    kind: 'sources',
    packages: ['python-mysqldb', 'python-django'],
    release: 'trixie',
  },
  'sqlalchemy-source': { kind: 'sources', packages: ['sqlalchemy'], release: 'sid' },
  'client-sources-more': {
    kind: 'sources',
    packages: ['libdbd-mariadb-perl', 'mariadb-connector-java', 'php8.4'],
    release: 'trixie',
  },
} as const satisfies Record<string, PartDefinition>;

/** Its settings are links to /etc, where only an installed package would have put them. */
async function finishJava(staging: string, root: string): Promise<void> {
  const home = join(staging, javaHome());
  for (const entry of await readdir(home, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath, entry.name);
    const place = await readlink(link);
    if (!place.startsWith('/') || !existsSync(join(staging, place))) continue;
    await rm(link);
    await symlink(join(root, place), link);
  }
}

function javaHome(): string {
  const machine = process.arch === 'arm64' ? 'arm64' : 'amd64';
  return join('usr', 'lib', 'jvm', `java-21-openjdk-${machine}`);
}
