import type { EventEmitter } from 'node:events';

/**
 * Node-RED's runtime API as far as this package uses it (https://nodered.org/docs/api/; the packages `@node-red/runtime`
 * and `@node-red/registry` of 4.1 and 5.0). Names with an underscore are not documented; what uses them works without.
 */
export interface Red {
  nodes: {
    createNode(node: Node, config: NodeConfig): void;
    /** A node of a disabled or unknown type is null or undefined. */
    getNode(id: string): Node | null | undefined;
    registerType(type: string, make: NodeConstructor, options?: RegisterOptions): void;
  };
  /** Absent where the tests' helper stands in for the runtime. */
  hooks: Hooks;
  events: EventEmitter;
  log: Log;
  settings: Settings;
  util: Util;
  httpAdmin: HttpAdmin;
  auth: { needsPermission(permission: string): RequestHandler };
  /** A text of the package's catalogue. */
  _(key: string, values?: Record<string, unknown>): string;
}

export type NodeConstructor = (this: Node, config: NodeConfig) => void;

export interface RegisterOptions {
  credentials?: Record<string, { type: 'text' | 'password' }>;
  settings?: Record<string, { value: unknown; exportable?: boolean }>;
}

/** A node's saved properties, strings of the form `${NAME}` already replaced where that variable is set. */
export interface NodeConfig {
  id: string;
  type: string;
  name?: string;
  [property: string]: unknown;
}

export interface Message {
  _msgid?: string;
  payload?: unknown;
  [property: string]: unknown;
}

/** One message for output 1, or one entry for each output: a message, several, or none. */
export type Send = (messages: Message | readonly (Message | readonly Message[] | null | undefined)[]) => void;

/** Once for each message: without an error it triggers Complete nodes, with one Catch nodes. */
export type Done = (error?: unknown) => void;

export type InputHandler = (this: Node, message: Message, send: Send, done: Done) => void;

export interface Node {
  readonly id: string;
  readonly type: string;
  /** The tab or the subflow instance that it is on. */
  readonly z?: string;
  name?: string;
  credentials?: Record<string, string | undefined>;
  /** The id of the node in the subflow's template, where it is inside an instance of one. */
  readonly _alias?: string;
  /** Ids of the tab, the subflow instances around it and itself, separated by `/`. */
  readonly _path?: string;
  /** How many of its input handlers take `done`. */
  readonly _expectedDoneCount?: number;
  on(event: 'input', handler: InputHandler): void;
  /** Awaited only because it declares parameters: the runtime looks at its `length`. */
  on(event: 'close', handler: (removed: boolean, done: () => void) => void): void;
  send: Send;
  status(status: NodeStatus): void;
  log(text: string): void;
  warn(text: string): void;
  /** With a message Catch nodes see it, without one only the log does. */
  error(error: unknown, message?: Message): void;
}

export interface NodeStatus {
  fill?: 'red' | 'green' | 'yellow' | 'blue' | 'grey';
  shape?: 'ring' | 'dot';
  text?: string;
}

/** The messaging hooks. A callback that throws stops everyone's messages. */
export interface Hooks {
  add(event: `preDeliver.${string}`, callback: (event: SendEvent) => void): void;
  add(event: `onReceive.${string}`, callback: (event: ReceiveEvent) => void): void;
  add(event: `onComplete.${string}`, callback: (event: CompleteEvent) => void): void;
  /** `*.label` removes all of the label. */
  remove(event: `*.${string}`): void;
}

export interface SendEvent {
  msg: Message;
  source: { id: string; node: Node; port: number };
  destination: { id: string; node: Node };
}

export interface ReceiveEvent {
  msg: Message;
  destination: { id: string; node: Node };
}

export interface CompleteEvent {
  msg: Message;
  node: { id: string; node: Node };
  error?: unknown;
}

export interface Log {
  readonly ERROR: number;
  warn(text: string): void;
  addHandler(handler: EventEmitter): void;
  removeHandler(handler: EventEmitter): void;
}

/** What a log handler is told. A node's own lines have its id and type. */
export interface LogEntry {
  level: number;
  msg: unknown;
  id?: string;
  type?: string;
}

export interface Settings {
  userDir?: string;
  nodeMessageBufferMaxLength?: number;
  [name: string]: unknown;
}

export interface Util {
  evaluateNodeProperty(
    value: string,
    type: string,
    node: Node,
    message: Message,
    callback: (error: unknown, value: unknown) => void,
  ): void;
  prepareJSONataExpression(expression: string, node: Node): unknown;
  evaluateJSONataExpression(
    expression: unknown,
    message: Message,
    callback: (error: unknown, value: unknown) => void,
  ): void;
}

export interface Request {
  params: Record<string, string | undefined>;
  query: Record<string, string | string[] | undefined>;
  body: unknown;
}

export interface Response {
  status(code: number): Response;
  json(body: unknown): void;
  end(): void;
}

export type RequestHandler = (request: Request, response: Response, next: () => void) => void;

export interface HttpAdmin {
  get(path: string, ...handlers: RequestHandler[]): void;
  post(path: string, ...handlers: RequestHandler[]): void;
}
