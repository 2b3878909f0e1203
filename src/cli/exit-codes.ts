/** What the program's exit tells a shell or a supervisor; docs/command-line.md explains them. */
export const EXIT = {
  ok: 0,
  /** Something failed while the program ran: a port in use, no answer from the admin server. */
  failure: 1,
  /** The command line or the configuration is wrong: starting again changes nothing. */
  usage: 2,
  /** `fairlead status`: the router answers and is not ready. */
  notReady: 3,
  /** `fairlead drain`: it has stopped, but sessions were open at `drain.timeout` and were closed. */
  cutShort: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
