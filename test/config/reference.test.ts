import { readFileSync } from 'node:fs';
import t from 'tap';
import { factsAt, listKeys } from '../../src/config/key-list.ts';
import { referenceJsonSchema, withReference } from '../../src/config/reference.ts';
import { settingsOf } from '../../src/config/show.ts';
import { configOf, MINIMAL } from './sources.ts';

const RENEW = 'node src/config/write-reference.ts && npx biome check --write docs/configuration.*';

const document = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

t.test('docs/configuration.md has the entry of every key as the schema has it', async (t) => {
  const text = document('configuration.md');
  t.ok(withReference(text) === text, `current, or renew it: ${RENEW}`);
  for (const { path, kind } of listKeys())
    if (kind !== 'seed' && kind !== 'name-server')
      t.match(text, `\n##`.concat(path.includes('.') ? '# ' : ' ', path, '\n'));
});

t.test('docs/configuration.schema.json is made from the schema', async (t) => {
  const written: unknown = JSON.parse(document('configuration.schema.json'));
  t.strictSame(written, JSON.parse(JSON.stringify(referenceJsonSchema())), `current, or renew it: ${RENEW}`);
});

t.test('every key says what it is and why one would change it, and has a name in each source', async (t) => {
  for (const key of listKeys()) {
    t.match(key.doc, /^[A-Z0-9].*\.$/, `${key.path} has a sentence`);
    t.match(key.why, /^[A-Z0-9`].*\.$/, `${key.path} has a reason`);
    if (key.path.includes('[]')) continue;
    t.match(key.environment, /^FAIRLEAD_[A-Z0-9_]+$/);
    t.match(key.flag, /^--[a-z0-9-]+$/);
  }
  const names = listKeys().flatMap((key) => key.environment ?? []);
  t.equal(new Set(names).size, names.length, 'no two keys share a variable');
  t.equal(factsAt('routes[3].listen')?.kind, 'listen');
});

t.test('the defaults in the reference are the defaults in force', async (t) => {
  const settings = new Map(
    Object.entries(settingsOf(configOf({ file: MINIMAL }))).flatMap(([section, value]) =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.entries(value).map(([key, inner]): [string, unknown] => [`${section}.${key}`, inner])
        : [[section, value] as [string, unknown]],
    ),
  );
  for (const key of listKeys()) {
    if (
      key.defaultText === null ||
      key.kind === 'routes' ||
      key.kind === 'threads' ||
      key.path.includes('[]')
    )
      continue;
    t.equal(String(settings.get(key.path)), key.defaultText, key.path);
  }
});
