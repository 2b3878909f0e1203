/**
 * Renews docs/configuration.md and docs/configuration.schema.json from the schema:
 * `node src/config/write-reference.ts && npx biome check --write docs/configuration.*`. A test fails while they are not current.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { referenceJsonSchema, withReference } from './reference.ts';

const markdown = new URL('../../docs/configuration.md', import.meta.url);
const jsonSchema = new URL('../../docs/configuration.schema.json', import.meta.url);

const renewed = withReference(readFileSync(markdown, 'utf8'));
if (renewed === null)
  throw new Error('docs/configuration.md has lost the lines between which the reference stands');
writeFileSync(markdown, renewed);
writeFileSync(jsonSchema, `${JSON.stringify(referenceJsonSchema(), null, 2)}\n`);
