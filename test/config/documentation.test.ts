/** What the pages tell a reader to write, set and look at is there. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { listKeys } from '../../src/config/key-list.ts';
import { layer } from '../../src/config/layers.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { describeProblem } from '../../src/config/problems.ts';
import { readYaml } from '../../src/config/yaml-file.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const PAGES = [
  'README.md',
  join('deploy', 'README.md'),
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** Of the sandbox, of Kubernetes, and one that is shown as a mistake. */
const OTHER_VARIABLES =
  /^FAIRLEAD_(?:CACHE|MYSQLD|CONFIG|DEBIAN_MIRROR|SERVICE_HOST|PORT|PORT_6446_TCP|HOLD_TIMOUT)$/;

t.test('each configuration in the pages is accepted', async (t) => {
  const accepts = (page: string, yaml: string, what: string) => {
    const environment = {
      ...(yaml.includes('seeds:') ? {} : { FAIRLEAD_CLUSTER_SEEDS: 'db' }),
      ...(/user:|topology: static/.test(yaml) ? {} : { FAIRLEAD_CLUSTER_USER: 'router' }),
    };
    const layers = layer({ file: readYaml(page, yaml), environment, flags: {} });
    const secret = { ok: true, text: 'secret' } as const;
    const parsed = parseConfig(layers, { passwordFile: secret, automaticThreads: 2 });
    t.same(parsed.ok ? [] : parsed.problems.map(describeProblem), [], `${page}: ${what}`);
  };
  for (const page of PAGES) {
    const text = read(page);
    for (const [, yaml = ''] of text.matchAll(/^```yaml\n(.*?)^```/gms)) {
      const [first = ''] = yaml.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
      // Objects of Kubernetes, values of the chart, and parts of a route, which stand indented.
      if (first !== '' && !/^\s|^apiVersion:|^config:/.test(first)) accepts(page, yaml, first);
    }
    for (const [, seeds = ''] of text.matchAll(/`(seeds: [^`…]+)`/g))
      accepts(page, `cluster:\n  ${seeds}\n`, seeds);
  }
});

t.test('variables and metrics in the pages exist', async (t) => {
  const variables = new Set(listKeys().flatMap(({ environment }) => environment ?? []));
  const metrics = new Set(read('docs/metrics.md').match(/(?<=\| `)fairlead_\w+/g));
  for (const page of PAGES) {
    const text = read(page);
    for (const [name] of text.matchAll(/\bFAIRLEAD_[A-Z_]*[A-Z]\b/g))
      if (!variables.has(name) && !OTHER_VARIABLES.test(name)) t.fail(`${page}: ${name}`);
    for (const [name] of text.matchAll(/\bfairlead_[a-z_]*[a-z]\b(?!_)/g))
      if (!metrics.has(name.replace(/_(?:bucket|sum|count)$/, ''))) t.fail(`${page}: ${name}`);
  }
  t.ok(metrics.size > 50 && variables.size > 50);
});

t.test('links between the pages lead somewhere', async (t) => {
  for (const page of PAGES) {
    for (const [, link = ''] of read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(ROOT, target))) t.fail(`${page}: ${link}`);
      else if (anchor !== undefined && !anchorsOf(read(target)).has(anchor)) t.fail(`${page}: ${link}`);
    }
  }
});

/** As they are made of headings where Markdown is shown. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-'),
    ),
  );
}
