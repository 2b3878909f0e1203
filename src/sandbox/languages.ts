/**
 * Languages whose MySQL clients are tried through the router. Their interpreters look for their libraries in places that
 * were fixed when they were built; the environment names the part's own instead.
 */
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError } from './outcome.ts';
import { libraryDirectory, type PartDefinition } from './part-definition.ts';

/** PHP with mysqlnd (mysqli, PDO) and what a usual web application wants; the programs are php and php-cgi. */
export const PHP = {
  packages: [
    ...['php-cli', 'php-cgi', 'php-mysql', 'php-xml', 'php-gd', 'php-mbstring', 'php-curl', 'php-zip'],
    ...['php-intl', 'php-bcmath'],
  ],
  release: 'sid',
  finish: finishPhp,
  environment: (root) => ({ PHPRC: join(root, PHP_SETTINGS), PHP_INI_SCAN_DIR: '' }),
} as const satisfies PartDefinition;

/** Python 3 with PyMySQL, and pytest for its suite. */
export const PYTHON = {
  packages: ['python3', 'python3-pymysql', 'python3-cryptography', 'python3-nacl', 'python3-pytest'],
  release: 'sid',
  environment: (root) => ({
    PYTHONPATH: join(root, 'usr', 'lib', 'python3', 'dist-packages'),
    // The part is shared by every checkout: nothing writes to it.
    PYTHONDONTWRITEBYTECODE: '1',
  }),
} as const satisfies PartDefinition;

/** Perl with DBD::mysql, and what its suite uses. */
export const PERL = {
  packages: ['perl', 'libdbi-perl', 'libdbd-mysql-perl', 'libtest-deep-perl'],
  release: 'sid',
  finish: finishPerl,
  environment: (root) => ({
    PERL5LIB: [
      ...Object.keys(PERL_VERSIONED).map((name) => join(root, PERL_LINKS, name)),
      join(root, 'usr', 'share', 'perl5'),
      join(libraryDirectory(root), 'perl-base'),
    ].join(':'),
    MARIADB_PLUGIN_DIR: join(libraryDirectory(root), 'libmariadb3', 'plugin'),
  }),
} as const satisfies PartDefinition;

/** Debian loads extensions by links in /etc, made from files that each extension brings, in the order they name. */
async function finishPhp(staging: string, root: string): Promise<void> {
  const [version] = (await readdir(join(staging, 'usr', 'bin'))).flatMap((name) => {
    const digits = /^php(\d+\.\d+)$/.exec(name)?.[1];
    return digits === undefined ? [] : [digits];
  });
  if (version === undefined) throw new SandboxError('the PHP packages contain no php');
  await symlink(`php${version}`, join(staging, 'usr', 'bin', 'php'));
  await symlink(`php-cgi${version}`, join(staging, 'usr', 'bin', 'php-cgi'));
  const extensionApi = (await readdir(join(staging, 'usr', 'lib', 'php'))).find((name) => /^\d+$/.test(name));
  if (extensionApi === undefined) throw new SandboxError('the PHP packages contain no extensions');
  const share = join(staging, 'usr', 'share');
  const extensions: { readonly priority: string; readonly line: string }[] = [];
  for (const folder of (await readdir(share)).filter((name) => name.startsWith(`php${version}-`))) {
    for (const file of await readdir(join(share, folder), { recursive: true })) {
      if (!file.endsWith('.ini') || file.includes('php.ini')) continue;
      const text = await readFile(join(share, folder, file), 'utf8');
      const line = /^(?:zend_)?extension=.*$/m.exec(text)?.[0];
      if (line !== undefined) {
        extensions.push({ priority: /priority=(\d+)/.exec(text)?.[1] ?? '20', line });
      }
    }
  }
  const lines = extensions
    .toSorted((a, b) => Number(a.priority) - Number(b.priority))
    .map(({ line }) => line);
  const directory = join(root, 'usr', 'lib', 'php', extensionApi);
  await mkdir(join(staging, PHP_SETTINGS), { recursive: true });
  await writeFile(
    join(staging, PHP_SETTINGS, 'php.ini'),
    `extension_dir=${directory}\n${[...new Set(lines)].join('\n')}\n`,
  );
}

/** Some of Perl's folders are named after its version: links give them names that can be known beforehand. */
async function finishPerl(staging: string, root: string): Promise<void> {
  await mkdir(join(staging, PERL_LINKS), { recursive: true });
  for (const [name, parent] of Object.entries(PERL_VERSIONED)) {
    const folder = parent(staging);
    const version = (await readdir(folder)).find((entry) => /^5\.\d+$/.test(entry));
    if (version === undefined) throw new SandboxError(`the Perl packages have no version in ${folder}`);
    await symlink(join(parent(root), version), join(staging, PERL_LINKS, name));
  }
}

const PHP_SETTINGS = join('etc', 'fairlead');
const PERL_LINKS = join('etc', 'fairlead');
const PERL_VERSIONED: Readonly<Record<string, (root: string) => string>> = {
  modules: (root) => join(libraryDirectory(root), 'perl5'),
  core: (root) => join(libraryDirectory(root), 'perl'),
  share: (root) => join(root, 'usr', 'share', 'perl'),
};
