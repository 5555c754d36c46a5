import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { REPOSITORY } from '../support/node-red-package.ts';
import { type EditorDefinition, editorDefinition, membersOf } from './editor-definition.ts';
import { formFile, nodeStems } from './form-files.ts';
import { type ObjectNode, parseScript, walk } from './javascript.ts';

interface ExampleNode {
  id: string;
  type: string;
  name?: string;
  z?: string;
  g?: string;
  wires?: string[][];
  links?: string[];
  nodes?: string[];
  credentials?: Record<string, string>;
  [property: string]: unknown;
}

interface Evaluation {
  evaluateNodeProperty(
    value: string,
    type: string,
    node: object,
    message: object,
    callback: (error: unknown, value: unknown) => void,
  ): void;
}

const FILES = globSync('examples/**/*.json', { cwd: REPOSITORY });
const examples = new Map(
  FILES.map((file) => [basename(file, '.json'), parse(readFileSync(join(REPOSITORY, file), 'utf8'))]),
);
const ours = new Map<string, EditorDefinition>(
  nodeStems.map((stem) => [stem, editorDefinition(formFile(stem).scripts[0] ?? '')]),
);
const core = coreProperties();
const { util }: { util: Evaluation } = createRequire(import.meta.url)('@node-red/util');
/** What the editor saves beside a node's own properties. */
const PLACE = ['id', 'type', 'z', 'g', 'x', 'y', 'wires', 'l'];
const CONTAINERS = ['tab', 'group'];
const ENVIRONMENT_NAME = /^\$\{([A-Z_]+)\}$/;

function parse(text: string): ExampleNode[] {
  const flow: unknown = JSON.parse(text);
  assert.ok(Array.isArray(flow), 'an example is a top-level array');
  return flow;
}

/** Property names of the core nodes, as their own html declares them. */
function coreProperties(): Map<string, string[]> {
  const root = dirname(createRequire(import.meta.url).resolve('@node-red/nodes/package.json'));
  const found = new Map<string, string[]>();
  for (const path of globSync('core/{common,function}/*.html', { cwd: root })) {
    const html = readFileSync(join(root, path), 'utf8');
    for (const [, script = ''] of html.matchAll(/<script type="text\/javascript">([\s\S]*?)<\/script>/g)) {
      walk(parseScript(script), (node) => {
        const [type, definition] = node.arguments ?? [];
        if (node.callee?.property?.name !== 'registerType' || definition?.type !== 'ObjectExpression') return;
        const { defaults } = membersOf(definition as ObjectNode);
        found.set(String(type?.value), Object.keys(membersOf(defaults as ObjectNode)));
      });
    }
  }
  return found;
}

function isConfig(node: ExampleNode): boolean {
  return ours.get(node.type)?.category === 'config';
}

function onCanvas(flow: ExampleNode[]): ExampleNode[] {
  return flow.filter((node) => !CONTAINERS.includes(node.type) && !isConfig(node));
}

describe('examples', () => {
  it('are the whole flow and the two recipes', () => {
    const names = ['flows', 'reload unprocessed records', 'replay dead letters'];
    assert.deepEqual(Array.from(examples.keys()).sort(), names);
  });

  it('use every node of the package', () => {
    const used = new Set(Array.from(examples.values()).flatMap((flow) => flow.map(({ type }) => type)));
    assert.deepEqual(
      nodeStems.filter((stem) => !used.has(stem)),
      [],
    );
  });

  it('share the configuration nodes, so that a second import finds those of the first', () => {
    const [first = [], ...others] = Array.from(examples.values()).map((flow) => flow.filter(isConfig));
    assert.equal(first.length, 2);
    for (const other of others) assert.deepEqual(other, first);
  });

  it('have ids of their own otherwise', () => {
    const ids = Array.from(examples.values()).flatMap((flow) =>
      flow.filter((node) => !isConfig(node)).map(({ id }) => id),
    );
    assert.equal(new Set(ids).size, ids.length);
  });

  for (const [name, flow] of examples) describe(`“${name}”`, () => checkExample(flow));
});

