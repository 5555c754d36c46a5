import { EventEmitter } from 'node:events';

/** A node's status as the editor paints it; without a text it is cleared. */
export interface NodeStatus {
  nodeId: string;
  text?: string;
  fill?: string;
}

/** What a debug node showed, decoded. */
export interface DebugOutput {
  nodeId: string;
  value: unknown;
}

interface CommsEvents {
  status: [NodeStatus];
  debug: [DebugOutput];
  deployed: [revision: string];
  /** The flows could not be started. */
  refused: [reason: string];
  closed: [];
}

type Topic = { topic?: string; data?: Record<string, unknown> };

/** The websocket on which Node-RED tells its editors what happens. */
export class EditorComms extends EventEmitter<CommsEvents> {
  readonly #socket: WebSocket;

  static async open(url: string): Promise<EditorComms> {
    const socket = new WebSocket(new URL('comms', url.replace(/^http/, 'ws')));
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', () => resolve(), { once: true });
      socket.addEventListener('error', () => reject(new Error(`Node-RED opened no websocket at ${url}.`)), {
        once: true,
      });
    });
    return new EditorComms(socket);
  }

  private constructor(socket: WebSocket) {
    super();
    this.#socket = socket;
    socket.addEventListener('message', ({ data }) => this.#receive(JSON.parse(String(data))));
    socket.addEventListener('close', () => this.emit('closed'));
    for (const subscribe of ['status/#', 'debug', 'notification/#'])
      socket.send(JSON.stringify({ subscribe }));
  }

  close(): void {
    this.#socket.close();
  }

  #receive(received: Topic | Topic[]): void {
    for (const { topic = '', data = {} } of Array.isArray(received) ? received : [received]) {
      const [kind, ...rest] = topic.split('/');
      const name = rest.join('/');
      if (kind === 'status') this.emit('status', { nodeId: name, ...data });
      if (kind === 'debug') this.emit('debug', { nodeId: String(data.id), value: decoded(data) });
      if (name === 'runtime-deploy') this.emit('deployed', String(data.revision));
      if (name === 'runtime-state' && data.error !== undefined) {
        this.emit('refused', [data.error, data.types].flat().join(' '));
      }
    }
  }
}

/** Node-RED sends objects as JSON text, with `__enc__` wrappers around what JSON cannot say. */
function decoded({ format, msg }: Record<string, unknown>): unknown {
  const isJson = /^(Object|array|error|Error)/i.test(String(format));
  return isJson && typeof msg === 'string' ? JSON.parse(msg, unwrapped) : msg;
}

function unwrapped(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('__enc__' in value)) return value;
  return 'data' in value ? value.data : undefined;
}
