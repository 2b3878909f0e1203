/** What an image must keep to, judged by its Dockerfile alone; hadolint is in no registry this project uses. */
import { type Dockerfile, environmentOf, type Step } from './dockerfile.ts';

/** @returns what is wrong, a sentence each */
export function lint({ stages }: Dockerfile, ignoreFile: string): readonly string[] {
  const problems: string[] = [];
  const refuse = ({ line }: Step, why: string) => problems.push(`line ${line}: ${why}`);
  const included = includedBy(ignoreFile);
  const final = stages.at(-1);
  for (const [index, stage] of stages.entries()) {
    const isStage = stages.slice(0, index).some(({ name }) => name === stage.image);
    if (!isStage && (!/:[\w.-]+$/.test(stage.image) || stage.image.endsWith(':latest')))
      problems.push(`${stage.image} has no tag that says which`);
    if (stage !== final && stage.name === '') problems.push(`stage ${index} has no name`);
    for (const step of stage.steps) {
      if (!KNOWN.has(step.instruction)) refuse(step, `${step.instruction} is not expected here`);
      if (step.instruction === 'WORKDIR' && !step.text.startsWith('/'))
        refuse(step, 'WORKDIR is not absolute');
      if (EXEC_FORM.has(step.instruction) && !step.isJson)
        refuse(step, `${step.instruction} would run in a shell`);
      if (step.instruction === 'RUN') lintRun(step, refuse);
      if (step.instruction === 'COPY') {
        const from = step.flags.get('from');
        if (from !== undefined && !stages.slice(0, index).some(({ name }) => name === from))
          refuse(step, `there is no stage ${from} before this one`);
        if (from === undefined)
          for (const source of step.words.slice(0, -1))
            if (!included.has(source)) refuse(step, `.dockerignore leaves out ${source}`);
      }
      if (step.instruction === 'ENV')
        for (const name of environmentOf(step).keys())
          if (/password|secret|token|key/i.test(name))
            refuse(step, `${name} would be in every copy of the image`);
    }
  }
  const user = final?.steps.findLast(({ instruction }) => instruction === 'USER');
  if (user === undefined || !/^[1-9]\d*:[1-9]\d*$/.test(user.text))
    problems.push('the last stage does not end as a user and a group given by number that are not root');
  const afterUser = final?.steps.slice(final.steps.indexOf(user ?? final.steps[0] ?? NOTHING) + 1) ?? [];
  for (const step of afterUser)
    if (['RUN', 'COPY', 'USER'].includes(step.instruction)) refuse(step, 'comes after the last USER');
  for (const wanted of ['ENTRYPOINT', 'CMD', 'STOPSIGNAL', 'HEALTHCHECK', 'EXPOSE'])
    if (!final?.steps.some(({ instruction }) => instruction === wanted))
      problems.push(`the last stage has no ${wanted}`);
  return problems;
}

function lintRun(step: Step, refuse: (step: Step, why: string) => void): void {
  if (/\bsudo\b|\|\s*(?:ba)?sh\b/.test(step.text))
    refuse(step, 'runs what nobody has read, or as somebody else');
  if (/\bnpm (?:i|install)\b/.test(step.text)) refuse(step, 'does not keep to the lock file: npm ci does');
  if (/\bnpm ci\b/.test(step.text) && !step.text.includes('--ignore-scripts'))
    refuse(step, 'lets packages run scripts of their own');
  if (/\bapt(?:-get)? install\b/.test(step.text) && !step.text.includes('--no-install-recommends'))
    refuse(step, 'installs more than it names');
}

/** Ours leaves out everything and names what is wanted. */
function includedBy(ignoreFile: string): ReadonlySet<string> {
  const lines = ignoreFile.split('\n').map((line) => line.trim());
  return new Set(lines.flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : [])));
}

const KNOWN: ReadonlySet<string> = new Set([
  ...['WORKDIR', 'COPY', 'RUN', 'ENV', 'USER', 'EXPOSE', 'STOPSIGNAL', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD'],
  ...['ARG', 'LABEL'],
]);
const EXEC_FORM: ReadonlySet<string> = new Set(['ENTRYPOINT', 'CMD', 'HEALTHCHECK']);
const NOTHING: Step = { line: 0, instruction: '', text: '', flags: new Map(), words: [], isJson: false };
