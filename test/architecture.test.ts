/** The house of docs/architecture.md: who may import whom, how files are called, how long they may be. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import t from 'tap';

const ROOT = join(import.meta.dirname, '..');
const MAX_LINES = 400;

interface Import {
  /** Paths from the project's root. */
  readonly from: string;
  /** Path from the root for our own files, else the module's name. */
  readonly to: string;
  readonly isTypeOnly: boolean;
}

interface Rule {
  readonly says: string;
  readonly files: (path: string) => boolean;
  readonly allows: (imported: Import) => boolean;
}

const within =
  (...folders: readonly string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path.startsWith(`${folder}/`));
const neverImports =
  (...folders: readonly string[]) =>
  ({ to }: Import): boolean =>
    !within(...folders)(to);
const isOwn = (path: string): boolean => within('src', 'protocol', 'routing', 'test', 'bench')(path);

const RULES: readonly Rule[] = [
  {
    says: 'protocol/ imports node:buffer, node:crypto and itself',
    files: within('protocol'),
    allows: ({ to }) => within('protocol')(to) || to === 'node:buffer' || to === 'node:crypto',
  },
  {
    says: 'routing/ imports itself',
    files: within('routing'),
    allows: ({ to }) => within('routing')(to),
  },
  {
    says: 'the program imports no tests and no benches',
    files: within('src'),
    allows: neverImports('test', 'bench'),
  },
  {
    says: 'src/control does not know src/data',
    files: within('src/control'),
    allows: neverImports('src/data'),
  },
  {
    says: 'src/data does not know src/control',
    files: within('src/data'),
    allows: neverImports('src/control'),
  },
  {
    // The threads' messages carry the Config, which is data without code.
    says: 'src/shared imports itself, packages, and types of routing/, protocol/ and the Config',
    files: within('src/shared'),
    allows: ({ to, isTypeOnly }) =>
      !isOwn(to) ||
      within('src/shared')(to) ||
      (isTypeOnly && (within('routing', 'protocol')(to) || to === 'src/config/config.ts')),
  },
  {
    says: 'only the sandbox itself, the demo, examples, tests and benches know src/sandbox',
    files: (path) => !within('src/sandbox', 'test', 'bench')(path) && !path.startsWith('src/cli/demo'),
    allows: neverImports('src/sandbox'),
  },
  {
    says: 'nobody imports src/main.ts',
    files: () => true,
    allows: ({ to }) => to !== 'src/main.ts',
  },
];

const FILES = ['src', 'protocol', 'routing', 'test', 'bench'].flatMap(listFiles);
const IMPORTS = FILES.flatMap(readImports);

t.test('the test sees the house', async (t) => {
  for (const folder of ['src', 'protocol', 'routing', 'test']) {
    t.ok(FILES.filter(within(folder)).length > 0, `${folder}/ has files`);
  }
  t.ok(IMPORTS.some(({ to }) => to === 'protocol/errors.ts'));
  t.ok(IMPORTS.some(({ to }) => to === 'node:buffer'));
  t.ok(IMPORTS.some(({ isTypeOnly }) => isTypeOnly));
});

for (const rule of RULES) {
  t.test(rule.says, async (t) => {
    const broken = IMPORTS.filter((imported) => rule.files(imported.from) && !rule.allows(imported));
    t.same(
      broken.map(({ from, to }) => `${from} imports ${to}`),
      [],
    );
  });
}

t.test('files are called in kebab-case', async (t) => {
  const odd = FILES.filter(
    (path) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)*[a-z0-9]+([-.][a-z0-9]+)*\.ts$/.test(path),
  );
  t.same(odd, []);
});

t.test(`files of the program have at most ${MAX_LINES} lines`, async (t) => {
  const long = FILES.filter(within('src', 'protocol', 'routing'))
    .map((path) => ({ path, lines: readFileSync(join(ROOT, path), 'utf8').trimEnd().split('\n').length }))
    .filter(({ lines }) => lines > MAX_LINES);
  t.same(
    long.map(({ path, lines }) => `${path}: ${lines}`),
    [],
  );
});

/** Every .ts file below a folder, as paths from the root; none where there is no such folder. */
function listFiles(folder: string): readonly string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(folder, path));
}

/** Static, re-exporting and dynamic imports with a literal name; comments are cut out first. */
function readImports(from: string): readonly Import[] {
  const source = readFileSync(join(ROOT, from), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const statements = source.matchAll(
    /^\s*(?:import|export)\s+(type\s)?[^;'"]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm,
  );
  return [...statements].map(([, type, fromName, bareName, dynamicName]) => {
    const name = fromName ?? bareName ?? dynamicName ?? '';
    const to = name.startsWith('.') ? relative(ROOT, join(ROOT, dirname(from), name)) : name;
    return { from, to, isTypeOnly: type !== undefined };
  });
}
