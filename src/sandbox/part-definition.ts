/** What a part is made of. The definitions themselves are in parts.ts. */
import { join } from 'node:path';

export type PartDefinition = {
  /** Default "programs". */
  readonly kind?: 'programs' | 'sources';
  readonly packages: readonly string[];
  readonly release: string;
  /** Folders with programs beside usr/bin and usr/sbin, relative to the part's folder. */
  readonly programDirectories?: readonly string[];
  /** Folders with libraries beside the multi-architecture one, relative to the part's folder. */
  readonly libraryDirectories?: readonly string[];
  /** For a whole root file system, whose programs run in a chroot: they keep the loader they were built for. */
  readonly isRoot?: boolean;
  /**
   * Lets the part's scripts be run by the part's own shell. The machine's shell would be started with this part's
   * libraries, and most likely crash.
   */
  readonly runsOwnScripts?: boolean;
  /**
   * Does what is left of the packages' installation: links and generated files. `staging` is where they lie now,
   * `root` is where they will be.
   */
  readonly finish?: (staging: string, root: string) => Promise<void>;
  /** Changes whenever `finish` makes something else, so that a cache from before is unpacked anew. */
  readonly revision?: number;
  /** Extra environment, made from the part's folder. */
  readonly environment?: (root: string) => Readonly<Record<string, string>>;
};

/** The multi-architecture folder, e.g. usr/lib/x86_64-linux-gnu. */
export function libraryDirectory(root: string): string {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  return join(root, 'usr', 'lib', `${machine}-linux-gnu`);
}
