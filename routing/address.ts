/** "host:port", an IPv6 address in brackets: the name of a member everywhere. */
export function addressOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
