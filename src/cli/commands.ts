/**
 * The command line: which commands there are, what they take, and what their help says. Each command lives in a module
 * of its own that is loaded only when it is called.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { defaultAdminUrl, parseAdminUrl } from './admin-url.ts';
import type * as ConfigFlags from './config-flags.ts';
import type { DemoOptions } from './demo.ts';
import type { DrainOptions } from './drain.ts';
import { EXIT } from './exit-codes.ts';
import type { Terminal } from './terminal.ts';
import { programVersion } from './version.ts';

/** Runs one command to its end and answers the exit code. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  let exitCode: number = EXIT.ok;
  // The schema that these flags are made of takes longer to load than all the rest.
  const isConfigured = argv.some((word) => CONFIGURED_COMMANDS.has(word));
  const flags = isConfigured ? await import('./config-flags.ts') : null;
  const program = createProgram(terminal, flags, (code) => {
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

/** What was said behind a flag that does not exist may be a password: a flag's name was only mistyped. */
function withoutValue(text: string): string {
  return text.replace(/(unknown option '--?[^'=]*=)[^']*/, '$1***');
}

function createProgram(
  terminal: Terminal,
  flags: typeof ConfigFlags | null,
  exit: (code: number) => void,
): Command {
  const program = new Command('fairlead')
    .description(
      'A MySQL router: one address in front of a cluster, writes to the primary, reads over the secondaries.',
    )
    .version(programVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [command]', 'show the help of a command')
    .exitOverride()
    .configureOutput({
      writeOut: terminal.writeOut,
      writeErr: terminal.writeError,
      outputError: (text, write) => write(withoutValue(text)),
    })
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', PROGRAM_HELP);

  const addConfigFlags = (command: Command) => flags?.addConfigFlags(command) ?? command;
  addConfigFlags(
    subcommand(program, 'run', 'Run the router until SIGTERM; SIGHUP reloads the configuration.').addOption(
      new Option(
        '--takeover [admin]',
        'take the place of the router that runs on these ports, found at admin.listen or at this address',
      ).argParser(adminUrl),
    ),
  )
    .addHelpText('after', RUN_HELP)
    .action(async (options: { readonly takeover?: URL | true }, command: Command) => {
      const [{ run }, { sourcesOf }] = await Promise.all([import('./run.ts'), import('./config-flags.ts')]);
      const takeover = options.takeover === true ? 'admin.listen' : (options.takeover ?? null);
      exit(await run({ sources: sourcesOf(command, terminal), takeover }));
    });

  addConfigFlags(
    subcommand(program, 'check', 'Check the configuration and print it as it would be in force.'),
  )
    .addHelpText('after', CHECK_HELP)
    .action(async (_options: unknown, command: Command) => {
      const [{ check }, { sourcesOf }] = await Promise.all([
        import('./check.ts'),
        import('./config-flags.ts'),
      ]);
      exit(await check(sourcesOf(command, terminal), terminal));
    });

  subcommand(program, 'convert', 'Print a configuration made from a mysqlrouter.conf.')
    .argument('<file>', 'configuration of MySQL Router')
    .addHelpText('after', CONVERT_HELP)
    .action(async (file: string) => {
      const { convert } = await import('./convert.ts');
      exit(await convert(file, terminal));
    });

  subcommand(program, 'status', 'Ask a running router for its members and routes.')
    .addOption(adminOption(terminal))
    .option('--json', 'print JSON')
    .addHelpText('after', STATUS_HELP)
    .action(async (options: { readonly admin: URL; readonly json?: true }) => {
      const { status } = await import('./status.ts');
      exit(await status({ admin: options.admin, asJson: options.json === true }, terminal));
    });

  subcommand(program, 'drain', 'Stop the router of this machine in order, and wait until it has.')
    .addOption(adminOption(terminal))
    .option('--no-wait', 'tell it and return at once')
    .addHelpText('after', DRAIN_HELP)
    .action(async (options: DrainOptions) => {
      const { drain } = await import('./drain.ts');
      exit(await drain(options, terminal));
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

function adminOption(terminal: Terminal): Option {
  return new Option('--admin <url>', 'address of its admin server')
    .argParser(adminUrl)
    .default(defaultAdminUrl(terminal.environment));
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

const CONFIGURED_COMMANDS: ReadonlySet<string> = new Set(['run', 'check']);

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
  fairlead drain                         stop it in order and wait

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 not ready (status), 4 cut short (drain).`;

const RUN_HELP = `
Every key can be given in the file, as an environment variable (FAIRLEAD_HOLD_TIMEOUT=5s) or as a flag
(--hold-timeout 5s). A flag counts before the environment, the environment before the file.

Examples:
  fairlead run --config fairlead.yaml
  fairlead run --cluster-seeds db-0.db,db-1.db,db-2.db --cluster-user router --cluster-password-file /run/secrets/router
  fairlead run --config fairlead.yaml --log-level debug --route name=rw,listen=127.0.0.1:3306,role=primary

With --takeover it starts beside a router that runs on the same ports, and that one then only ends its sessions: an upgrade
without a connect that fails. Where no router answers, it starts as usual.

Signals: SIGTERM and SIGINT stop it gracefully (drain.delay, drain.timeout), SIGHUP reads the configuration again,
SIGUSR2 is how a router that takes over asks for the ports.
Exit codes: 0 stopped as asked, 1 failed, 2 wrong command line or configuration.`;

const CHECK_HELP = `
Prints every value with the place it came from, secrets masked, or all problems at once. It connects to nothing.

Examples:
  fairlead check --config fairlead.yaml
  FAIRLEAD_HOLD_TIMEOUT=30s fairlead check --config fairlead.yaml

Exit codes: 0 the configuration is right, 2 it is not.`;

const CONVERT_HELP = `
What has no counterpart is told in comments at the top. Nothing is changed, and no server is asked.

Examples:
  fairlead convert /etc/mysqlrouter/mysqlrouter.conf > fairlead.yaml
  fairlead check --config fairlead.yaml

Exit codes: 0 printed, 2 it is no mysqlrouter.conf.`;

const STATUS_HELP = `
Without --admin it asks 127.0.0.1 at the port of FAIRLEAD_ADMIN_LISTEN, or at 8404.

Examples:
  fairlead status
  fairlead status --admin http://10.0.0.7:8404
  fairlead status --json | jq .topology.primary

Exit codes: 0 ready, 1 nothing answers, 3 it answers and is not ready.`;

const DRAIN_HELP = `
The router is found by its admin server and told by SIGTERM: run this on its machine or in its container, as its user or
root. Without --admin it asks 127.0.0.1 at the port of FAIRLEAD_ADMIN_LISTEN, or at 8404.

Examples:
  fairlead drain
  kubectl exec router-0 -- fairlead drain --no-wait

Exit codes: 0 it has stopped and all sessions had ended, 1 it cannot be reached or told, or does not end,
4 it has stopped, but sessions were still open at drain.timeout and were closed.`;

const DEMO_HELP = `
The members are real MySQL servers, fetched once from Debian's archive (about 100 MB) into the folder .cache; or, with
FAIRLEAD_MYSQLD=/path/to/mysqld, those of this machine. Everything listens on loopback, and nothing stays afterwards.

Examples:
  fairlead demo
  fairlead demo --size 5

Exit codes: 0 stopped as asked, 1 failed, 2 wrong command line.`;
