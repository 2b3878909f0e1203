/** The building block of keys that hold networks; see keys.ts. */
import { z } from 'zod';
import { keyFacts } from './keys.ts';
import { parseNetwork } from './values.ts';

/** Networks, as a list or with blanks between. */
export function networks(facts: { readonly doc: string; readonly why: string }) {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((written, context) => {
      const texts =
        typeof written === 'string' ? written.split(/[\s,]+/).filter((text) => text !== '') : written;
      const parsed = texts.map(parseNetwork).filter((network) => network !== null);
      if (parsed.length === texts.length) return parsed;
      context.issues.push({ code: 'custom', input: written });
      return z.NEVER;
    })
    .prefault([])
    .register(keyFacts, {
      kind: 'networks',
      doc: facts.doc,
      why: facts.why,
      rule: 'a list of networks or addresses, such as ["10.0.0.0/8", "fd00::/8"]',
      defaultText: null,
    });
}
