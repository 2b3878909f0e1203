/**
 * The documents made from the schema: the reference in docs/configuration.md and the JSON schema for editors.
 */
import { z } from 'zod';
import { type Key, listKeys, listSections } from './key-list.ts';
import { type KeyKind, keyFacts } from './keys.ts';
import { configSchema } from './schema.ts';

/** Lines of docs/configuration.md between which the reference stands; the rest of that file is written by hand. */
export const REFERENCE_MARKS = {
  begin: '<!-- The rest is made from src/config/schema.ts by src/config/write-reference.ts. -->',
  end: '<!-- End of what is made from the schema. -->',
} as const;

/** One entry for every key, in the order of the schema. */
export function referenceMarkdown(): string {
  const sections = listSections();
  const blocks: string[] = [];
  let current = '';
  for (const key of listKeys().filter(({ kind }) => !ITEM_KINDS.has(kind))) {
    const heading = key.path.split(/[.[]/)[0] ?? '';
    const section = sections.find(({ path }) => path === heading);
    if (heading !== current && section !== undefined) blocks.push(`## ${heading}\n\n${section.doc}`);
    if (heading !== current && section === undefined) blocks.push(`## ${heading}\n\n${entryText(key)}`);
    else blocks.push(`### ${key.path}\n\n${entryText(key)}`);
    current = heading;
  }
  return blocks.join('\n\n');
}

/** The marked part of `document` replaced; null when the marks are missing. */
export function withReference(document: string): string | null {
  const begin = document.indexOf(REFERENCE_MARKS.begin);
  const end = document.indexOf(REFERENCE_MARKS.end);
  if (begin < 0 || end < begin) return null;
  const before = document.slice(0, begin + REFERENCE_MARKS.begin.length);
  return `${before}\n\n${referenceMarkdown()}\n\n${document.slice(end)}`;
}

/** What an editor needs to complete and check a fairlead.yaml. */
export function referenceJsonSchema(): unknown {
  return {
    ...z.toJSONSchema(configSchema, {
      io: 'input',
      override: ({ zodSchema, jsonSchema }) => {
        const facts = keyFacts.get(zodSchema);
        if (facts !== undefined) jsonSchema.description = facts.doc;
        if (facts?.kind === 'seeds') allowOneMap(jsonSchema);
      },
    }),
    title: 'Configuration of Fairlead',
  };
}

/** A single map may stand without the list around it: layers.ts puts it there before the schema judges it. */
function allowOneMap(list: z.core.JSONSchema.BaseSchema): void {
  const { type, items, ...rest } = list;
  const forms = typeof items === 'object' && !Array.isArray(items) ? (items.anyOf ?? []) : [];
  const maps = forms.filter((form) => typeof form === 'object' && form.type === 'object');
  for (const key of Object.keys(list)) delete list[key];
  Object.assign(list, rest, { anyOf: [{ type, items }, ...maps] });
}

/** Items of lists whose own entry says all there is. */
const ITEM_KINDS: ReadonlySet<KeyKind> = new Set(['seed', 'name-server']);

function entryText(key: Key): string {
  const facts = [
    `- Value: ${valueText(key)}`,
    key.defaultText === null ? '' : `- Default: \`${key.defaultText}\``,
    key.environment === null ? '' : `- Environment: \`${key.environment}\``,
    key.flag === null ? '' : `- Flag: \`${key.flag}\`${key.kind === 'routes' ? ', once for each route' : ''}`,
  ];
  return [key.doc, '', key.why, '', ...facts.filter((line) => line !== '')].join('\n');
}

function valueText(key: Key): string {
  return key.choices === undefined
    ? key.rule
    : `one of ${key.choices.map((word) => `\`${word}\``).join(', ')}`;
}
