import { type ExpressionNode, type ObjectNode, parseScript, walk } from './javascript.ts';

/** What `RED.nodes.registerType('type', {…})` says by literals, which is all that the public scorecard can read. */
export interface EditorDefinition {
  type: string;
  category: unknown;
  color: unknown;
  icon: unknown;
  inputs: unknown;
  outputs: unknown;
  defaults: Record<string, ObjectNode>;
  credentials: Record<string, ObjectNode>;
  properties: string[];
}

export function editorDefinition(script: string): EditorDefinition {
  const found: EditorDefinition[] = [];
  walk(parseScript(script), (node) => {
    if (node.type !== 'CallExpression' || node.callee?.property?.name !== 'registerType') return;
    const [type, definition] = node.arguments ?? [];
    if (type?.type !== 'Literal' || definition?.type !== 'ObjectExpression') {
      throw new Error('registerType needs a literal type and an object literal.');
    }
    found.push(read(String(type.value), definition as ObjectNode));
  });
  const [only] = found;
  if (only === undefined || found.length !== 1)
    throw new Error(`${found.length} types registered in one file.`);
  return only;
}

function read(type: string, definition: ObjectNode): EditorDefinition {
  const members = membersOf(definition);
  const literal = (name: string) => members[name]?.value;
  return {
    type,
    category: literal('category'),
    color: literal('color'),
    icon: literal('icon'),
    inputs: literal('inputs'),
    outputs: literal('outputs'),
    defaults: objects(members.defaults),
    credentials: objects(members.credentials),
    properties: Object.keys(members),
  };
}

export function membersOf(object: ObjectNode): Record<string, ExpressionNode> {
  const members: Record<string, ExpressionNode> = {};
  for (const property of object.properties)
    members[property.key.name ?? String(property.key.value)] = property.value;
  return members;
}

function objects(node: ExpressionNode | undefined): Record<string, ObjectNode> {
  if (node === undefined) return {};
  if (node.type !== 'ObjectExpression')
    throw new Error('defaults and credentials must stand in the definition.');
  return membersOf(node as ObjectNode) as Record<string, ObjectNode>;
}
