import type { Red } from '../../../nodes/shared/red.ts';

/** What a test node saw, in the order of the whole process. */
export interface TestEvent {
  tab: string;
  node: string;
  what: 'sent' | 'over' | 'broken-off' | 'received' | 'released' | 'gathered';
  index?: number;
  inFlight?: number;
  failedBatches?: number;
  error?: string;
  code?: string;
  payload?: unknown;
  state?: string | undefined;
}

const events: TestEvent[] = [];
const releases = new Map<string, (() => void)[]>();
let served = false;

export function note(event: TestEvent): void {
  events.push(event);
}

/** Keeps what ends a message until the test asks for it. */
export function holdBack(node: string, release: () => void): void {
  releases.set(node, [...(releases.get(node) ?? []), release]);
}

export function serve(RED: Red): void {
  if (served) return;
  served = true;
  RED.httpAdmin.get('/test-sequence/events/:tab', (request, response) => {
    response.json(events.filter(({ tab }) => tab === request.params.tab));
  });
  RED.httpAdmin.get('/test-sequence/hooks', (_request, response) => {
    const { has } = RED.hooks as unknown as { has(name: string): boolean };
    response.json(['onSend', 'preDeliver', 'onReceive', 'onComplete'].filter((name) => has(name)));
  });
  RED.httpAdmin.post('/test-sequence/release/:node', (request, response) => {
    const held = releases.get(request.params.node ?? '') ?? [];
    const next = held.shift();
    next?.();
    response.json({ released: next !== undefined, left: held.length });
  });
}
