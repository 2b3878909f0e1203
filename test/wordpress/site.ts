/**
 * A WordPress site as Debian packages it, on PHP workers of its own: every request opens a connection to the database, does
 * its work and closes it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Account, type Sandbox, SandboxError, waitFor } from '../../src/sandbox/index.ts';

export type SiteOptions = {
  /** Where PHP finds its database: a route of role `primary`, as `address:port`. */
  readonly databaseHost: string;
  /** May do everything in the schema `wordpress`. */
  readonly database: Account;
  /** Requests served at once. */
  readonly workers: number;
};

/** Who may write in it. */
export const EDITOR = { user: 'editor', password: 'correct horse battery staple' } as const satisfies Account;

export class Site {
  readonly url: string;
  readonly directory: string;
  readonly #child: ChildProcess;

  private constructor(url: string, directory: string, child: ChildProcess) {
    this.url = url;
    this.directory = directory;
    this.#child = child;
  }

  /** Returns when the PHP workers listen. They are gone with the sandbox. */
  static async start(sandbox: Sandbox, options: SiteOptions): Promise<Site> {
    const part = await sandbox.part('wordpress');
    const [port = 0] = await sandbox.reservePorts(1);
    const url = `http://127.0.0.1:${port}`;
    const directory = join(sandbox.directory, `wordpress-${port}`);
    const code = join(part.root, 'usr', 'share', 'wordpress');
    await mkdir(join(directory, 'content', 'uploads'), { recursive: true });
    await symlink(join(code, 'wp-content', 'themes'), join(directory, 'content', 'themes'));
    const settings = join(directory, 'settings.php');
    const front = join(directory, 'front.php');
    await writeFile(settings, settingsText(url, directory, options));
    await writeFile(front, FRONT);
    const command = part.command('php', [...PHP_FLAGS, '-S', `127.0.0.1:${port}`, '-t', code, front]);
    const log = openSync(join(directory, 'php.log'), 'a');
    const child = spawn(command.file, command.args, {
      stdio: ['ignore', log, log],
      env: {
        ...command.env,
        PHP_CLI_SERVER_WORKERS: String(options.workers),
        FAIRLEAD_WORDPRESS_SETTINGS: settings,
        FAIRLEAD_WORDPRESS_UPLOADS: join(directory, 'content', 'uploads'),
        // By this the sandbox's watchdog knows what to end.
        FAIRLEAD_SANDBOX: sandbox.directory,
      },
      // The workers are its children: they are ended together.
      detached: true,
    });
    closeSync(log);
    await once(child, 'spawn');
    const site = new Site(url, directory, child);
    await waitFor({ what: 'the PHP workers to listen', timeoutMs: 30_000 }, async () => {
      if (child.exitCode !== null) throw new SandboxError(`PHP ended:\n${await site.phpLog()}`);
      await (await fetch(`${url}/wp-includes/images/blank.gif`)).arrayBuffer();
      return true;
    });
    return site;
  }

  /** What the installer's page does when its form is sent. */
  async install(): Promise<void> {
    const form = new URLSearchParams({
      weblog_title: 'A site behind Fairlead',
      user_name: EDITOR.user,
      admin_password: EDITOR.password,
      admin_password2: EDITOR.password,
      pw_weak: 'on',
      admin_email: 'editor@example.com',
      blog_public: '0',
    });
    const response = await fetch(`${this.url}/wp-admin/install.php?step=2`, { method: 'POST', body: form });
    const page = await response.text();
    if (!page.includes('wp-login.php')) throw new SandboxError(`WordPress was not installed:\n${page}`);
  }

  phpLog(): Promise<string> {
    return readFile(join(this.directory, 'php.log'), 'utf8');
  }

  async stop(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    process.kill(-pid, 'SIGKILL');
    await exited;
  }
}

function settingsText(url: string, directory: string, { database, databaseHost }: SiteOptions): string {
  const constants = {
    DB_NAME: 'wordpress',
    DB_USER: database.user,
    DB_PASSWORD: database.password,
    DB_HOST: databaseHost,
    DB_CHARSET: 'utf8mb4',
    WP_SITEURL: url,
    WP_HOME: url,
    WP_CONTENT_DIR: join(directory, 'content'),
    // Nothing here may look for updates in the network, or do anything but what visitors ask for.
    WP_HTTP_BLOCK_EXTERNAL: true,
    // What goes wrong with the database is written to PHP's log.
    WP_DEBUG: true,
    WP_DEBUG_DISPLAY: false,
    AUTOMATIC_UPDATER_DISABLED: true,
    DISABLE_WP_CRON: true,
    ...Object.fromEntries(SALTS.map((name) => [name, `${name} of a site that is thrown away`])),
  };
  const lines = Object.entries(constants).map(
    ([name, value]) =>
      `define('${name}', ${typeof value === 'boolean' ? String(value) : `'${String(value).replace(/['\\]/g, '\\$&')}'`});`,
  );
  return `<?php\n${lines.join('\n')}\n`;
}

const SALTS = [
  ...['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY'],
  ...['AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'],
] as const;

/** What a web server's settings do: uploads lie apart from the code, and what is no file is a page. */
const FRONT = `<?php
$path = urldecode(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
if (preg_match('#^/wp-content/uploads/([^.][^?]*\\\\.(png|jpe?g|gif|webp))$#', $path, $found)) {
  $file = getenv('FAIRLEAD_WORDPRESS_UPLOADS') . '/' . $found[1];
  if (str_contains($found[1], '..') || !is_file($file)) { http_response_code(404); return true; }
  header('Content-Type: image/' . ($found[2] === 'jpg' ? 'jpeg' : $found[2]));
  readfile($file);
  return true;
}
$file = $_SERVER['DOCUMENT_ROOT'] . $path;
if (is_dir($file) && is_file(rtrim($file, '/') . '/index.php')) $path = rtrim($path, '/') . '/index.php';
if (is_file($_SERVER['DOCUMENT_ROOT'] . $path)) {
  if (!str_ends_with($path, '.php')) return false;
  $_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = $path;
  $_SERVER['SCRIPT_FILENAME'] = $_SERVER['DOCUMENT_ROOT'] . $path;
  chdir(dirname($_SERVER['SCRIPT_FILENAME']));
  require $_SERVER['SCRIPT_FILENAME'];
  return true;
}
$_SERVER['SCRIPT_NAME'] = $_SERVER['PHP_SELF'] = '/index.php';
require $_SERVER['DOCUMENT_ROOT'] . '/index.php';
`;

/** Compiled code is kept, as under any web server; what PHP has to complain of goes to its log, not to visitors. */
const PHP_FLAGS = [
  ...[
    '-d',
    'opcache.enable_cli=1',
    '-d',
    'log_errors=1',
    '-d',
    'display_errors=0',
    '-d',
    'max_execution_time=120',
  ],
  ...['-d', 'upload_max_filesize=8M', '-d', 'mysqli.default_socket='],
];
