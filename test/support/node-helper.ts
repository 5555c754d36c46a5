import { createRequire } from 'node:module';
import type { Hooks, Message, Node, NodeConfig, NodeStatus, Red } from '../../nodes/shared/red.ts';
import { catalogue } from './catalogue.ts';

const require = createRequire(import.meta.url);

/** A node as a test made it: the runtime's own object, which also emits `call:status` and the like. */
export type TestNode = Node & {
  receive(message: Message): void;
  close(removed: boolean): Promise<void>;
};

export type NodeModule = (RED: Red) => void;

interface Helper {
  init(runtimePath: string, settings?: Record<string, unknown>): void;
  settings(settings: Record<string, unknown>): void;
  startServer(): Promise<void>;
  stopServer(): Promise<void>;
  load(modules: NodeModule[], flow: object[], credentials: object): Promise<void>;
  unload(): Promise<void>;
  getNode(id: string): TestNode | null;
  url(): string;
}

const helper: Helper = require('node-red-node-test-helper');
helper.init(require.resolve('node-red'));
const { hooks }: { hooks: Hooks } = require('@node-red/util');

/** What one of our nodes did, in order. */
export interface Observed {
  statuses: NodeStatus[];
  /** Of `done`: undefined where it was called without an error. */
  ends: { message: Message; error: unknown }[];
}

/**
 * Nodes in the real runtime (Node-RED 5), in this process: `use()` in a describe block starts and stops it. The helper keeps
 * every argument of every call and leaves out the loader, so memory and packages are for `support/node-red.ts`.
 */
export const nodeHelper = {
  use(settings: Record<string, unknown> = {}): void {
    before(async () => {
      helper.settings({ logging: { console: { level: 'off' } }, ...settings });
      await helper.startServer();
    });
    afterEach(async () => {
      await helper.unload();
      for (const label of labels.splice(0)) hooks.remove(`*.${label}`);
    });
    after(() => helper.stopServer());
  },

  /** Loads core and own nodes and starts the flow. Core's Catch, Complete and Status nodes are there anyway. */
  async load(modules: NodeModule[], flow: object[], credentials: object = {}): Promise<void> {
    await helper.load([withWhatIsLeftOut, ...modules], flow, credentials);
  },

  node(id: string): TestNode {
    const node = helper.getNode(id);
    if (!node) throw new Error(`There is no node ${id}.`);
    return node;
  },

  /** A core node's module, such as `function/10-switch`. */
  core(path: string): NodeModule {
    return require(`@node-red/nodes/core/${path}.js`);
  },

  /** A node type whose constructor is given here. */
  type(name: string, make: (RED: Red, node: Node, config: NodeConfig) => void): NodeModule {
    return (RED) => {
      RED.nodes.registerType(name, function (this: Node, config: NodeConfig) {
        RED.nodes.createNode(this, config);
        make(RED, this, config);
      });
    };
  },

  hooks,
  url: () => helper.url(),
};

/** All nodes share one RED, in which the helper forgets the hooks and has no texts. */
function withWhatIsLeftOut(RED: Red): void {
  RED.hooks = hooks;
  RED._ = catalogue._;
}

/** Of the hooks that this test has added. */
const labels: string[] = [];

function newLabel(): string {
  const label = `test${labels.length}`;
  labels.push(label);
  return label;
}

/** Notes what a node says and how it ends messages, until the flow is unloaded. */
export function observe(node: TestNode): Observed {
  const observed: Observed = { statuses: [], ends: [] };
  const label = newLabel();
  hooks.add(`onComplete.${label}`, ({ msg, error, node: { node: one } }) => {
    if (one === node) observed.ends.push({ message: msg, error });
  });
  (node as unknown as NodeJS.EventEmitter).on('call:status', (call: { args: [NodeStatus] }) => {
    observed.statuses.push(call.args[0]);
  });
  return observed;
}

/** Sends a message in as a wire would, and resolves with what `done` was given. */
export function handled(node: TestNode, message: Message): Promise<unknown> {
  const label = newLabel();
  return new Promise((resolve) => {
    hooks.add(`onComplete.${label}`, ({ msg, error, node: { node: one } }) => {
      if (one !== node || msg !== message) return;
      resolve(error);
    });
    node.receive(message);
  });
}