function checkExample(flow: ExampleNode[]): void {
  const byId = new Map(flow.map((node) => [node.id, node]));

  it('has one tab that says what it does and which variables it needs', () => {
    const tabs = flow.filter(({ type }) => type === 'tab');
    assert.equal(tabs.length, 1);
    const info = String(tabs[0]?.info);
    const variables = flow
      .filter(isConfig)
      .flatMap((node) => [...Object.values(node), ...Object.values(node.credentials ?? {})])
      .flatMap((value) => ENVIRONMENT_NAME.exec(String(value))?.[1] ?? []);
    assert.equal(variables.length, 8);
    for (const variable of variables) assert.ok(info.includes(variable), `${variable} is not explained`);
    for (const node of onCanvas(flow)) assert.equal(node.z, tabs[0]?.id);
  });

  it('uses core nodes and ours, no others', () => {
    const known = [...CONTAINERS, ...ours.keys(), ...core.keys()];
    assert.deepEqual(
      flow.filter(({ type }) => !known.includes(type)),
      [],
    );
  });

  it('gives every node exactly the properties of its form', () => {
    for (const node of flow.filter(({ type }) => !CONTAINERS.includes(type))) {
      const definition = ours.get(node.type);
      const declared = definition ? Object.keys(definition.defaults) : (core.get(node.type) ?? []);
      const own = Object.keys(node).filter(
        (property) => !PLACE.includes(property) && property !== 'credentials',
      );
      assert.deepEqual(own.sort(), [...declared].sort(), `${node.type} “${node.name}”`);
    }
  });

  it('holds no credential, only names of environment variables', () => {
    for (const { type, credentials = {} } of flow) {
      const declared = Object.keys(ours.get(type)?.credentials ?? {});
      for (const [name, value] of Object.entries(credentials)) {
        assert.ok(declared.includes(name), `${type} has no credential ${name}`);
        assert.match(value, ENVIRONMENT_NAME);
      }
    }
  });

  it('refers to configuration nodes that are there, of the right type', () => {
    for (const node of flow) {
      for (const [property, declaration] of Object.entries(ours.get(node.type)?.defaults ?? {})) {
        const { type, required } = membersOf(declaration);
        if (type?.value === undefined || (node[property] === '' && required?.value === false)) continue;
        assert.equal(byId.get(String(node[property]))?.type, type.value, `${node.type}.${property}`);
      }
    }
  });

  it('wires every output to nodes that are there', () => {
    for (const node of onCanvas(flow)) {
      const outputs = ours.get(node.type)?.outputs ?? node.outputs;
      if (typeof outputs === 'number')
        assert.equal(node.wires?.length, outputs, `${node.type} “${node.name}”`);
      for (const target of (node.wires ?? []).flat()) {
        assert.ok(byId.has(target), `“${node.name}” is wired to ${target}`);
      }
    }
  });

  it('joins link nodes from both sides', () => {
    for (const node of flow.filter(({ type }) => type.startsWith('link '))) {
      assert.ok((node.links ?? []).length > 0, `“${node.name}” leads nowhere`);
      for (const other of node.links ?? []) {
        assert.ok(byId.get(other)?.links?.includes(node.id), `“${node.name}” is not known to ${other}`);
      }
    }
  });

  it('leads every output of our nodes somewhere, but for the last step', () => {
    const ends = ['sync-writeback'];
    for (const node of onCanvas(flow).filter(({ type }) => ours.has(type) && !ends.includes(type))) {
      node.wires?.forEach((targets, output) => {
        assert.ok(targets.length > 0, `output ${output + 1} of “${node.name}”`);
      });
    }
  });

  it('puts every node into a named group with a comment', () => {
    const groups = flow.filter(({ type }) => type === 'group');
    for (const node of onCanvas(flow)) {
      const group = byId.get(node.g ?? '');
      assert.ok(group?.nodes?.includes(node.id), `“${node.name}” is in no group`);
    }
    for (const { name = '', nodes = [] } of groups) {
      assert.match(name, /^\d {2}\S/);
      const types = nodes.map((id) => byId.get(id)?.type);
      assert.ok(types.includes('comment'), `${name} has no comment`);
    }
  });

  it('has groups of one height in a row', () => {
    const groups = flow.filter(({ type }) => type === 'group');
    for (const { name, y, h } of groups)
      for (const other of groups.filter((one) => one.y === y))
        assert.equal(other.h, h, `${name}, ${other.name}`);
  });

  it('counts right what its debug nodes show, an empty batch too', async () => {
    const batch = [{ errorCode: 'A' }, { errorCode: null }, { errorCode: 'A' }];
    for (const { name = '', complete } of flow.filter(({ targetType }) => targetType === 'jsonata')) {
      const [full, empty] = SHOWN[name] ?? [];
      if (full === undefined) continue;
      const show = (payload: object[]) =>
        evaluated(String(complete), { payload, parts: { index: 0 }, job: { id: '750' } });
      assert.deepEqual(await show(batch), full, name);
      assert.deepEqual(await show([]), empty, name);
    }
  });

  it('catches errors, and names all nodes', () => {
    assert.ok(flow.some(({ type, scope }) => type === 'catch' && scope === null));
    for (const node of flow.filter(({ type }) => type !== 'tab'))
      assert.ok(node.name, `${node.type} ${node.id}`);
  });
}

