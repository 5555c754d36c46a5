import { EventEmitter } from 'node:events';

/** What a debug node showed. `value` is decoded from what the sidebar would get, so it may be cut at `debugMaxLength`. */
export interface DebugMessage {
  nodeId: string;
  name: string | undefined;
  topic: string | undefined;
  property: string | undefined;
  format: string;
  value: unknown;
}

/** A node's status as the editor paints it; an empty object is a cleared one. */
export interface StatusMessage {
  nodeId: string;
  fill?: string;
  shape?: string;
  text?: string;
}

export interface Notification {
  name: string;
  payload: Record<string, unknown>;
}

interface CommsEvents {
  debug: [DebugMessage];
  status: [StatusMessage];
  notification: [Notification];
  any: [topic: string, data: unknown];
}

/** The editor's websocket: everything that the runtime tells an open editor, kept in the order in which it came. */
export class NodeRedComms extends EventEmitter<CommsEvents> {
  readonly debug: DebugMessage[] = [];
  readonly statuses: StatusMessage[] = [];
  readonly notifications: Notification[] = [];
  readonly #socket: WebSocket;

  static async open(url: string): Promise<NodeRedComms> {
    const socket = new WebSocket(new URL('comms', url.replace(/^http/, 'ws')));
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve(), { once: true });
      socket.addEventListener('error', () => reject(new Error(`No editor websocket at ${url}.`)), {
        once: true,
      });
    });
    return new NodeRedComms(socket);
  }

  private constructor(socket: WebSocket) {
    super();
    this.setMaxListeners(0);
    this.#socket = socket;
    socket.addEventListener('message', (event) => this.#receive(String(event.data)));
    for (const topic of ['notification/#', 'status/#', 'debug']) {
      socket.send(JSON.stringify({ subscribe: topic }));
    }
  }

  /** The last status of a node, undefined when it never had one. */
  statusOf(nodeId: string): StatusMessage | undefined {
    return this.statuses.findLast((status) => status.nodeId === nodeId);
  }

  close(): void {
    this.#socket.close();
  }

  #receive(text: string): void {
    const parsed: unknown = JSON.parse(text);
    for (const { topic, data } of Array.isArray(parsed) ? parsed : [parsed]) {
      if (typeof topic === 'string') this.#sort(topic, data);
    }
  }

  #sort(topic: string, data: unknown): void {
    const [kind = '', ...rest] = topic.split('/');
    if (kind === 'debug') this.#keep('debug', this.debug, debugMessage(data as RawDebug));
    if (kind === 'status')
      this.#keep('status', this.statuses, { nodeId: rest.join('/'), ...(data as object) });
    if (kind === 'notification') {
      const payload = data as Record<string, unknown>;
      this.#keep('notification', this.notifications, { name: rest.join('/'), payload });
    }
    this.emit('any', topic, data);
  }

  #keep<K extends 'debug' | 'status' | 'notification'>(
    kind: K,
    list: CommsEvents[K][0][],
    entry: CommsEvents[K][0],
  ): void {
    list.push(entry);
    (this as EventEmitter).emit(kind, entry);
  }
}

interface RawDebug {
  id: string;
  name?: string;
  topic?: string;
  property?: string;
  format?: string;
  msg?: unknown;
}

function debugMessage(raw: RawDebug): DebugMessage {
  const format = raw.format ?? 'undefined';
  return {
    nodeId: raw.id,
    name: raw.name,
    topic: raw.topic,
    property: raw.property,
    format,
    value: decoded(format, raw.msg),
  };
}

/** Node-RED sends objects as JSON text with `__enc__` wrappers around what JSON cannot say (`encodeObject`). */
function decoded(format: string, text: unknown): unknown {
  if (typeof text !== 'string') return text;
  if (format === 'number') return Number(text);
  if (format === 'boolean') return text === 'true';
  if (format === 'null' || format === 'undefined' || format === '(undefined)') return undefined;
  if (format.startsWith('string') || format.startsWith('buffer')) return text;
  return JSON.parse(text, unwrapped);
}

function unwrapped(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('__enc__' in value)) return value;
  return 'data' in value ? value.data : undefined;
}
