import pg from 'pg';
import { LoadError } from '../errors.ts';

/** As PostgreSQL's own scanner cuts a text up (manual, "Lexical Structure"), with standard_conforming_strings on. */
type TokenKind = 'space' | 'text' | 'word' | 'parameter' | 'semicolon' | 'other';

interface Token {
  kind: TokenKind;
  text: string;
}

const ESCAPED = String.raw`'(?:[^'\\]|''|\\[\s\S])*'`;
const CONTINUED = String.raw`(?:(?:\s|--[^\n\r]*[\n\r])*[\n\r](?:\s|--[^\n\r]*[\n\r])*${ESCAPED})*`;
const NAME_START = String.raw`[A-Za-z_\u0080-\uffff]`;

/** The first that matches, wins. Block comments nest and are read by hand. */
const RULES: [TokenKind, RegExp][] = [
  ['space', /\s+/y],
  ['space', /--[^\n\r]*/y],
  ['text', new RegExp(`[eE]${ESCAPED}${CONTINUED}`, 'y')],
  ['text', /'[^']*(?:''[^']*)*'/y],
  ['text', /"[^"]*(?:""[^"]*)*"/y],
  ['text', new RegExp(String.raw`\$(${NAME_START}[\w\u0080-\uffff]*)?\$[\s\S]*?\$\1\$`, 'y')],
  ['parameter', /\$\d+/y],
  ['word', new RegExp(String.raw`${NAME_START}[\w$\u0080-\uffff]*`, 'y')],
  ['semicolon', /;/y],
  ['other', /[\s\S]/y],
];

const READS = /^(select|with|values|table)$/i;

/**
 * The one query in `sql`, without semicolons behind it.
 *
 * @throws LoadError CONFIG_INVALID when it is empty, more than one statement, or none that reads
 */
export function oneQuery(sql: string): string {
  if (sql.includes('\0')) throw invalid('must not hold a NUL character');
  const tokens = tokensOf(sql);
  const statements = tokens
    .map(({ kind }) => (kind === 'semicolon' ? ';' : kind === 'space' ? '' : 'x'))
    .join('')
    .split(';')
    .filter((statement) => statement !== '');
  if (statements.length === 0) throw invalid('is empty');
  if (statements.length > 1) {
    throw invalid(`holds ${statements.length} statements; only one can be run`);
  }
  const first = tokens.find(({ kind, text }) => kind !== 'space' && kind !== 'semicolon' && text !== '(');
  if (first === undefined || !READS.test(first.text))
    throw invalid('must be a SELECT (or WITH, VALUES, TABLE)');
  return tokens
    .filter(({ kind }) => kind !== 'semicolon')
    .map(({ text }) => text)
    .join('');
}

/** A parameter's value as PostgreSQL reads it as text; null stays null. Arrays become `{…}`, objects JSON. */
export function parameterText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return value.toISOString();
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  if (Array.isArray(value)) return `{${value.map(arrayElement).join(',')}}`;
  if (typeof value === 'object') return withoutNul(JSON.stringify(value));
  return withoutNul(String(value));
}

/**
 * The query with its parameters `$1`, `$2`, … replaced by literals, for statements that take none (COPY). Only what
 * PostgreSQL itself would read as a parameter is replaced: none inside strings, quoted names or comments.
 */
export function withLiterals(query: string, params: unknown[]): string {
  return tokensOf(query)
    .map(({ kind, text }) => (kind === 'parameter' ? literalFor(text, params) : text))
    .join('');
}

function literalFor(parameter: string, params: unknown[]): string {
  const number = Number(parameter.slice(1));
  if (number < 1 || number > params.length) {
    throw invalid(`has a parameter ${parameter}, but ${params.length} values were given`);
  }
  const text = parameterText(params[number - 1]);
  // In parentheses a literal cannot grow together with what stands beside it.
  return text === null ? '(NULL)' : `(${pg.escapeLiteral(text).trim()})`;
}

function arrayElement(value: unknown): string {
  if (Array.isArray(value)) return parameterText(value) ?? 'NULL';
  const text = parameterText(value);
  return text === null ? 'NULL' : `"${text.replace(/[\\"]/g, '\\$&')}"`;
}

function withoutNul(text: string): string {
  if (text.includes('\0')) throw invalid('got a value with a NUL character, which PostgreSQL cannot hold');
  return text;
}

function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < sql.length; ) {
    const token = sql.startsWith('/*', at) ? blockComment(sql, at) : tokenAt(sql, at);
    tokens.push(token);
    at += token.text.length;
  }
  return tokens;
}

function tokenAt(sql: string, at: number): Token {
  for (const [kind, rule] of RULES) {
    rule.lastIndex = at;
    const match = rule.exec(sql);
    if (match !== null) return { kind, text: match[0] };
  }
  return { kind: 'other', text: sql.charAt(at) };
}

function blockComment(sql: string, start: number): Token {
  const edges = /\/\*|\*\//g;
  edges.lastIndex = start;
  let depth = 0;
  for (let edge = edges.exec(sql); edge !== null; edge = edges.exec(sql)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return { kind: 'space', text: sql.slice(start, edges.lastIndex) };
  }
  return { kind: 'other', text: sql.slice(start) };
}

function invalid(what: string): LoadError {
  return new LoadError('CONFIG_INVALID', `The SQL ${what}. Correct the property sql.`);
}
