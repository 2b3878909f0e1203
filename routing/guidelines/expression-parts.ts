/** What an expression is made of. */
import { type Expression, LOGIN_VARIABLES } from './expression.ts';

/** The expression and all within it. */
export function* visit(expression: Expression): Generator<Expression> {
  yield expression;
  for (const part of partsOf(expression)) yield* visit(part);
}

/** Whether it asks for what a client says of itself only when it logs in. */
export function usesLogin(expression: Expression): boolean {
  for (const part of visit(expression)) {
    if (part.kind === 'entry' && part.scope === 'session.connectAttrs') return true;
    if (part.kind === 'variable' && LOGIN_VARIABLES.has(part.name)) return true;
  }
  return false;
}

function partsOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'not':
    case 'negative':
      return [expression.operand];
    case 'binary':
      return [expression.left, expression.right];
    case 'in':
      return [expression.needle, ...expression.list];
    case 'like':
    case 'regexp':
      return [expression.text];
    case 'call':
      return expression.parameters;
    default:
      return [];
  }
}
