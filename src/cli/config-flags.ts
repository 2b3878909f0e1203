/**
 * One flag for every key of the configuration, made from the schema.
 */
import { type Command, Option } from 'commander';
import { type Key, listKeys, listSections } from '../config/key-list.ts';
import type { KeyKind } from '../config/keys.ts';
import type { ConfigSources } from '../config/load.ts';
import type { Terminal } from './terminal.ts';

/** Adds `--config` and a flag for every key to a command. */
export function addConfigFlags(command: Command): Command {
  command.addOption(
    new Option('-c, --config <file>', 'YAML file with the configuration (env FAIRLEAD_CONFIG)').helpGroup(
      'Configuration:',
    ),
  );
  for (const key of listKeys()) if (key.flag !== null) command.addOption(flagOf(key, key.flag));
  return command;
}

/** The sources a command was called with, from its parsed options. */
export function sourcesOf(command: Command, terminal: Terminal): ConfigSources {
  const options: Readonly<Record<string, unknown>> = command.opts();
  const file = options['config'] ?? terminal.environment['FAIRLEAD_CONFIG'];
  const flags = listKeys().flatMap((key): [string, readonly string[]][] => {
    const given = key.flag === null ? undefined : options[flagOf(key, key.flag).attributeName()];
    // A flag that may stand without a value is `true` when it does.
    if (given === true) return [[key.path, ['true']]];
    return isTexts(given) ? [[key.path, given]] : [];
  });
  return {
    file: typeof file === 'string' && file !== '' ? file : null,
    environment: terminal.environment,
    flags: Object.fromEntries(flags),
  };
}

/** Values are collected, not judged: the configuration judges all sources together. */
function flagOf(key: Key, flag: string): Option {
  return new Option(`${flag} ${PLACEHOLDERS[key.kind]}`, description(key))
    .argParser((value: string, earlier: unknown) => [...(isTexts(earlier) ? earlier : []), value])
    .helpGroup(groupOf(key));
}

function description(key: Key): string {
  const fallback = key.defaultText === null || key.kind === 'routes' ? '' : ` (default ${key.defaultText})`;
  const example = key.kind === 'routes' ? `, such as "${ROUTE_EXAMPLE}"; may be repeated` : '';
  const choices = key.choices === undefined ? '' : `; one of ${key.choices.join(', ')}`;
  return `${key.doc.replace(/`/g, '').replace(/\.$/, '')}${choices}${example}${fallback}`;
}

function groupOf(key: Key): string {
  const section = listSections().find(({ path }) => key.path.startsWith(`${path}.`));
  return section === undefined ? 'Configuration:' : `${section.doc.replace(/\.$/, '')} (${section.path}):`;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

const ROUTE_EXAMPLE = 'name=rw,listen=0.0.0.0:6446,role=primary,strategy=first-available';

const PLACEHOLDERS = {
  duration: '<duration>',
  size: '<size>',
  integer: '<number>',
  boolean: '[true|false]',
  choice: '<word>',
  text: '<text>',
  secret: '<text>',
  'secret-file': '<file>',
  file: '<path>',
  listen: '<host:port>',
  'name-servers': '<address:port,…>',
  'name-server': '<address:port>',
  networks: '<network,…>',
  seeds: '<host:port,…>',
  seed: '<host:port>',
  threads: '<number|auto>',
  routes: '<route>',
} as const satisfies Record<KeyKind, string>;