const FIRST = { first: { errorCode: 'A' } };
const BY_CODE = { byErrorCode: { A: 2 } };

/** What a debug node shows of three failures, one of them without a code, and of an empty batch. */
const SHOWN: Record<string, [full: unknown, empty: unknown]> = {
  batches: [
    { batch: 0, records: 3, ...FIRST },
    { batch: 0, records: 0 },
  ],
  failures: [
    { failures: 3, ...BY_CODE, ...FIRST },
    { failures: 0, byErrorCode: {} },
  ],
  'dead letters': [
    { stored: 3, ...BY_CODE, ...FIRST },
    { stored: 0, byErrorCode: {} },
  ],
  unprocessed: [
    '3 records of job 750 were not processed; their rows are still READY',
    'job 750: no record is unprocessed',
  ],
};

/** As Node-RED's debug node does it. */
function evaluated(expression: string, message: object): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  util.evaluateNodeProperty(expression, 'jsonata', {}, message, (error, value) => {
    if (error) reject(error);
    else resolve(JSON.parse(JSON.stringify(value)));
  });
  return promise;
}

describe('the example “flows”', () => {
  const flow = examples.get('flows') ?? [];
  const one = (type: string) => flow.find((node) => node.type === type);

  it('is the flow of MuleSoft, part by part', () => {
    const groups = flow.filter(({ type }) => type === 'group').map(({ name }) => name);
    assert.deepEqual(groups, [
      '1  Extract and transform',
      '2  Load',
      '3  Poll',
      '4  Results',
      '5  Classify and retry',
      '6  Dead letter and write-back',
      '7  Errors',
    ]);
    const schedules = flow.filter(({ type }) => type === 'inject').map(({ crontab }) => crontab);
    assert.deepEqual(schedules.sort(), ['', '00 02 * * *']);
    const sql = String(one('sync-select')?.sql).replaceAll(/\s+/g, ' ');
    assert.equal(
      sql,
      "SELECT id, name, email, phone, external_id FROM pending_sf_sync WHERE sync_status = 'READY' ORDER BY id LIMIT 10000000",
    );
  });

  it('maps a row to the fields of a contact', () => {
    const map = new Function('msg', String(one('function')?.func));
    const row = { id: 7, name: 'Ada', email: 'a@example.com', phone: null, external_id: 'C-7' };
    assert.deepEqual(map({ payload: [row], kept: true }), {
      payload: [{ LastName: 'Ada', Email: 'a@example.com', Phone: null, External_Id__c: 'C-7' }],
      kept: true,
    });
  });
});

describe('the example “reload unprocessed records”', () => {
  const flow = examples.get('reload unprocessed records') ?? [];
  const decide = flow.find(({ name }) => name === 'anything unprocessed?');
  const round = new Function('msg', String(decide?.func));

  it('goes round again while records are unprocessed, three times in all', () => {
    const receipt = (number: number | undefined, unprocessed: number) => ({
      ...(number === undefined ? {} : { round: number }),
      payload: { unprocessed },
    });
    assert.deepEqual(round(receipt(1, 5)), [{ ...receipt(1, 5), round: 2 }, null]);
    assert.deepEqual(round(receipt(undefined, 5)), [{ ...receipt(undefined, 5), round: 2 }, null]);
    assert.deepEqual(round(receipt(3, 5)), [null, receipt(3, 5)]);
    assert.deepEqual(round(receipt(1, 0)), [null, receipt(1, 0)]);
  });
});
