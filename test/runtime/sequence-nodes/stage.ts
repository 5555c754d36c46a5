import type { Done, Message, Node, NodeConfig, Red, Send } from '../../../nodes/shared/red.ts';
import { sequenceMark } from '../../../nodes/shared/sequence-mark.ts';
import { holdBack, note, serve } from './events.ts';

/** What it does with a message: see `BEHAVIOURS`. With `only`, that of batch so many; others pass. */
export type Behaviour = keyof typeof BEHAVIOURS;

type Act = (node: Node, message: Message, send: Send, done: Done) => void;

const pass: Act = (_node, message, send, done) => {
  send(message);
  done();
};

/** A node as others write them: it does not use our runner. */
const BEHAVIOURS = {
  pass,
  /** Until the test releases it. */
  hold: (node, message, send, done) => {
    holdBack(node.id, () => {
      note({ ...place(node), what: 'released', ...indexOf(message) });
      pass(node, message, send, done);
    });
  },
  drop: (_node, _message, _send, done) => done(),
  never: () => {},
  'new message': (_node, message, send, done) => {
    send({ payload: message.payload });
    done();
  },
  'send after done': (_node, message, send, done) => {
    done();
    setTimeout(() => send(message), 30);
  },
  throw: () => {
    throw new Error('thrown in a handler');
  },
  'done with error': (_node, _message, _send, done) => done(new Error('refused by done')),
  'log error': (node, message, _send, done) => {
    node.error('refused by node.error', message);
    done();
  },
  'log error later': (node, message, _send, done) => {
    setTimeout(() => {
      node.error('refused by node.error, later', message);
      done();
    }, 30);
  },
} satisfies Record<string, Act>;

export default function register(RED: Red): void {
  serve(RED);
  function TestStage(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const behaviour: Act = BEHAVIOURS[(config.behaviour as Behaviour | undefined) ?? 'pass'];
    this.on('input', (message, send, done) => {
      const index = sequenceMark(message)?.index;
      note({ ...place(this), what: 'received', ...indexOf(message), payload: message.payload });
      const act = config.only === undefined || config.only === index ? behaviour : pass;
      act(this, message, send, done);
    });
  }
  RED.nodes.registerType('test-stage', TestStage);
}

function place(node: Node): { tab: string; node: string } {
  return { tab: node._path?.split('/')[0] ?? '', node: node._alias ?? node.id };
}

function indexOf(message: Message): { index?: number } {
  const index = sequenceMark(message)?.index;
  return index === undefined ? {} : { index };
}
