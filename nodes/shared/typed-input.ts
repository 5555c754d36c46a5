import { type LoadError, reasonOf } from '../../src/errors.ts';
import type { Message, Node, Red } from './red.ts';
import { text as fixed, loadError } from './texts.ts';

export type TypedInputType = 'str' | 'num' | 'json' | 'msg' | 'env' | 'jsonata';

/** A property whose value the editor's typed input holds as a text and a type, to be evaluated for each message. */
export class TypedInput {
  readonly type: TypedInputType;
  readonly text: string;
  readonly #RED: Red;
  readonly #node: Node;
  readonly #property: string;
  readonly #expression: unknown;
  /** Why the text cannot be of its type; undefined when it can. */
  readonly problem: string | undefined;

  constructor(RED: Red, node: Node, property: string, text: string, type: TypedInputType) {
    this.#RED = RED;
    this.#node = node;
    this.#property = property;
    this.text = text;
    this.type = type;
    if (type === 'jsonata' && text !== '') {
      const prepared = attempt(() => RED.util.prepareJSONataExpression(text, node));
      this.#expression = prepared.value;
      this.problem = prepared.problem && fixed('problem.jsonata', { reason: prepared.problem });
    } else {
      this.problem = problemOf(text, type);
    }
  }

  get empty(): boolean {
    return this.text === '';
  }

  /** Undefined when the text is empty, or names something that is not there. Rejects with CONFIG_INVALID. */
  evaluate(message: Message): Promise<unknown> {
    if (this.empty) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const settle = (error: unknown, value: unknown) => {
        if (error) reject(this.#failure(error));
        else resolve(value);
      };
      try {
        if (this.type === 'jsonata')
          this.#RED.util.evaluateJSONataExpression(this.#expression, message, settle);
        else this.#RED.util.evaluateNodeProperty(this.text, this.type, this.#node, message, settle);
      } catch (error) {
        reject(this.#failure(error));
      }
    });
  }

  #failure(cause: unknown): LoadError {
    const values = { property: this.#property, type: this.type, reason: reasonOf(cause) };
    return loadError('CONFIG_INVALID', 'evaluation', values, { cause });
  }
}

function problemOf(text: string, type: TypedInputType): string | undefined {
  if (text === '') return undefined;
  if (type === 'num' && !Number.isFinite(Number(text))) return fixed('problem.noNumber');
  if (type !== 'json') return undefined;
  const { problem } = attempt(() => JSON.parse(text));
  return problem && fixed('problem.json', { reason: problem });
}

function attempt(action: () => unknown): { value?: unknown; problem?: string } {
  try {
    return { value: action() };
  } catch (error) {
    return { problem: reasonOf(error) };
  }
}
