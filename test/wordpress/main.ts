/**
 * WordPress behind Fairlead, to be tried: `npm run example:wordpress` starts a group of three, a router and a site, and says
 * where the site is. With `--campaign` ten visitors read it while the primary is switched over, killed and comes back, and
 * members go from three to five and back; what they saw is printed and kept in test/wordpress/results/.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSandbox, type Sandbox } from '../../src/sandbox/index.ts';
import { type ActName, describeActs, play } from './campaign.ts';
import { logIn, publishPost, readPost, startBrowser } from './person.ts';
import { EDITOR } from './site.ts';
import { type Stage, setStage } from './stage.ts';
import { Visitors } from './visitors.ts';

const say = (text: string): void => void process.stdout.write(`${text}\n`);

const ACTS: readonly ActName[] = [
  ...(['calm', 'switchover', 'kill', 'rejoin'] as const),
  ...(['grow', 'switchover', 'shrink', 'calm'] as const),
];
const RESULTS = join(import.meta.dirname, 'results');

const sandbox = await createSandbox({ log: say });
const stopped = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
});
try {
  const stage = await setStage(sandbox);
  if (process.argv.includes('--campaign')) await runCampaign(sandbox, stage);
  else await serve(stage, stopped);
  await stage.site.stop();
} finally {
  await sandbox.close();
}

async function serve({ site, ports, group }: Stage, untilStopped: Promise<unknown>): Promise<void> {
  say(`
The site:         ${site.url}/
Its dashboard:    ${site.url}/wp-admin/   (${EDITOR.user} / ${EDITOR.password})
The router:       http://127.0.0.1:${ports.admin}/   DB_HOST is 127.0.0.1:${ports.rw}
The primary:      kill -9 ${(await group.primary()).pid}   and look at the site meanwhile

Ctrl-C ends everything, nothing stays.`);
  await untilStopped;
}

async function runCampaign(box: Sandbox, { site, group }: Stage): Promise<void> {
  await mkdir(RESULTS, { recursive: true });
  const browser = await startBrowser(box);
  try {
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
    const visitors = new Visitors({ visitors: 10, everyMs: 100, pages });
    const acts = await play(group, visitors, ACTS, say);
    await readPost(browser, post, join(RESULTS, 'afterwards.png'));
    // The router's own account of it, for who wonders about an error page.
    await copyFile(join(box.directory, 'fairlead.log'), join(RESULTS, 'fairlead.log'));
    await writeFile(join(RESULTS, 'php.log'), await site.phpLog());
    await writeFile(join(RESULTS, 'acts.json'), `${JSON.stringify(acts, null, 2)}\n`);
    say(`\n${describeActs(acts)}\n`);
    for (const { name, errorPages } of acts) for (const { error } of errorPages) say(`${name}: ${error}`);
    say(`Screenshots and figures are in ${RESULTS}`);
  } finally {
    await browser.close();
  }
}
