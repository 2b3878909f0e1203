/** Looks for secrets in what a router has written, answered or shown. Every router of the suite is looked at, at its end. */
import { ACCOUNTS } from '../../src/sandbox/index.ts';

/** Passwords in a form that gives them away: as they are, in hexadecimal, in base64, as numbers. */
export class Passwords {
  /** By where they were given. */
  readonly #known: ReadonlyMap<string, string>;

  constructor(known: ReadonlyMap<string, string>) {
    this.#known = known;
  }

  /** The places whose password is in `text`. */
  in(text: string): readonly string[] {
    const lower = text.toLowerCase();
    return [...this.#known].flatMap(([place, password]) => {
      const bytes = Buffer.from(password);
      const forms = [
        password,
        bytes.toString('hex'),
        encodeURIComponent(password),
        JSON.stringify([...bytes]),
        [...bytes].join(','),
      ];
      // Of base64 only what does not depend on what stands before and behind it.
      const base64 = [0, 1, 2].map((shift) =>
        Buffer.concat([Buffer.alloc(shift), bytes])
          .toString('base64')
          .slice(4, -4),
      );
      const found = forms.some((form) => lower.includes(form.toLowerCase()));
      return found || base64.some((form) => form !== '' && text.includes(form)) ? [place] : [];
    });
  }
}

/**
 * What of the suite's secrets is in `text`: passwords of the sandbox's accounts, anything named as tests name theirs
 * (`…-secret`), and private keys.
 */
export function secretsIn(text: string): readonly string[] {
  const named = [...text.matchAll(/(?<![\w-])[a-z]+-secret(?![\w-])/g)].map(([password]) => password);
  const keys = [...text.matchAll(/BEGIN [A-Z ]*PRIVATE KEY/g)].map(([mark]) => mark);
  return [...SUITE.in(text), ...new Set([...named, ...keys])];
}

/** @throws where a secret is in `text` */
export function expectNoSecrets(text: string, where: string): void {
  const found = secretsIn(text);
  if (found.length === 0) return;
  const lines = text.split('\n').filter((line) => secretsIn(line).length > 0);
  throw new Error(`${where} tells secrets: ${found.join(', ')}\n${lines.slice(0, 3).join('\n')}`);
}

const SUITE = new Passwords(
  new Map(Object.values(ACCOUNTS).map(({ user, password }) => [`the password of ${user}`, password])),
);
