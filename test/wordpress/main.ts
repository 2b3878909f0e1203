/**
 * WordPress behind Fairlead, to be tried: `npm run example:wordpress` starts a group of three, a router and a site, and says
 * where the site is. With `--campaign` ten visitors read it while the primary is switched over, killed and comes back, members
 * go from three to five and back, and routers from one to two, are replaced, and go back; what they saw is printed and kept
 * in test/wordpress/results/. For that all servers and routers are hosts of their own, in a network nobody else sees.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { createSandbox } from '../../src/sandbox/index.ts';
import { runInOwnNetwork, say, withScope } from '../support/console-scope.ts';
import type { Scope } from '../support/scope.ts';
import { type ActName, describeActs, describeWaits, play } from './campaign.ts';
import { logIn, publishPost, readPost, startBrowser } from './person.ts';
import { EDITOR } from './site.ts';
import { type NetworkStage, type Stage, setNetworkStage, setStage } from './stage.ts';
import { crowdMs, Visitors } from './visitors.ts';

const ACTS: readonly ActName[] = [
  ...(['calm', 'switchover', 'kill', 'rejoin', 'second router', 'grow', 'switchover'] as const),
  ...(['routers replaced', 'kill', 'rejoin', 'shrink', 'one router less', 'calm'] as const),
];
const RESULTS = join(import.meta.dirname, 'results');

if (!process.argv.includes('--campaign')) await serve();
else process.exitCode = await runInOwnNetwork(() => withScope(runCampaign));

async function serve(): Promise<void> {
  const sandbox = await createSandbox({ log: say });
  const stopped = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
  try {
    const stage = await setStage(sandbox);
    await greet(stage);
    await stopped;
    await stage.site.stop();
  } finally {
    await sandbox.close();
  }
}

async function greet({ site, ports, group }: Stage): Promise<void> {
  const primary = await group.primary();
  const [secondary] = await group.secondaries();
  say(`
The site:         ${site.url}/
Its dashboard:    ${site.url}/wp-admin/   (${EDITOR.user} / ${EDITOR.password})
The router:       http://127.0.0.1:${ports.admin}/   (its status page; DB_HOST of the site is 127.0.0.1:${ports.rw})
The members:      ${group.members.map(({ address, pid }) => `${address} is process ${pid}`).join(', ')}

What to try, with the site open in a browser and the status page beside it:
  - Kill the primary, and reload the site: it waits for the election, some seven seconds, and comes.
      kill -9 ${primary.pid}
  - Freeze a secondary: nobody notices, but the status page does.
      kill -STOP ${secondary?.pid}
  - Write a post in the dashboard, and do either while you save it.

Ctrl-C ends everything, nothing stays.`);
}

async function runCampaign(scope: Scope): Promise<number> {
  await mkdir(RESULTS, { recursive: true });
  const stage = await setNetworkStage(scope);
  const browser = await startBrowser(stage.sandbox);
  scope.teardown(() => browser.close());
  await visit(stage, browser);
  return 0;
}

async function visit({ group, site, service }: NetworkStage, browser: Browser): Promise<void> {
  const page = await logIn(browser, site);
  const post = await publishPost(
    page,
    site,
    'A post with a picture',
    'It was written by a person with a browser.',
  );
  await page.screenshot({ path: join(RESULTS, 'published.png') });
  await readPost(browser, post, join(RESULTS, 'read.png'));
  const pages = [
    { url: post.url, contains: post.text },
    { url: `${site.url}/`, contains: post.title },
  ];
  const habits = { visitors: 10, everyMs: 100, pages };
  await crowdMs(habits);
  const calmCrowdMs = await crowdMs(habits);
  const visitors = new Visitors(habits);
  const acts = await play({ group, service, visitors }, ACTS, say);
  await readPost(browser, post, join(RESULTS, 'afterwards.png'));
  // The routers' own account of it, for who wonders about an error page.
  for (const router of service.routers) await writeFile(join(RESULTS, `${router.host}.log`), router.output);
  await writeFile(join(RESULTS, 'php.log'), await site.phpLog());
  await writeFile(join(RESULTS, 'acts.json'), `${JSON.stringify(acts, null, 2)}\n`);
  say(`\n${describeActs(acts)}\n`);
  for (const { name, errorPages, goneAtMs } of acts) {
    for (const { error, atMs } of errorPages) {
      const when = name === 'kill' && atMs < goneAtMs ? ' (asked for before the server was gone)' : '';
      say(`${name}: ${error}${when}`);
    }
  }
  say(describeWaits(acts, calmCrowdMs));
  say(`Screenshots and figures are in ${RESULTS}`);
}
