/** Sources of configuration for tests: a file of the given text, an environment, flags. */
import { layer } from '../../src/config/layers.ts';
import { type ParseContext, type ParsedConfig, parseConfig } from '../../src/config/parse.ts';
import { describeProblem } from '../../src/config/problems.ts';
import type { RouteTls } from '../../src/config/tls-config.ts';
import { readYaml } from '../../src/config/yaml-file.ts';

export type TestSources = {
  readonly file?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, readonly string[]>>;
  readonly passwordFile?: ParseContext['passwordFile'];
};

export function parse({
  file,
  environment = {},
  flags = {},
  passwordFile = null,
}: TestSources): ParsedConfig {
  const named = file === undefined ? null : readYaml('f.yaml', file);
  return parseConfig(layer({ file: named, environment, flags }), { passwordFile, automaticThreads: 2 });
}

/** The least that is a configuration, as a file. */
export const MINIMAL = 'cluster: { seeds: [db], user: router }\n';

/** The configuration, where there is to be one. */
export function configOf(sources: TestSources) {
  const parsed = parse(sources);
  if (!parsed.ok) throw new Error(parsed.problems.map(describeProblem).join('\n'));
  return parsed.config;
}

/** The problems as lines; none when all is well. */
export function problemsOf(sources: TestSources): readonly string[] {
  const parsed = parse(sources);
  return parsed.ok ? [] : parsed.problems.map(describeProblem);
}

/** TLS of a route where nothing is said of it. */
export const PASSED_THROUGH: RouteTls = {
  client: {
    mode: 'passthrough',
    certFile: null,
    keyFile: null,
    caFile: null,
    caFolder: null,
    crlFile: null,
    crlFolder: null,
    ciphers: null,
    hasSessionCache: true,
  },
  server: {
    mode: 'as-client',
    verify: 'disabled',
    caFile: null,
    caFolder: null,
    crlFile: null,
    crlFolder: null,
    certFile: null,
    keyFile: null,
    ciphers: null,
    hasSessionCache: true,
  },
  minVersion: 'TLSv1.2',
};
