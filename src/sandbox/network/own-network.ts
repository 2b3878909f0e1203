/**
 * A program that wants a test network starts itself a second time in a network namespace of its own, where it may do
 * as it likes: nothing it makes there exists outside, and the kernel takes all of it away when its processes end.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readlinkSync } from 'node:fs';
import { messageOf } from '../outcome.ts';
import { findPart } from '../parts.ts';
import { type Command, inheritedEnvironment, runCommand } from '../run-command.ts';

/** Whether this process was started with {@link inOwnNetwork}. */
export function isInOwnNetwork(): boolean {
  const { [OUTSIDE_NAME]: outside } = process.env;
  return outside !== undefined && outside !== readlinkSync('/proc/self/ns/net');
}

/** The same program in a new network namespace, in which not even loopback is up. It ends with who started it. */
export function inOwnNetwork(file: string, args: readonly string[]): Command {
  // Without root a user namespace gives the rights, where the system lets users have one.
  const rights = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  return {
    file: 'setpriv',
    args: ['--pdeathsig', 'KILL', 'unshare', ...rights, '--net', '--', file, ...args],
    env: inheritedEnvironment({ [OUTSIDE_NAME]: readlinkSync('/proc/self/ns/net') }),
  };
}

/** Runs this very program, with its arguments and `more`, in its own network. @returns its exit code */
export async function startAgainInOwnNetwork(more: readonly string[] = []): Promise<number> {
  const command = inOwnNetwork(process.execPath, [...process.execArgv, ...process.argv.slice(1), ...more]);
  const inside = spawn(command.file, command.args, { env: command.env, stdio: 'inherit' });
  const [code] = await once(inside, 'exit');
  return typeof code === 'number' ? code : 1;
}

/** `false` when a test network can be made here, else the reason: made for tap's `skip`, as `missingParts` is. */
export async function missingNetwork(): Promise<string | false> {
  if (process.platform !== 'linux') return `no network namespaces on ${process.platform}`;
  const part = await findPart('network', () => {});
  if (part.kind === 'unavailable') return part.reason;
  const ip = part.value.command('ip', []);
  const nft = part.value.command('nft', []);
  // All that a network is made of: a bridge, a cable into another namespace, a rule between two of its ports.
  const trial = `
    library=$1 ip=$2 nft=$3
    ip() { LD_LIBRARY_PATH=$library "$ip" "$@"; }
    ip link add trial type bridge
    unshare --net sleep 5 & keeper=$!
    trap 'kill $keeper' EXIT
    ip link add cable type veth peer name eth0 netns $keeper
    LD_LIBRARY_PATH=$library "$nft" 'table bridge trial { chain forward {
      type filter hook forward priority 0; ip saddr 10.0.0.1 ip daddr 10.0.0.2 drop; }; }'`;
  const { LD_LIBRARY_PATH: library = '' } = ip.env;
  try {
    await runCommand(inOwnNetwork('sh', ['-ec', trial, 'sh', library, ip.file, nft.file]), {
      timeoutMs: 10_000,
    });
    return false;
  } catch (error) {
    return `no network of namespaces: ${messageOf(error)}`;
  }
}

/** Without the program's prefix: the router refuses variables of that name it does not know. */
const OUTSIDE_NAME = 'SANDBOX_OUTER_NETWORK';
