import { type LoadError, reasonOf } from '../../src/errors.ts';
import type { Node, NodeConfig, Red } from './red.ts';
import { loadError, text } from './texts.ts';
import { TypedInput, type TypedInputType } from './typed-input.ts';

/** The settings of a node, or the one error that names every property that is wrong. */
export type Validated<S> =
  | { readonly ok: true; readonly value: S }
  | { readonly ok: false; readonly error: LoadError };

/** The path of a property to what is wrong with it; the first thing found is the one that counts. */
type Problems = Map<string, string>;

interface Bounds {
  min?: number;
  max?: number;
}

/**
 * Reads a node's properties, once, when it is made. The editor's own checks are not enough: it lets every `${NAME}` pass,
 * and flows come from files as well. A throw of `read` counts where nothing is known to be wrong yet: after that it may be
 * about a stand-in.
 */
export function readConfig<S>(
  RED: Red,
  node: Node,
  config: NodeConfig,
  read: (properties: ConfigReader) => S,
): Validated<S> {
  const problems: Problems = new Map();
  const reader = new ConfigReader(RED, node, config, problems);
  const value = attempt(() => read(reader), problems);
  if (value !== undefined && problems.size === 0) return { ok: true, value: value.result };
  const which = node.name === undefined ? node.type : `${node.type} "${node.name}"`;
  return {
    ok: false,
    error: loadError('CONFIG_INVALID', 'settings', { node: which, problems: sentence(problems) }),
  };
}

function sentence(problems: Problems): string {
  return [...problems].map(([path, what]) => `${path} ${what}`.trim()).join('; ');
}

function attempt<S>(read: () => S, problems: Problems): { result: S } | undefined {
  try {
    return { result: read() };
  } catch (error) {
    if (problems.size === 0) problems.set('', reasonOf(error).replace(/\.$/, ''));
    return undefined;
  }
}

/**
 * Typed readers of one object's properties. What is wrong is noted, not thrown, so that one error names all of it; the
 * value returned then is a stand-in that nobody gets to see.
 */
export class ConfigReader {
  readonly #RED: Red;
  readonly #node: Node;
  readonly #values: Record<string, unknown>;
  readonly #problems: Problems;
  readonly #prefix: string;

  constructor(RED: Red, node: Node, values: Record<string, unknown>, problems: Problems, prefix = '') {
    this.#RED = RED;
    this.#node = node;
    this.#values = values;
    this.#problems = problems;
    this.#prefix = prefix;
  }

  /** A text that is not empty. */
  text(property: string): string {
    const value = this.optionalText(property);
    if (value === '') this.problem(property, text('problem.missing'));
    return value;
  }

  /** A text, trimmed; the given one, or '', when there is none. */
  optionalText(property: string, otherwise = ''): string {
    const value = this.#given(property);
    if (value === undefined) return otherwise;
    if (typeof value === 'string' || typeof value === 'number') return String(value).trim();
    this.problem(property, text('problem.text'));
    return otherwise;
  }

  /** A password or key out of the credentials: any text that is not empty. Its value is never part of a message. */
  secret(name: string): string {
    const value = this.optionalSecret(name);
    if (value === undefined) this.problem(name, text('problem.missing'));
    return value ?? '';
  }

  optionalSecret(name: string): string | undefined {
    const value = this.#node.credentials?.[name];
    if (value === undefined || value === null || value === '') return undefined;
    const variable = unsetVariable(value);
    if (variable !== undefined) this.problem(name, text('problem.variable', { variable }));
    return value;
  }

  integer(property: string, bounds: Bounds & { default?: number }): number {
    return this.#numberOf(property, bounds, 'wholeNumber', Number.isSafeInteger);
  }

  number(property: string, bounds: Bounds & { default?: number }): number {
    return this.#numberOf(property, bounds, 'number', Number.isFinite);
  }

