/**
 * The version in package.json, wherever the program was installed: beside the sources, or two folders above dist/.
 */
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

export function programVersion(): string {
  const path = findPackageJSON('.', import.meta.url);
  if (path === undefined) throw new Error('the package.json of fairlead is missing');
  const manifest: unknown = JSON.parse(readFileSync(path, 'utf8'));
  const isVersioned = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  if (isVersioned && typeof manifest.version === 'string') return manifest.version;
  throw new Error('the package.json of fairlead has no version');
}
