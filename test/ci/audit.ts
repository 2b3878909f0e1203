/**
 * `npm run audit`: what can be said of the dependencies.
 *
 * From the lock file alone, always the same: what is shipped is pinned by a hash, has a licence that lets it be shipped with
 * ours, and runs nothing when it is installed. Then known faults, as the registry knows them today; `-- --offline` leaves
 * those out, for a run that must not depend on the day. Where no registry answers, it says so, and nothing was found out.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const lockSchema = z.looseObject({
  packages: z.record(
    z.string(),
    z.looseObject({
      version: z.string(),
      license: z.string().optional(),
      integrity: z.string().optional(),
      dev: z.boolean().optional(),
      hasInstallScript: z.boolean().optional(),
    }),
  ),
});
const reportSchema = z.object({
  metadata: z.object({ vulnerabilities: z.record(z.string(), z.number()) }),
});

/** Of those that may be shipped with a program under Apache-2.0, the ones that are there. */
const LICENCES: ReadonlySet<string> = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-3-Clause',
  'BSD-2-Clause',
  '0BSD',
  'PSF-2.0',
  'Unlicense',
]);

const problems = checkLockFile();
for (const problem of problems) console.log(problem);
if (problems.length > 0) process.exitCode = 1;
if (process.argv.includes('--offline'))
  console.log('known faults: not asked for; npm run audit asks the registry');
else askRegistry();

function checkLockFile(): readonly string[] {
  const text = readFileSync(join(import.meta.dirname, '..', '..', 'package-lock.json'), 'utf8');
  // The first is the project itself.
  const packages = Object.entries(lockSchema.parse(JSON.parse(text)).packages).filter(
    ([path]) => path !== '',
  );
  const shipped = packages.filter(([, { dev }]) => dev !== true);
  console.log(`${packages.length} packages in the lock file, ${shipped.length} of them shipped`);
  return shipped.flatMap(([path, { version, license, integrity, hasInstallScript }]) => {
    const name = `${path.replace(/^.*node_modules\//, '')} ${version}`;
    return [
      ...(integrity?.startsWith('sha512-') ? [] : [`${name} is not pinned by a hash`]),
      ...(LICENCES.has(license ?? '') ? [] : [`${name} has the licence ${license ?? 'none'}`]),
      ...(hasInstallScript === true ? [`${name} runs a program when it is installed`] : []),
    ];
  });
}

function askRegistry(): void {
  const audit = spawnSync('npm', ['audit', '--json', '--omit=dev', '--fetch-retries=0'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  const report = parseReport(audit.stdout);
  if (report === undefined) {
    const why = audit.error?.message ?? audit.stderr.trim().split('\n').at(-1) ?? '';
    console.log(`known faults: skipped, the registry did not answer (${why || 'no report'})`);
  } else {
    const { total = 0, ...bySeverity } = report.metadata.vulnerabilities;
    console.log(`known faults in what is shipped: ${total} ${JSON.stringify(bySeverity)}`);
    if (total > 0) process.exitCode = 1;
  }
}

function parseReport(text: string | null): z.output<typeof reportSchema> | undefined {
  try {
    return reportSchema.safeParse(JSON.parse(text ?? '')).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
