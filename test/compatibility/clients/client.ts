/** What every client is asked to do: log in, say what it sees, leave. */
import { z } from 'zod';

export const COMPRESSIONS = ['none', 'zlib', 'zstd'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

export type Attempt = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly tls: boolean;
  readonly compression: Compression;
};

export const outcomeSchema = z.discriminatedUnion('kind', [
  /** It got in; `facts` are what the statements said. */
  z.object({ kind: z.literal('in'), facts: z.record(z.string(), z.string()) }),
  /** The client's own words, beginning with its number for it. */
  z.object({ kind: z.literal('refused'), error: z.string() }),
]);
export type Outcome = z.output<typeof outcomeSchema>;

export type Client = {
  readonly name: string;
  readonly compressions: readonly Compression[];
  logIn(attempt: Attempt): Promise<Outcome>;
  close(): void;
};

/** Two columns each: a name and a value. */
export const STATEMENTS = [
  "SELECT 'current_user', CURRENT_USER()",
  "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher', 'Compression')",
  // Larger than what is sent uncompressed even so.
  "SELECT 'large', LENGTH(REPEAT('compress me ', 20000))",
] as const;
