/** The fields of a line of /proc/<pid>/stat behind the name, the first of them field 3. Source: proc_pid_stat(5). */
export function statFields(line: string): readonly string[] {
  // The name stands in parentheses and may hold anything, spaces and parentheses too.
  return line
    .slice(line.lastIndexOf(')') + 1)
    .trim()
    .split(/\s+/);
}
