import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '..', '..');
const names = z.record(z.string(), z.string()).optional();
const lockFile = z.looseObject({
  packages: z.record(z.string(), z.looseObject({ dependencies: names, optionalDependencies: names })),
});

t.test(
  'the lock file has an entry for every package it mentions, on whatever platform, as npm ci demands',
  async (t) => {
    const text = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
    const { packages } = lockFile.parse(JSON.parse(text));
    const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies }).filter(
        (name) => !isFound(packages, path, name),
      ),
    );
    t.same(missing, []);
  },
);

t.test('the lock file names no registry', async (t) => {
  t.notMatch(readFileSync(join(ROOT, 'package-lock.json'), 'utf8'), /"resolved"|https?:\/\/[^"]*\.tgz/);
});

/** As Node looks for a package: beside the one that wants it, and in each folder above. */
function isFound(packages: Readonly<Record<string, unknown>>, wantedBy: string, name: string): boolean {
  for (let folder = wantedBy; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const path = folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`;
    if (path in packages) return true;
    if (folder === '') return false;
  }
}
