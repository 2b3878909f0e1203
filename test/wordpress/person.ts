/** A person with a browser: logs in, publishes a post with an image, and reads it as a visitor. */
import { type Browser, chromium, type Page } from 'playwright-core';
import type { Sandbox } from '../../src/sandbox/index.ts';
import { drawPicture } from './picture.ts';
import { EDITOR, type Site } from './site.ts';

/** Starts the sandbox's browser. The caller closes it. */
export async function startBrowser(sandbox: Sandbox): Promise<Browser> {
  const { file, env } = (await sandbox.part('chromium')).command('chromium-headless-shell', []);
  const environment = Object.entries({ ...env, FAIRLEAD_SANDBOX: sandbox.directory });
  return chromium.launch({
    executablePath: file,
    env: Object.fromEntries(
      environment.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    ),
    // A container's root may not make the namespaces its own sandbox consists of; it sees nothing but our own pages.
    args: ['--no-sandbox', '--disable-gpu'],
  });
}

export type Post = { readonly title: string; readonly text: string; readonly url: string };

/** Logs in by the login page. */
export async function logIn(browser: Browser, site: Site): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(`${site.url}/wp-login.php`);
  await page.fill('#user_login', EDITOR.user);
  await page.fill('#user_pass', EDITOR.password);
  await page.click('#wp-submit');
  await page.waitForSelector('#wpadminbar', { state: 'attached' }).catch(async (error: unknown) => {
    const seen = (await page.locator('body').textContent())?.slice(0, 500);
    throw new Error(`the login led to ${page.url()}, which says: ${seen}`, { cause: error });
  });
  return page;
}

/** Writes a post in the block editor, with a picture from the person's own disk, and publishes it. */
export async function publishPost(page: Page, site: Site, title: string, text: string): Promise<Post> {
  await page.goto(`${site.url}/wp-admin/post-new.php`);
  await dismissGuide(page);
  const canvas = await editorCanvas(page);
  await canvas.getByRole('textbox', { name: 'Add title' }).fill(title);
  await page.keyboard.press('Enter');
  await page.keyboard.type(text);
  await page.keyboard.press('Enter');
  await page.keyboard.type('/image');
  await page.getByRole('option', { name: 'Image', exact: true }).click();
  const [chooser] = await Promise.all([
    page.waitForEvent('filechooser'),
    canvas.getByRole('button', { name: 'Upload' }).click(),
  ]);
  await chooser.setFiles({ name: 'fairlead.png', mimeType: 'image/png', buffer: drawPicture() });
  await canvas.locator('figure.wp-block-image img[src*="/uploads/"]').waitFor();
  await page.getByRole('button', { name: 'Publish', exact: true }).click();
  await page
    .getByRole('region', { name: 'Editor publish' })
    .getByRole('button', { name: 'Publish', exact: true })
    .click();
  const link = page.getByRole('region', { name: 'Editor publish' }).getByRole('link', { name: 'View Post' });
  const url = (await link.getAttribute('href')) ?? '';
  return { title, text, url };
}

/** Reads a page as somebody who is not logged in. @returns whether its picture was drawn */
export async function readPost(browser: Browser, post: Post, screenshot?: string): Promise<boolean> {
  const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
  page.setDefaultTimeout(PATIENCE_MS);
  try {
    await page.goto(post.url, { waitUntil: 'load' });
    await page.getByRole('heading', { name: post.title }).first().waitFor();
    await page.getByText(post.text).first().waitFor();
    const isDrawn = await page
      .locator('figure.wp-block-image img')
      .evaluate((image) => 'naturalWidth' in image && Number(image.naturalWidth) > 0);
    if (screenshot !== undefined) await page.screenshot({ path: screenshot });
    return isDrawn;
  } finally {
    await page.close();
  }
}

/** The editor greets who opens it for the first time. */
async function dismissGuide(page: Page): Promise<void> {
  const close = page.getByRole('dialog').getByRole('button', { name: 'Close' });
  const ready = page.locator('.editor-visual-editor, .edit-post-visual-editor').first();
  await ready.waitFor();
  if (await close.isVisible()) await close.click();
}

/** Where one writes: in a frame, or in the page itself, as the theme has it. */
async function editorCanvas(page: Page) {
  const frame = page.locator('iframe[name="editor-canvas"]');
  await page.locator('iframe[name="editor-canvas"], [aria-label="Add title"]').first().waitFor();
  return (await frame.count()) > 0 ? frame.contentFrame() : page.locator('body');
}

const PATIENCE_MS = 60_000;
