/**
 * The command line: which commands there are, what they take, and what their help says. Each command lives in a module
 * of its own that is loaded only when it is called.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { defaultAdminUrl, parseAdminUrl } from './admin-url.ts';
import { addConfigFlags, sourcesOf } from './config-flags.ts';
import type { DemoOptions } from './demo.ts';
import { EXIT } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';
import { programVersion } from './version.ts';

/** Runs one command to its end and answers the exit code. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = createProgram(terminal, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for and the version end here too, with 0; everything else is a wrong command line.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
  return exitCode;
}

function createProgram(terminal: Terminal, exit: (code: number) => void): Command {
  const program = new Command('fairlead')
    .description(
      'A MySQL router: one address in front of a cluster, writes to the primary, reads over the secondaries.',
    )
    .version(programVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .configureOutput({ writeOut: terminal.writeOut, writeErr: terminal.writeError })
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', PROGRAM_HELP);

  addConfigFlags(
    subcommand(program, 'run', 'Run the router until SIGTERM; SIGHUP reloads the configuration.'),
  )
    .addHelpText('after', RUN_HELP)
    .action(async (_options: unknown, command: Command) => {
      const { run } = await import('./run.ts');
      exit(await run({ sources: sourcesOf(command, terminal) }));
    });

  addConfigFlags(
    subcommand(program, 'check', 'Check the configuration and print it as it would be in force.'),
  )
    .addHelpText('after', CHECK_HELP)
    .action(async (_options: unknown, command: Command) => {
      const { check } = await import('./check.ts');
      exit(await check(sourcesOf(command, terminal), terminal));
    });

  subcommand(program, 'status', 'Ask a running router for its members and routes.')
    .addOption(
      new Option('--admin <url>', 'address of its admin server')
        .argParser(adminUrl)
        .default(defaultAdminUrl(terminal.environment)),
    )
    .option('--json', 'print JSON')
    .addHelpText('after', STATUS_HELP)
    .action(async (options: { readonly admin: URL; readonly json?: true }) => {
      const { status } = await import('./status.ts');
      exit(await status({ admin: options.admin, asJson: options.json === true }, terminal));
    });

  subcommand(
    program,
    'demo',
    'Start a real cluster on this machine with a router in front of it, to try things out.',
  )
    .addOption(new Option('--size <members>', 'members of the cluster').argParser(clusterSize).default(3))
    .option('--any-ports', 'take any free ports instead of 6446, 6447 and 8404', false)
    .addOption(
      new Option('--seconds <number>', 'end so long after it was ready')
        .argParser(seconds)
        .default(null, 'at Ctrl-C'),
    )
    .addHelpText('after', DEMO_HELP)
    .action(async (options: DemoOptions) => {
      const { demo } = await import('./demo.ts');
      exit(await demo(options, terminal));
    });

  return program;
}

/** Subcommands take over how the program ends and writes. */
function subcommand(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).allowExcessArguments(false);
}

function adminUrl(text: string): URL {
  const url = parseAdminUrl(text);
  if (url !== null) return url;
  throw new InvalidArgumentError('It has to be a URL such as http://127.0.0.1:8404, or host:port.');
}

function clusterSize(text: string): number {
  const size = Number(text);
  if (Number.isInteger(size) && size >= 1 && size <= MAX_GROUP_SIZE) return size;
  throw new InvalidArgumentError(`It has to be a whole number from 1 to ${MAX_GROUP_SIZE}.`);
}

function seconds(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= MAX_DEMO_SECONDS) return value;
  throw new InvalidArgumentError(`It has to be a whole number from 1 to ${MAX_DEMO_SECONDS}.`);
}

/** A week. */
const MAX_DEMO_SECONDS = 604_800;
/** Group Replication has at most nine members. */
const MAX_GROUP_SIZE = 9;

const PROGRAM_HELP = `
Examples:
  fairlead demo                          a cluster and a router on this machine, to try
  fairlead check --config fairlead.yaml  is this configuration right, and what is in force?
  fairlead run --config fairlead.yaml    run the router
  fairlead status                        who is primary, which routes can route?

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 not ready (status).`;

const RUN_HELP = `
Every key can be given in the file, as an environment variable (FAIRLEAD_HOLD_TIMEOUT=5s) or as a flag
(--hold-timeout 5s). A flag counts before the environment, the environment before the file.

Examples:
  fairlead run --config fairlead.yaml
  fairlead run --cluster-seeds db-0.db,db-1.db,db-2.db --cluster-user router --cluster-password-file /run/secrets/router
  fairlead run --config fairlead.yaml --log-level debug --route name=rw,listen=127.0.0.1:3306,role=primary

Signals: SIGTERM and SIGINT stop it gracefully (drain.delay, drain.timeout), SIGHUP reads the configuration again.
Exit codes: 0 stopped as asked, 1 failed, 2 wrong command line or configuration.`;

const CHECK_HELP = `
Prints every value with the place it came from, secrets masked, or all problems at once. It connects to nothing.

Examples:
  fairlead check --config fairlead.yaml
  FAIRLEAD_HOLD_TIMEOUT=30s fairlead check --config fairlead.yaml

Exit codes: 0 the configuration is right, 2 it is not.`;

const STATUS_HELP = `
Without --admin it asks 127.0.0.1 at the port of FAIRLEAD_ADMIN_LISTEN, or at 8404.

Examples:
  fairlead status
  fairlead status --admin http://10.0.0.7:8404
  fairlead status --json | jq .topology.primary

Exit codes: 0 ready, 1 nothing answers, 3 it answers and is not ready.`;

const DEMO_HELP = `
The members are real MySQL servers, fetched once from Debian's archive (about 100 MB) into the folder .cache; or, with
FAIRLEAD_MYSQLD=/path/to/mysqld, those of this machine. Everything listens on loopback, and nothing stays afterwards.

Examples:
  fairlead demo
  fairlead demo --size 5

Exit codes: 0 stopped as asked, 1 failed, 2 wrong command line.`;
