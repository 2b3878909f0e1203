/**
 * Applications people put in front of a database, and the browser they look at them with.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PHP } from './languages.ts';
import type { PartDefinition } from './part-definition.ts';

/**
 * WordPress with the PHP it runs on. Its package wants some web server and some client of MySQL: small ones are named here,
 * so that none is chosen. What serves pages is PHP's own server.
 */
export const WORDPRESS = {
  ...PHP,
  packages: [
    ...PHP.packages,
    ...['wordpress', 'wordpress-theme-twentytwentyfive', 'php', 'mini-httpd', 'mysql-client-core'],
  ],
  finish: finishWordpress,
} as const satisfies PartDefinition;

/** A browser without a window, and letters to draw. */
export const CHROMIUM = {
  packages: ['chromium-headless-shell', 'fonts-dejavu-core'],
  release: 'sid',
  programDirectories: [join('usr', 'lib', 'chromium')],
  libraryDirectories: [join('usr', 'lib', 'x86_64-linux-gnu', 'pulseaudio')],
  finish: finishChromium,
  environment: (root) => ({ FONTCONFIG_FILE: join(root, FONTS_FILE) }),
} as const satisfies PartDefinition;

/** Debian's own wp-config.php looks for a site's settings in /etc: here the site names its file itself. */
async function finishWordpress(staging: string, root: string): Promise<void> {
  await PHP.finish(staging, root);
  const code =
    "<?php\n$table_prefix = 'wp_';\nrequire getenv('FAIRLEAD_WORDPRESS_SETTINGS');\nrequire_once ABSPATH . 'wp-settings.php';\n";
  await writeFile(join(staging, 'usr', 'share', 'wordpress', 'wp-config.php'), code);
}

/** What stands for the image of Node: a Debian that has hardly more than a shell. */
export const IMAGE_BASE = {
  packages: ['base-files', 'dash', 'coreutils', 'util-linux', 'libstdc++6', 'libatomic1'],
  release: 'sid',
  isRoot: true,
} as const satisfies PartDefinition;

async function finishChromium(staging: string, root: string): Promise<void> {
  // A script of the same name that looks for the program in /usr/lib.
  await rm(join(staging, 'usr', 'bin', 'chromium-headless-shell'));
  await mkdir(join(staging, 'etc', 'fairlead'), { recursive: true });
  const fonts = `<fontconfig><dir>${join(root, 'usr', 'share', 'fonts')}</dir></fontconfig>\n`;
  await writeFile(join(staging, FONTS_FILE), `<?xml version="1.0"?>\n${fonts}`);
}

const FONTS_FILE = join('etc', 'fairlead', 'fonts.conf');
