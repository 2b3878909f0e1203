/** What a helper needs of the test it helps; a program that is no test can be one too. */
export type Scope = {
  /** Called at the end, the last first. */
  teardown(end: () => unknown): void;
  comment(message: string): void;
};