  #numberOf(
    property: string,
    bounds: Bounds & { default?: number },
    kind: 'wholeNumber' | 'number',
    fits: (value: number) => boolean,
  ): number {
    const value = this.#given(property);
    if (value === undefined && bounds.default !== undefined) return bounds.default;
    const parsed = numeric(value);
    const min = bounds.min ?? Number.NEGATIVE_INFINITY;
    const max = bounds.max ?? Number.POSITIVE_INFINITY;
    if (parsed !== undefined && fits(parsed) && parsed >= min && parsed <= max) return parsed;
    const values = { min: String(min), max: String(max), value: shown(value) };
    this.problem(property, text(`problem.${kind}.${range(bounds)}`, values));
    return bounds.min ?? 0;
  }

  boolean(property: string, otherwise: boolean): boolean {
    const value = this.#given(property);
    if (value === undefined) return otherwise;
    if (value === true || value === 'true') return true;
    if (value === false || value === 'false') return false;
    this.problem(property, text('problem.boolean', { value: shown(value) }));
    return otherwise;
  }

  oneOf<const T extends string>(property: string, values: readonly T[], otherwise?: T): T {
    const value = this.#given(property);
    if (value === undefined && otherwise !== undefined) return otherwise;
    const found = values.find((one) => one === value);
    if (found !== undefined) return found;
    this.problem(property, text('problem.oneOf', { values: values.join(', '), value: shown(value) }));
    return otherwise ?? (values[0] as T);
  }

  /** A config node of the given type that is there and enabled. */
  node<N extends Node>(property: string, type: string): N {
    const found = this.optionalNode<N>(property, type);
    if (found === undefined) this.problem(property, text('problem.noNode', { type }));
    return found ?? (this.#node as N);
  }

  optionalNode<N extends Node>(property: string, type: string): N | undefined {
    const id = this.#given(property);
    if (id === undefined) return undefined;
    const found = this.#RED.nodes.getNode(String(id));
    if (found?.type === type) return found as N;
    this.problem(
      property,
      found ? text('problem.otherNode', { type, other: found.type }) : text('problem.nodeGone', { type }),
    );
    return undefined;
  }

  /** The rows of a table property; each is read by a reader of its own, so that a problem names row and column. */
  list<T>(property: string, read: (row: ConfigReader, index: number) => T): T[] {
    const value = this.#given(property);
    if (value === undefined) return [];
    if (!Array.isArray(value)) {
      this.problem(property, text('problem.list'));
      return [];
    }
    return value.map((row: unknown, index) => {
      const prefix = `${this.#prefix}${property}[${index}]`;
      if (isObject(row))
        return read(new ConfigReader(this.#RED, this.#node, row, this.#problems, `${prefix}.`), index);
      this.problem(`${property}[${index}]`, text('problem.object'));
      return read(new ConfigReader(this.#RED, this.#node, {}, new Map()), index);
    });
  }

  /** A value of which a second property, `<property>Type`, says how to get it for each message. */
  typedInput(property: string, types: readonly TypedInputType[], otherwise: TypedInputType): TypedInput {
    const type = this.oneOf(`${property}Type`, types, otherwise);
    const value = this.#given(property);
    const written = value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
    const input = new TypedInput(this.#RED, this.#node, `${this.#prefix}${property}`, written, type);
    const problem = input.problem;
    if (problem !== undefined) this.problem(property, problem);
    return input;
  }

  /** For what only the node itself can judge, such as two properties that exclude each other. */
  problem(property: string, what: string): void {
    const path = `${this.#prefix}${property}`;
    if (!this.#problems.has(path)) this.#problems.set(path, what);
  }

  /** Undefined where nothing is given, and where the value is the name of a variable that is not set (noted). */
  #given(property: string): unknown {
    const value = this.#values[property];
    if (value === undefined || value === null || value === '') return undefined;
    const variable = typeof value === 'string' ? unsetVariable(value) : undefined;
    if (variable === undefined) return value;
    this.problem(property, text('problem.variable', { variable }));
    return undefined;
  }
}

/** Node-RED replaces `${NAME}` before a node is made, but leaves it as it is where the variable is not set. */
function unsetVariable(value: string): string | undefined {
  return /^\$(?:\{(\S+)\}|\((\S+)\))$/
    .exec(value)
    ?.slice(1)
    .find((name) => name !== undefined);
}

/** Numbers come as strings from forms and environment variables. */
function numeric(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : undefined;
}

function range({ min, max }: Bounds): 'between' | 'atLeast' | 'atMost' | 'any' {
  if (min !== undefined) return max === undefined ? 'atLeast' : 'between';
  return max === undefined ? 'any' : 'atMost';
}

function shown(value: unknown): string {
  if (value === undefined) return text('problem.empty');
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 40 ? `${json.slice(0, 39)}…` : json;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
