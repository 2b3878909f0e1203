/** Renders what deploy/ holds with the programs its users render it with. */
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory, underLock } from '../../src/sandbox/cache.ts';
import type { Part } from '../../src/sandbox/index.ts';
import { runCommand } from '../../src/sandbox/run-command.ts';
import { type Manifest, parseManifests } from './manifests.ts';

export const DEPLOY = join(import.meta.dirname, '..', '..', 'deploy');

/** `kubectl kustomize <folder>`, as text. @throws also when it warns: what it deprecates goes away one day */
export async function renderKustomization(kubectl: Part, folder: string): Promise<string> {
  const { stdout, stderr } = await runCommand(kubectl.command('kubectl', ['kustomize', folder]));
  if (stderr.trim() !== '') throw new Error(`kubectl kustomize ${folder} warns: ${stderr.trim()}`);
  return stdout;
}

export type RenderedChart = { readonly manifests: readonly Manifest[]; readonly notes: string };

/** The chart with these values over its own. @throws with what the templates say */
export async function renderChart(go: Part, release: string, values: object): Promise<RenderedChart> {
  const file = await builtRenderer(go);
  const args = [join(DEPLOY, 'chart'), release, 'shop', JSON.stringify(values)];
  const { stdout } = await runCommand({ file, args, env: {} });
  const documents = stdout.split(/^---\n(?=# Source: )/m).filter((text) => text !== '');
  const isNotes = (text: string) => text.startsWith('# Source: NOTES.txt');
  return {
    manifests: documents.filter((text) => !isNotes(text)).flatMap(parseManifests),
    notes: documents.find(isNotes) ?? '',
  };
}

/** Compiling takes half a minute, once for each version of the libraries. */
async function builtRenderer(go: Part): Promise<string> {
  const cache = join(cacheDirectory(), 'render-chart');
  const program = join(cache, `render-chart-${go.version}`);
  await mkdir(cache, { recursive: true });
  await underLock(join(cache, 'lock'), async () => {
    if (existsSync(program)) return;
    const building = `${program}.new`;
    const source = join(import.meta.dirname, 'render-chart', 'main.go');
    const command = go.command('go', ['build', '-o', building, source]);
    const env = {
      ...command.env,
      GOROOT: join(go.root, 'usr', 'lib', 'go'),
      GOPATH: join(go.root, 'usr', 'share', 'gocode'),
      GOCACHE: join(cache, 'go'),
      GO111MODULE: 'off',
      CGO_ENABLED: '0',
      GOTOOLCHAIN: 'local',
    };
    await runCommand({ ...command, env }, { timeoutMs: 240_000 });
    await rename(building, program);
  });
  return program;
}
