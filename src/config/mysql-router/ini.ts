/**
 * A `mysqlrouter.conf`, as MySQL Router reads it: sections in brackets, `key = value` beneath, comments behind "#" or ";".
 */
export type IniSection = {
  /** "routing" of "[routing:bootstrap_rw]". */
  readonly name: string;
  /** "bootstrap_rw" of it; empty without one. */
  readonly key: string;
  /** The line of its header, from 1. */
  readonly line: number;
  readonly options: ReadonlyMap<string, string>;
};

/** A line that is none of it. */
export class IniError extends Error {}

export function parseIni(text: string): readonly IniSection[] {
  const sections: (IniSection & { readonly options: Map<string, string> })[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    const header = /^\[\s*([A-Za-z0-9_]+)\s*(?::\s*([^\]]*?)\s*)?\]$/.exec(line);
    if (header !== null) {
      const [, name = '', key = ''] = header;
      sections.push({ name: name.toLowerCase(), key, line: index + 1, options: new Map() });
      continue;
    }
    const [, option, value = ''] = /^([A-Za-z0-9_]+)\s*[=:]\s*(.*)$/.exec(line) ?? [];
    const section = sections.at(-1);
    // Nothing of the line is shown: it may be half of a secret.
    if (option === undefined)
      throw new IniError(`line ${index + 1} is neither a [section] nor an option = value`);
    if (section === undefined) throw new IniError(`line ${index + 1}: an option before the first [section]`);
    section.options.set(option.toLowerCase(), value);
  }
  return sections;
}
