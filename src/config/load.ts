/**
 * Reads the configuration from its sources, at start and again on each reload. Nothing is remembered in between: the
 * same sources are read anew, secrets included.
 */
import { availableParallelism, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../shared/message-of.ts';
import { MAX_CONFIG_BYTES, MAX_SECRET_BYTES, readTextFile } from '../shared/text-file.ts';
import { automaticThreads } from '../shared/thread-memory.ts';
import type { Config } from './config.ts';
import { type Layers, layer } from './layers.ts';
import { type FileRead, type ParsedConfig, parseConfig } from './parse.ts';
import { isTree, type Path } from './tree.ts';
import type { YamlFile } from './yaml-file.ts';

/** Where the configuration is to be found; made by the command line. */
export type ConfigSources = {
  /** Path of the YAML file as it was given, or null for none. */
  readonly file: string | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Values of flags by path of the key ("hold.timeout"), in the order they were given. */
  readonly flags: Readonly<Record<string, readonly string[]>>;
};

export type LoadedConfig =
  | {
      readonly ok: true;
      readonly config: Config;
      /** Where a value was written, for messages and for `fairlead check`. */
      readonly originOf: Layers['originOf'];
      /** Where the password of the monitoring account was read; null when it came from no file. */
      readonly passwordFile: string | null;
    }
  | Refused;

type Refused = Extract<ParsedConfig, { readonly ok: false }>;

/** Reads all sources. Problems of every source are reported together; a file that cannot be read stands alone. */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const { file, environment, flags } = sources;
  const read = file === null ? null : await readText(file, MAX_CONFIG_BYTES);
  if (read?.ok === false) {
    return {
      ok: false,
      problems: [{ key: '', value: null, rule: `cannot be read: ${read.reason}`, origin: file ?? '' }],
    };
  }
  const tree = file === null || read === null ? null : await treeOf(file, read.text);
  const layers = layer({ file: tree, environment, flags });
  const passwordFile = passwordFileIn(layers, file);
  const parsed = parseConfig(layers, {
    passwordFile: passwordFile === null ? null : await readPassword(passwordFile),
    automaticThreads: automaticThreads(process.constrainedMemory(), totalmem(), availableParallelism()),
    pathOf: (at, written) => pathOf(layers, file, at, written),
  });
  return parsed.ok ? { ...parsed, originOf: layers.originOf, passwordFile } : parsed;
}

export type ReloadedConfig =
  | {
      readonly ok: true;
      readonly config: Config;
      /** Parts of the configuration that differ, such as "hold" or "routes"; empty when nothing does. */
      readonly changed: readonly string[];
      readonly passwordFile: string | null;
    }
  | Refused;

/** Reads the same sources again. When that fails, `current` stays the configuration: nothing has changed. */
export async function reloadConfig(sources: ConfigSources, current: Config): Promise<ReloadedConfig> {
  const loaded = await loadConfig(sources);
  if (!loaded.ok) return loaded;
  const { config, passwordFile } = loaded;
  return { ok: true, config, changed: changedParts(current, config), passwordFile };
}

/** The file `cluster.passwordFile` names. In the configuration file a relative path starts at its own folder. */
function passwordFileIn(layers: Layers, configFile: string | null): string | null {
  const cluster = layers.tree['cluster'];
  const path = isTree(cluster) ? cluster['passwordFile'] : undefined;
  if (typeof path !== 'string' || path === '') return null;
  return pathOf(layers, configFile, ['cluster', 'passwordFile'], path);
}

/** The password in a file, without the line break at its end. */
export async function readPassword(path: string): Promise<FileRead> {
  const read = await readText(path, MAX_SECRET_BYTES);
  if (!read.ok) return read;
  const text = read.text.replace(/\r?\n$/, '');
  return text === '' ? { ok: false, reason: 'the file is empty' } : { ok: true, text };
}

function pathOf(layers: Layers, configFile: string | null, at: Path, written: string): string {
  const isFromFile = configFile !== null && layers.originOf(at).startsWith(`${configFile}:`);
  return isFromFile ? resolve(dirname(configFile), written) : resolve(written);
}

/** The parser is a tenth of a start, and is not loaded for a router that the environment and flags tell everything. */
async function treeOf(name: string, text: string): Promise<YamlFile> {
  const { readYaml } = await import('./yaml-file.ts');
  return readYaml(name, text);
}

async function readText(path: string, maxBytes: number): Promise<FileRead> {
  try {
    return { ok: true, text: await readTextFile(path, maxBytes) };
  } catch (error) {
    const reason = messageOf(error);
    return { ok: false, reason };
  }
}

function changedParts(before: Config, after: Config): readonly string[] {
  const earlier = new Map<string, unknown>(Object.entries(before));
  return Object.entries(after)
    .filter(([part, value]) => !isDeepStrictEqual(earlier.get(part), value))
    .map(([part]) => part);
}
