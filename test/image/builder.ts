/**
 * Carries out a Dockerfile's steps in their order, each in a root of its own, without an engine: unpacked Debian packages
 * stand for the base image, with the Node and the npm of this checkout in it; RUN is a chroot in namespaces of its own.
 */
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Part, runCommand } from '../../src/sandbox/index.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { type Dockerfile, environmentOf, type Step } from './dockerfile.ts';

export type Image = {
  readonly root: string;
  readonly workdir: string;
  readonly environment: ReadonlyMap<string, string>;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
};

export type BuildOptions = {
  readonly dockerfile: Dockerfile;
  /** The folder whose files are copied in. */
  readonly context: string;
  readonly base: Part;
  /** Where roots are made; one stage after the other. */
  readonly directory: string;
  log(line: string): void;
};

export async function build(options: BuildOptions): Promise<Image> {
  const finished = new Map<string, Image>();
  const base = join(options.directory, 'base');
  await makeBase(options.base, base);
  let image: Image | undefined;
  for (const [index, stage] of options.dockerfile.stages.entries()) {
    const root = join(options.directory, `stage-${index}`);
    const before = finished.get(stage.image) ?? { ...EMPTY_IMAGE, root: base };
    await link(before.root, root);
    image = { ...before, root };
    for (const step of stage.steps) {
      options.log(`${step.instruction} ${step.text}`);
      image = await carryOut(step, image, finished, options.context);
    }
    finished.set(stage.name, image);
  }
  if (image === undefined) throw new Error('the Dockerfile has no stage');
  return image;
}

/** The environment a program in the image has. */
export function environmentText(image: Image): readonly string[] {
  return [PATH, ...[...image.environment].map(([name, value]) => `${name}=${value}`)];
}

async function carryOut(
  step: Step,
  image: Image,
  finished: ReadonlyMap<string, Image>,
  context: string,
): Promise<Image> {
  switch (step.instruction) {
    case 'WORKDIR':
      await mkdir(join(image.root, step.text), { recursive: true });
      return { ...image, workdir: step.text };
    case 'COPY': {
      const from = step.flags.get('from');
      await copy(step, image, from === undefined ? context : (finished.get(from)?.root ?? ''));
      return image;
    }
    case 'RUN':
      await run(step.text, image);
      return image;
    case 'ENV':
      return { ...image, environment: new Map([...image.environment, ...environmentOf(step)]) };
    case 'USER':
      return { ...image, user: step.text };
    case 'ENTRYPOINT':
      return { ...image, entrypoint: step.words };
    case 'CMD':
      return { ...image, command: step.words };
    case 'HEALTHCHECK':
      return { ...image, healthCheck: step.words };
    case 'EXPOSE':
    case 'STOPSIGNAL':
      return image;
    default:
      throw new Error(`line ${step.line}: ${step.instruction} cannot be carried out here`);
  }
}

/** As an engine does it: a folder's contents go into the target; several sources need a folder. */
async function copy(step: Step, image: Image, from: string): Promise<void> {
  const sources = step.words.slice(0, -1);
  const target = join(image.root, absolute(step.words.at(-1) ?? '', image.workdir));
  for (const source of sources) {
    const path = join(from, source);
    const isFolderTarget = sources.length > 1 || step.words.at(-1)?.endsWith('/');
    const to = isFolderTarget ? join(target, source.split('/').at(-1) ?? '') : target;
    await mkdir(dirname(to), { recursive: true });
    if (step.flags.has('from')) await link(path, to);
    else await cp(path, to, { recursive: true, verbatimSymlinks: true });
  }
}

/** The same files under another name: steps add to a stage, or take away, and change nothing in it. */
async function link(from: string, to: string): Promise<void> {
  await runCommand({ file: 'cp', args: ['-al', from, to], env: inheritedEnvironment() });
}

function absolute(path: string, workdir: string): string {
  return path.startsWith('/') ? path : join(workdir, path);
}

async function run(command: string, image: Image): Promise<void> {
  const script = `set -e
mount --make-rprivate /
mkdir -p "$NPM_CACHE"
mount -t proc proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
mount --bind "$NPM_CACHE" "$ROOT/npm-cache"
exec chroot "$ROOT" /usr/bin/env -i -C "$WORKDIR" HOME=/root npm_config_cache=/npm-cache npm_config_registry="$REGISTRY" npm_config_prefer_offline=true npm_config_cafile=${CERTIFICATES} NODE_EXTRA_CA_CERTS=${CERTIFICATES} "$@" /bin/sh -c "$COMMAND"`;
  const env = {
    ...inheritedEnvironment(),
    ROOT: image.root,
    WORKDIR: image.workdir,
    COMMAND: command,
    NPM_CACHE: await npmSetting('cache'),
    REGISTRY: await npmSetting('registry'),
  };
  const args = [
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    'sh',
    '-c',
    script,
    'sh',
    ...environmentText(image),
    ...PROXIES.flatMap((name) => (process.env[name] === undefined ? [] : [`${name}=${process.env[name]}`])),
  ];
  await runCommand({ file: 'unshare', args, env }, { timeoutMs: 300_000 });
}

async function makeBase(base: Part, root: string): Promise<void> {
  await mkdir(root, { recursive: true });
  await runCommand({ file: 'cp', args: ['-a', `${base.root}/.`, root], env: inheritedEnvironment() });
  for (const folder of [
    'proc',
    'sys',
    'dev',
    'tmp',
    'npm-cache',
    'etc/ssl/certs',
    'usr/local/bin',
    'usr/local/lib/node_modules',
    'root',
  ])
    await mkdir(join(root, folder), { recursive: true });
  for (const [link, target] of [
    ['bin', 'usr/bin'],
    ['lib', 'usr/lib'],
    ['lib64', 'usr/lib64'],
    ['sbin', 'usr/sbin'],
  ] as const) {
    await rm(join(root, link), { recursive: true, force: true });
    await symlink(target, join(root, link));
  }
  await symlink('dash', join(root, 'usr', 'bin', 'sh')).catch(ignoreExisting);
  // What an engine puts into every container itself.
  for (const file of ['/etc/resolv.conf', '/etc/hosts', CERTIFICATES])
    await writeFile(join(root, file), await readFile(file));
  await writeFile(join(root, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  await cp(process.execPath, join(root, 'usr', 'local', 'bin', 'node'));
  const npm = dirname(
    dirname(
      (
        await runCommand({
          file: 'sh',
          args: ['-c', 'readlink -f "$(command -v npm)"'],
          env: inheritedEnvironment(),
        })
      ).stdout.trim(),
    ),
  );
  await cp(npm, join(root, 'usr', 'local', 'lib', 'node_modules', 'npm'), { recursive: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr', 'local', 'bin', 'npm'));
}

async function npmSetting(name: string): Promise<string> {
  const { stdout } = await runCommand({
    file: 'npm',
    args: ['config', 'get', name],
    env: inheritedEnvironment(),
  });
  return stdout.trim();
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
}

const EMPTY_IMAGE: Image = {
  root: '',
  workdir: '/',
  environment: new Map(),
  user: '0:0',
  entrypoint: [],
  command: [],
  healthCheck: [],
};
const PATH = 'PATH=/usr/local/bin:/usr/bin:/bin';
/** As an engine passes them on. */
const PROXIES = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'] as const;
export const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';
