/**
 * `npm run audit`: known faults in the dependencies, as the registry knows them. Without a registry that answers, it says so
 * and is no failure: nothing was found out.
 */
import { spawnSync } from 'node:child_process';
import { z } from 'zod';

const reportSchema = z.object({
  metadata: z.object({ vulnerabilities: z.record(z.string(), z.number()) }),
});

const audit = spawnSync('npm', ['audit', '--json', '--omit=dev', '--fetch-retries=0'], {
  encoding: 'utf8',
  timeout: 60_000,
});
const report = parseReport(audit.stdout);
if (report === undefined) {
  const why = audit.error?.message ?? audit.stderr.trim().split('\n').at(-1) ?? '';
  console.log(`skipped: the registry did not answer (${why || 'no report'})`);
} else {
  const { total = 0, ...bySeverity } = report.metadata.vulnerabilities;
  console.log(`${total} known faults in what is shipped: ${JSON.stringify(bySeverity)}`);
  if (total > 0) process.exitCode = 1;
}

function parseReport(text: string | null): z.output<typeof reportSchema> | undefined {
  try {
    return reportSchema.safeParse(JSON.parse(text ?? '')).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
