/**
 * The YAML file as a plain tree, with the line and column of every key for messages.
 *
 * The parser's own messages may quote the text around a mistake, and that text may be a password; so the message is
 * chosen by the parser's error code, and only a key is ever quoted.
 */
import {
  type Document,
  type ErrorCode,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
} from 'yaml';
import type { Problem } from './problems.ts';
import { isTree, type Path } from './tree.ts';

export type YamlFile = {
  /** Empty for an empty file and for one that could not be understood. */
  readonly tree: Readonly<Record<string, unknown>>;
  readonly problems: readonly Problem[];
  /** False when the tree says nothing about what the operator meant. */
  readonly isUsable: boolean;
  /** "fairlead.yaml:4:12" of a value or of a key, or null when the file does not have it. */
  positionOf(path: Path, part: 'key' | 'value'): string | null;
};

/** Reads one document. `name` is the file's name for messages. */
export function readYaml(name: string, text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    stringKeys: true,
    uniqueKeys: true,
  });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const errors = [...document.errors, ...document.warnings];
  const problems = errors.map(
    (error): Problem => ({
      key: error.code === 'DUPLICATE_KEY' ? wordAt(text, error.pos[0]) : '',
      value: null,
      rule: YAML_RULES[error.code],
      origin: at(error.pos[0]),
    }),
  );
  const positionOf: YamlFile['positionOf'] = (path, part) => {
    const offset = offsetOf(document, path, part);
    return offset === null ? null : at(offset);
  };
  // With a key given twice the rest of the tree still says what was meant; after any other error it may not.
  if (errors.some((error) => error.code !== 'DUPLICATE_KEY')) {
    return { tree: {}, problems, isUsable: false, positionOf };
  }
  const content = treeOf(document, name);
  return { ...content, problems: [...problems, ...content.problems], positionOf };
}

function treeOf(document: Document, name: string): Pick<YamlFile, 'tree' | 'problems' | 'isUsable'> {
  const content = plainValue(document);
  if (content.kind === 'too-large') {
    return { tree: {}, problems: [{ ...WHOLE_FILE, rule: content.reason, origin: name }], isUsable: false };
  }
  const { value } = content;
  if (value === null || value === undefined) return { tree: {}, problems: [], isUsable: true };
  if (isTree(value)) return { tree: value, problems: [], isUsable: true };
  const rule = 'the file must be a map of keys, such as "cluster:" with what belongs to it beneath';
  return { tree: {}, problems: [{ ...WHOLE_FILE, rule, origin: name }], isUsable: false };
}

type PlainValue =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'too-large'; readonly reason: string };

/** Aliases that multiply beyond measure are refused by the library with an error. */
function plainValue(document: Document): PlainValue {
  try {
    return { kind: 'value', value: document.toJS() };
  } catch (error) {
    const isKnown = error instanceof ReferenceError;
    if (!isKnown) throw error;
    return {
      kind: 'too-large',
      reason: 'the file uses an alias that is unknown, or more aliases than allowed',
    };
  }
}

function offsetOf(document: Document, path: Path, part: 'key' | 'value'): number | null {
  let node: unknown = document.contents;
  let keyOffset: number | null = null;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
      if (pair === undefined) return null;
      keyOffset = isScalar(pair.key) ? (pair.key.range?.[0] ?? null) : null;
      node = pair.value;
    } else if (isSeq(node) && typeof step === 'number' && step < node.items.length) {
      node = node.items[step];
      keyOffset = null;
    } else {
      return null;
    }
  }
  const valueOffset = isScalar(node) || isMap(node) || isSeq(node) ? (node.range?.[0] ?? null) : null;
  return part === 'key' ? (keyOffset ?? valueOffset) : (valueOffset ?? keyOffset);
}

function wordAt(text: string, offset: number): string {
  return /^["']?([A-Za-z0-9_.-]{1,64})/.exec(text.slice(offset, offset + 66))?.[1] ?? '';
}

const WHOLE_FILE = { key: '', value: null } as const;

const YAML_RULES = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag of its own',
  BAD_ALIAS: 'this is read as an alias (*name): put text that begins with "*" in quotes',
  BAD_COLLECTION_TYPE: 'tags (!name) are not used here: put text that begins with "!" in quotes',
  BAD_DIRECTIVE: 'this is read as a directive: put text that begins with "%" in quotes',
  BAD_DQ_ESCAPE: 'unknown escape in double quotes: write \\\\ for a backslash, or use single quotes',
  BAD_INDENT:
    'wrong indentation, or a bracket that is not closed; put an IPv6 address such as "[::1]:3306" in quotes',
  BAD_PROP_ORDER: 'an anchor or a tag in a wrong place',
  BAD_SCALAR_START: 'text that begins with this character has to be in quotes',
  BLOCK_AS_IMPLICIT_KEY:
    'a key with its value cannot stand here: check the indentation, or put text with ": " in quotes',
  BLOCK_IN_FLOW: 'an indented list or map cannot stand inside brackets',
  DUPLICATE_KEY: 'is given twice in the same place',
  IMPOSSIBLE: 'this cannot be read as YAML',
  KEY_OVER_1024_CHARS: 'a key longer than 1024 characters',
  MISSING_CHAR: 'a quote, comma, colon or bracket is missing',
  MULTILINE_IMPLICIT_KEY: 'a key has to be on one line: is a colon missing?',
  MULTIPLE_ANCHORS: 'more than one anchor on one value',
  MULTIPLE_DOCS: 'a second document begins here: the configuration is one document',
  MULTIPLE_TAGS: 'more than one tag on one value',
  NON_STRING_KEY: 'a key has to be text',
  RESOURCE_EXHAUSTION: 'nested too deeply',
  TAB_AS_INDENT: 'a tab cannot indent: use spaces',
  TAG_RESOLVE_FAILED: 'tags (!name) are not used here: put text that begins with "!" in quotes',
  UNEXPECTED_TOKEN:
    'unexpected here: is a quote, comma or bracket missing, or text without quotes that needs them?',
} as const satisfies Record<ErrorCode, string>;
