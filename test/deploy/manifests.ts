/** Manifests as rendered, and what the published schemas say of them. */

import * as client from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { messageOf } from '../../src/shared/message-of.ts';

const manifestSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
export type Manifest = z.output<typeof manifestSchema>;

/** @throws when the text is no YAML, or anything in it is no manifest */
export function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text)
    .map((document) => {
      const [error] = document.errors;
      if (error !== undefined) throw error;
      return document.toJS() as unknown;
    })
    .filter((value) => value !== null)
    .map((value) => manifestSchema.parse(value));
}

/** The one manifest of a kind. @throws when there is not exactly one, of that name if a name is given */
export function only(manifests: readonly Manifest[], kind: string, name?: string): Manifest {
  const found = manifests.filter((m) => m.kind === kind && (name === undefined || m.metadata.name === name));
  const [manifest] = found;
  if (manifest === undefined || found.length > 1) throw new Error(`${found.length} of kind ${kind}`);
  return manifest;
}

/** What is wrong with a manifest: values by the published schemas, and fields that Kubernetes does not know. */
export async function problemsOf(manifest: Manifest): Promise<readonly string[]> {
  const where = `${manifest.kind} ${manifest.metadata.name}`;
  const problems = [...(await schemaProblems(manifest)), ...unknownFields(manifest)];
  return problems.map((problem) => `${where}: ${problem}`);
}

async function schemaProblems(manifest: Manifest): Promise<readonly string[]> {
  const packageName = manifest.apiVersion.startsWith('monitoring.coreos.com/')
    ? '@kubernetes-models/prometheus-operator'
    : 'kubernetes-models';
  const models: unknown = await import(`${packageName}/${manifest.apiVersion}`);
  const Model = z.record(z.string(), z.unknown()).parse({ ...Object(models) })[manifest.kind];
  if (typeof Model !== 'function') return [`${manifest.apiVersion} has no such kind`];
  const model: unknown = Reflect.construct(Model, [manifest]);
  try {
    const validate: unknown = Reflect.get(Object(model), 'validate');
    if (typeof validate !== 'function') return [`${manifest.apiVersion} has no validator`];
    Reflect.apply(validate, model, []);
    return [];
  } catch (error) {
    return [messageOf(error)];
  }
}

const attributeSchema = z.array(z.object({ baseName: z.string(), type: z.string() }));

/** Fields the client's generated models do not have. Kinds that are not Kubernetes' own are left to their schema. */
function unknownFields(manifest: Manifest): readonly string[] {
  const version = manifest.apiVersion.split('/').at(-1) ?? '';
  const type = `${version.charAt(0).toUpperCase()}${version.slice(1)}${manifest.kind}`;
  return attributesOf(type) === null ? [] : unknownIn(manifest, type, '');
}

function unknownIn(value: unknown, type: string, path: string): readonly string[] {
  const [, element] = /^Array<(.+)>$/.exec(type) ?? [];
  if (element !== undefined) {
    return Array.isArray(value)
      ? value.flatMap((item, index) => unknownIn(item, element, `${path}[${index}]`))
      : [`${path} is no list`];
  }
  const attributes = attributesOf(type);
  if (attributes === null) return [];
  return Object.entries(Object(value)).flatMap(([name, field]) => {
    const attribute = attributes.find(({ baseName }) => baseName === name);
    return attribute === undefined
      ? [`unknown field ${path}.${name}`]
      : unknownIn(field, attribute.type, `${path}.${name}`);
  });
}

/** Null for what is no object with known fields: texts, numbers, maps. */
function attributesOf(type: string): z.output<typeof attributeSchema> | null {
  const model: unknown = Reflect.get(client, type);
  const attributeTypes: unknown =
    typeof model === 'function' ? Reflect.get(model, 'getAttributeTypeMap') : null;
  if (typeof attributeTypes !== 'function') return null;
  return attributeSchema.parse(Reflect.apply(attributeTypes, model, []));
}
