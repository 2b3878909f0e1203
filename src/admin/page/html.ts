/**
 * HTML as a value: text becomes HTML only by being escaped.
 */
export type Html = { readonly kind: 'html'; readonly markup: string };

type Piece = Html | string | number | readonly Html[];

/** Joins fixed markup with values; values that are not Html themselves are escaped. */
export function html(markup: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return { kind: 'html', markup: String.raw({ raw: markup }, ...pieces.map(markupOf)) };
}

/** For text and for attribute values in double quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES.get(character) ?? '');
}

function markupOf(piece: Piece): string {
  if (typeof piece === 'string') return escapeHtml(piece);
  if (typeof piece === 'number') return String(piece);
  return 'kind' in piece ? piece.markup : piece.map((part) => part.markup).join('');
}

const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);
