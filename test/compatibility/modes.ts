/** TLS modes of routes that clients are tried in; each is one route of one router. See docs/tls.md. */
export type Mode = {
  /** The route's name. */
  readonly name: string;
  /** `clientSslMode` and `serverSslMode`. */
  readonly client: string;
  readonly server: string;
};

export const PASSTHROUGH: Mode = { name: 'passthrough', client: 'passthrough', server: 'as-client' };

/** Every pair that there is. */
export const MODES: readonly Mode[] = [
  PASSTHROUGH,
  ...['disabled', 'preferred', 'required'].flatMap((client) =>
    ['disabled', 'preferred', 'required', 'as-client'].map((server) => ({
      name: `${client}-${server}`,
      client,
      server,
    })),
  ),
];

export function modeNamed(name: string): Mode {
  const mode = MODES.find((candidate) => candidate.name === name);
  if (mode === undefined) throw new TypeError(`no mode ${name}`);
  return mode;
}
