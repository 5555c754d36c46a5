import { createRequire } from 'node:module';

/** The parts of an ESTree that our checks look at. */
export interface ExpressionNode {
  type: string;
  value?: unknown;
  name?: string;
  callee?: { name?: string; property?: { name?: string } };
  arguments?: ExpressionNode[];
  params?: unknown[];
}

export interface ObjectNode extends ExpressionNode {
  properties: { key: { name?: string; value?: unknown }; value: ExpressionNode }[];
}

interface Acorn {
  parse(code: string, options: { ecmaVersion: number; sourceType: 'script' }): ExpressionNode;
}

/** acorn comes with Node-RED itself, which refuses a script that acorn cannot read. */
const require = createRequire(import.meta.url);
const acorn: Acorn = require('acorn');

/** Of the year that all supported browsers speak. */
export function parseScript(code: string): ExpressionNode {
  return acorn.parse(code, { ecmaVersion: 2020, sourceType: 'script' });
}

export function walk(node: unknown, visit: (node: ExpressionNode) => void): void {
  if (Array.isArray(node)) {
    for (const entry of node) walk(entry, visit);
    return;
  }
  if (typeof node !== 'object' || node === null) return;
  if (typeof (node as ExpressionNode).type === 'string') visit(node as ExpressionNode);
  for (const inner of Object.values(node)) walk(inner, visit);
}

/** All text literals of a script, template texts included. */
export function stringsOf(code: string): Set<string> {
  const strings = new Set<string>();
  walk(parseScript(code), (node) => {
    if (node.type === 'Literal' && typeof node.value === 'string') strings.add(node.value);
  });
  return strings;
}
