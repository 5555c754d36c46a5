/** A small part of SOQL: SELECT fields FROM object [WHERE conditions joined by AND] [ORDER BY field] [LIMIT n]. */
export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'IN' | 'NOT IN' | 'LIKE';

export interface SoqlCondition {
  field: string;
  operator: Operator;
  values: (string | null)[];
}

export interface Soql {
  fields: string[];
  isCount: boolean;
  object: string;
  conditions: SoqlCondition[];
  orderBy: { field: string; isDescending: boolean } | undefined;
  limit: number;
}

export class SoqlError extends Error {}

const TOKEN = /\s*('(?:[^'\\]|\\.)*'|<=|>=|!=|<>|[(),=<>]|[^\s(),=<>!']+)/y;
const OPERATORS: readonly string[] = ['=', '!=', '<', '<=', '>', '>=', 'LIKE'];

export function parseSoql(text: string): Soql {
  return new Parser(tokens(text)).parse();
}

function tokens(text: string): string[] {
  const found: string[] = [];
  TOKEN.lastIndex = 0;
  const trimmed = text.trim();
  for (let at = 0; at < trimmed.length; at = TOKEN.lastIndex) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(trimmed);
    if (!match) {
      throw new SoqlError(`unexpected token: '${trimmed.slice(at, at + 20)}'`);
    }
    found.push(match[1] ?? '');
  }
  return found;
}

class Parser {
  readonly #tokens: string[];
  #at = 0;

  constructor(all: string[]) {
    this.#tokens = all;
  }

  parse(): Soql {
    this.#word('SELECT');
    const { fields, isCount } = this.#fields();
    this.#word('FROM');
    const object = this.#next();
    const conditions = this.#takes('WHERE') ? this.#conditions() : [];
    const orderBy = this.#takes('ORDER') ? this.#orderBy() : undefined;
    const limit = this.#takes('LIMIT') ? Number(this.#next()) : Number.POSITIVE_INFINITY;
    if (this.#at < this.#tokens.length || Number.isNaN(limit)) {
      throw new SoqlError(`unexpected token: '${this.#tokens[this.#at] ?? ''}'`);
    }
    return { fields, isCount, object, conditions, orderBy, limit };
  }

  #fields(): { fields: string[]; isCount: boolean } {
    const fields: string[] = [];
    do {
      const field = this.#next();
      if (/^count$/i.test(field) && this.#takes('(')) {
        this.#word(')');
        return { fields: [], isCount: true };
      }
      fields.push(field);
    } while (this.#takes(','));
    return { fields, isCount: false };
  }

  #conditions(): SoqlCondition[] {
    const conditions: SoqlCondition[] = [];
    do {
      conditions.push(this.#condition());
    } while (this.#takes('AND'));
    return conditions;
  }

  #condition(): SoqlCondition {
    if (this.#takes('(')) {
      const inner = this.#condition();
      this.#word(')');
      return inner;
    }
    const field = this.#next();
    if (this.#takes('IN')) {
      return { field, operator: 'IN', values: this.#list() };
    }
    if (this.#takes('NOT')) {
      this.#word('IN');
      return { field, operator: 'NOT IN', values: this.#list() };
    }
    const operator = this.#next().toUpperCase().replace('<>', '!=');
    if (!OPERATORS.includes(operator)) {
      throw new SoqlError(`unexpected token: '${operator}'`);
    }
    return { field, operator: operator as Operator, values: [literal(this.#next())] };
  }

  #list(): (string | null)[] {
    const values: (string | null)[] = [];
    this.#word('(');
    do {
      values.push(literal(this.#next()));
    } while (this.#takes(','));
    this.#word(')');
    return values;
  }

  #orderBy(): { field: string; isDescending: boolean } {
    this.#word('BY');
    const field = this.#next();
    const isDescending = this.#takes('DESC');
    if (!isDescending) {
      this.#takes('ASC');
    }
    return { field, isDescending };
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) {
      throw new SoqlError("unexpected token: '<EOF>'");
    }
    return token;
  }

  #takes(word: string): boolean {
    const found = this.#tokens[this.#at]?.toUpperCase() === word;
    this.#at += found ? 1 : 0;
    return found;
  }

  #word(word: string): void {
    if (!this.#takes(word)) {
      throw new SoqlError(`unexpected token: '${this.#tokens[this.#at] ?? '<EOF>'}'`);
    }
  }
}

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t' };

function literal(token: string): string | null {
  if (token.startsWith("'")) {
    return token.slice(1, -1).replace(/\\(.)/gs, (_, letter: string) => ESCAPES[letter] ?? letter);
  }
  return token.toLowerCase() === 'null' ? null : token;
}
