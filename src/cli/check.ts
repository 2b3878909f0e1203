/**
 * `fairlead check`: the configuration in force, or everything that is wrong with it.
 */
import { type ConfigSources, loadConfig } from '../config/load.ts';
import { describeProblems } from '../config/problems.ts';
import { showConfig } from '../config/show.ts';
import { checkGuideline, GuidelineError } from '../data/guidelines/guideline-store.ts';
import { checkMaterials } from '../data/tls/material-store.ts';
import { TlsFileError } from '../data/tls/pem-files.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

export async function check(sources: ConfigSources, terminal: Terminal): Promise<ExitCode> {
  const loaded = await loadConfig(sources);
  if (!loaded.ok) {
    terminal.writeError(`fairlead: ${describeProblems(loaded.problems)}\n`);
    return EXIT.usage;
  }
  try {
    await checkMaterials(loaded.config);
    await checkGuideline(loaded.config);
  } catch (error) {
    if (!(error instanceof TlsFileError) && !(error instanceof GuidelineError)) throw error;
    terminal.writeError(`fairlead: ${error.message}\n`);
    return EXIT.usage;
  }
  terminal.writeOut(showConfig(loaded.config, loaded.originOf));
  return EXIT.ok;
}
