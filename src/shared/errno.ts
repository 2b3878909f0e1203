/** Whether the system has said no, with a code such as ENOENT, and not a defect of ours. */
export function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error;
}
