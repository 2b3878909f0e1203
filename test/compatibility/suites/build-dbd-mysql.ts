/**
 * DBD::mysql built with libmysqlclient: Debian's own is built with MariaDB's library, for which half of its tests do not
 * apply. Built once, by the machine's C compiler, without Makefile.PL, whose make would run the machine's programs with
 * the part's libraries.
 */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from '../../../src/sandbox/cache.ts';
import { type Sandbox, UnavailableError } from '../../../src/sandbox/index.ts';
import { inheritedEnvironment, runCommand } from '../../../src/sandbox/run-command.ts';

/** A folder for `perl -I` and the libraries it needs at run time. @throws UnavailableError without a compiler */
export type BuiltDriver = { readonly modules: string; readonly libraries: string };

export async function buildDbdMysql(sandbox: Sandbox): Promise<BuiltDriver> {
  const [sources, headers, perl] = await Promise.all([
    sandbox.part('client-sources'),
    sandbox.part('mysql-headers'),
    sandbox.part('perl'),
  ]);
  const machine = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
  const libraries = join(headers.root, 'usr', 'lib', machine);
  const key = [sources.version, headers.version, perl.version, REVISION].join('-');
  const target = join(cacheDirectory(), 'dbd-mysql', key);
  if (existsSync(target)) return { modules: target, libraries };
  const compiler = ['/usr/bin/gcc', '/usr/bin/cc'].find((path) => existsSync(path));
  if (compiler === undefined)
    throw new UnavailableError('no C compiler to build DBD::mysql with libmysqlclient');

  await mkdir(join(target, '..'), { recursive: true });
  const build = await mkdtemp(`${target}.`);
  await cp(join(sources.root, 'libdbd-mysql-perl'), build, { recursive: true });
  const driver = join(perl.root, 'etc', 'fairlead', 'modules', 'auto', 'DBI');
  const glue = await readFile(join(driver, 'Driver.xst'), 'utf8');
  await writeFile(join(build, 'mysql.xsi'), glue.replaceAll('~DRIVER~', 'mysql'));
  // MySQL's headers name each other from the folder above; that one has another C library's headers too.
  await symlink(join(headers.root, 'usr', 'include', 'mysql'), join(build, 'mysql'));
  const typemap = join(perl.root, 'etc', 'fairlead', 'share', 'ExtUtils', 'typemap');
  await sandbox.run('perl', 'perl', [
    join(perl.root, 'usr', 'bin', 'xsubpp'),
    ...['-typemap', typemap, '-output', join(build, 'mysql.c'), join(build, 'mysql.xs')],
  ]);
  const version = /VERSION = '([\d.]+)'/.exec(
    await readFile(join(build, 'lib', 'DBD', 'mysql.pm'), 'utf8'),
  )?.[1];
  const { stdout: core } = await sandbox.run('perl', 'perl', ['-MConfig', '-e', 'print $Config{version}']);
  const modules = join(build, 'modules', 'auto', 'DBD', 'mysql');
  await mkdir(modules, { recursive: true });
  const flags = [
    ...['-shared', '-fPIC', '-O1', '-w', '-fwrapv', '-fno-strict-aliasing', '-D_REENTRANT', '-D_GNU_SOURCE'],
    ...[
      '-D_LARGEFILE_SOURCE',
      '-D_FILE_OFFSET_BITS=64',
      '-DDBD_MYSQL_WITH_SSL',
      '-DDBD_MYSQL_INSERT_ID_IS_GOOD',
    ],
    // It asks for these with #ifdef, but they are names of an enum.
    ...['MYSQL_OPT_GET_SERVER_PUBLIC_KEY', 'MYSQL_SERVER_PUBLIC_KEY'].map((name) => `-D${name}=${name}`),
    ...[`-DVERSION="${version}"`, `-DXS_VERSION="${version}"`],
    ...[`-I${driver}`, `-I${join(build, 'mysql')}`, `-I${build}`],
    `-I${join(libraries, 'perl', core, 'CORE')}`,
  ];
  const sourcesOfDriver = ['dbdimp.c', 'mysql.c', 'socket.c'].map((name) => join(build, name));
  await runCommand({
    file: compiler,
    args: [
      ...flags,
      ...sourcesOfDriver,
      '-o',
      join(modules, 'mysql.so'),
      join(libraries, 'libmysqlclient.so'),
    ],
    env: inheritedEnvironment(),
  });
  await cp(join(build, 'lib'), join(build, 'modules'), { recursive: true });
  await rename(join(build, 'modules'), target);
  await rm(build, { recursive: true });
  return { modules: target, libraries };
}

/** `false`, or why the driver cannot be built here: made for tap's `skip`. */
export function missingCompiler(): string | false {
  return COMPILERS.some((path) => existsSync(path)) ? false : NO_COMPILER;
}

const COMPILERS = ['/usr/bin/gcc', '/usr/bin/cc'];
const NO_COMPILER = 'no C compiler to build DBD::mysql with libmysqlclient';
/** Changes with what is done here. */
const REVISION = 2;
