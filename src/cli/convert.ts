/**
 * `fairlead convert`: a configuration file made from MySQL Router's, to read through and to change.
 */
import { stringify } from 'yaml';
import { IniError, type IniSection, parseIni } from '../config/mysql-router/ini.ts';
import { translate } from '../config/mysql-router/translate.ts';
import { messageOf } from '../shared/message-of.ts';
import { MAX_CONFIG_BYTES, readTextFile } from '../shared/text-file.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';

export async function convert(path: string, terminal: Terminal): Promise<ExitCode> {
  let sections: readonly IniSection[];
  try {
    sections = parseIni(await readTextFile(path, MAX_CONFIG_BYTES));
  } catch (error) {
    const reason = error instanceof IniError ? error.message : `cannot be read: ${messageOf(error)}`;
    terminal.writeError(`fairlead: ${path}: ${reason}\n`);
    return EXIT.usage;
  }
  if (!sections.some(({ name }) => name === 'routing')) {
    terminal.writeError(`fairlead: ${path}: has no [routing:…] section, so there is nothing to convert\n`);
    return EXIT.usage;
  }
  const { settings, notes } = translate({ sections, knownMembers: await membersKnownTo(sections) });
  const comments = [`From ${path} of MySQL Router. Look at:`, ...notes.map((note) => `- ${note}`)];
  terminal.writeOut(`${comments.map((comment) => `# ${comment}\n`).join('')}${stringify(settings)}`);
  return EXIT.ok;
}

/** What Router itself has found out last: it stands in no configuration. */
async function membersKnownTo(sections: readonly IniSection[]): Promise<readonly string[]> {
  const path = sections.find(({ name }) => name === 'default')?.options.get('dynamic_state');
  if (path === undefined) return [];
  // The note on missing seeds tells of it.
  const text = await readTextFile(path, MAX_CONFIG_BYTES).catch(() => '');
  return [...text.matchAll(/"mysql:\/\/([^"/\s]+)\/?"/g)].flatMap(([, server]) =>
    server === undefined ? [] : [server],
  );
}
