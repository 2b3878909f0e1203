/** Ends a `switch` over a union: a new member that no case covers fails the type check here. */
export function unreachable(value: never): never {
  throw new TypeError(`a value outside its type: ${String(value)}`);
}
