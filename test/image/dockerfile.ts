/** Reads a Dockerfile into its stages and steps: as much of the format as ours uses, and no more. */

export type Step = {
  readonly line: number;
  readonly instruction: string;
  readonly text: string;
  /** Of `--name=value` in front of the rest. */
  readonly flags: ReadonlyMap<string, string>;
  /** The rest as words, or as the JSON list it is. */
  readonly words: readonly string[];
  readonly isJson: boolean;
};

export type Stage = { readonly name: string; readonly image: string; readonly steps: readonly Step[] };

export type Dockerfile = { readonly args: ReadonlyMap<string, string>; readonly stages: readonly Stage[] };

/** @throws Error for what it does not know */
export function parseDockerfile(text: string): Dockerfile {
  const args = new Map<string, string>();
  const stages: { name: string; image: string; steps: Step[] }[] = [];
  for (const step of stepsIn(text)) {
    const stage = stages.at(-1);
    if (step.instruction === 'FROM') {
      const [image = '', , name = ''] = step.words;
      stages.push({ name, image: expand(image, args), steps: [] });
    } else if (stage !== undefined) {
      stage.steps.push(step);
    } else if (step.instruction === 'ARG') {
      const [name = '', value = ''] = step.text.split(/=(.*)/s);
      args.set(name, value);
    } else {
      throw new Error(`line ${step.line}: ${step.instruction} before the first FROM`);
    }
  }
  return { args, stages };
}

/** `NAME=value` pairs of an ENV. */
export function environmentOf(step: Step): ReadonlyMap<string, string> {
  return new Map(
    step.words.map((word) => {
      const [name = '', value = ''] = word.split(/=(.*)/s);
      return [name, value];
    }),
  );
}

function stepsIn(text: string): readonly Step[] {
  const steps: Step[] = [];
  const lines = text.split('\n');
  for (let index = 0; index < lines.length; index++) {
    const line = index + 1;
    let whole = lines[index] ?? '';
    if (whole.trim() === '' || whole.trimStart().startsWith('#')) continue;
    while (whole.endsWith('\\')) whole = `${whole.slice(0, -1)}${lines[++index] ?? ''}`;
    const [, instruction = '', rest = ''] = /^\s*(\w+)\s+(.*)$/s.exec(whole) ?? [];
    steps.push(createStep(line, instruction.toUpperCase(), rest.trim()));
  }
  return steps;
}

function createStep(line: number, instruction: string, text: string): Step {
  const flags = new Map<string, string>();
  let rest = text;
  for (let flag = FLAG.exec(rest); flag !== null; flag = FLAG.exec(rest)) {
    flags.set(flag[1] ?? '', flag[2] ?? '');
    rest = rest.slice(flag[0].length);
  }
  const list = /(?:^|CMD\s+)(\[.*\])$/s.exec(rest)?.[1];
  const parsed: unknown = list === undefined ? null : JSON.parse(list);
  const words = Array.isArray(parsed) ? parsed.map(String) : rest.split(/\s+/);
  return { line, instruction, text: rest, flags, words, isJson: parsed !== null };
}

function expand(text: string, args: ReadonlyMap<string, string>): string {
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => args.get(name) ?? '');
}

const FLAG = /^--([\w-]+)=(\S+)\s+/;
