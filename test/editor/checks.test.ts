import assert from 'node:assert/strict';
import { parseTableName } from '../../src/database/identifiers.ts';
import { checkCredentials } from '../../src/salesforce/credentials.ts';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { startWorld, VERSIONS, type World } from './support/world.ts';

const LIGHTNING = 'https://acme.lightning.force.com';
const ADDRESSES = [
  'https://acme.my.salesforce.com',
  ' https://acme.my.salesforce.com/ ',
  'https://acme--box.sandbox.my.salesforce.com',
  'http://127.0.0.1:8080',
  'http://localhost/',
  LIGHTNING,
  `${LIGHTNING}/lightning/page/home`,
  'https://foo bar.com',
  'https://?x',
  'https://:443',
  'acme.my.salesforce.com',
  'ftp://acme.my.salesforce.com',
];

const TABLES = [
  'people',
  'Überweisungen',
  'my table',
  'public."My Table"',
  '"a.b"."c""d"',
  'x'.repeat(63),
  'a.b.c',
  'a.',
  '.a',
  '"x',
  'a"b"',
  'x'.repeat(64),
  'ü'.repeat(32),
];

interface Definition {
  RED: {
    nodes: { node(id: string): Checked; getType(type: string): { defaults: Record<string, Checkable> } };
  };
}
type Checked = Record<string, unknown>;
interface Checkable {
  validate(this: Checked, value: unknown, options: { label: string }): true | string;
}

for (const version of VERSIONS) {
  describe(`checks of the forms in Node-RED ${version}`, function () {
    this.timeout(60_000);
    let world: World;
    let editor: Editor;

    before(async () => {
      world = await startWorld(version);
      await world.deploy();
      editor = await openEditor(world.nodeRed.url);
    });
    after(async () => {
      await closeBrowser();
      await world.stop();
    });

    /** What the form of a node says of each value: true, or the reason. */
    function judged(id: string, property: string, values: unknown[]): Promise<(true | string)[]> {
      return editor.page.evaluate(
        ([nodeId, name, all]) => {
          const { RED } = globalThis as unknown as Definition;
          const node = RED.nodes.node(nodeId);
          const { validate } = RED.nodes.getType(String(node.type)).defaults[name] as Checkable;
          return all.map((value) => validate.call(node, value, { label: name }));
        },
        [id, property, values] as const,
      );
    }

    async function areAlike(id: string, property: string, values: string[], use: (value: string) => unknown) {
      const verdicts = await judged(id, property, values);
      assert.deepEqual(
        values.map((value, at) => [value, verdicts[at] === true]),
        values.map((value) => [value, passes(() => use(value))]),
      );
    }

    it('of an address are those of the runtime, and name the commonest mistake', async () => {
      const use = (loginUrl: string) =>
        checkCredentials({
          flow: 'client-credentials',
          loginUrl: loginUrl.trim(),
          clientId: 'i',
          clientSecret: 's',
        });
      await areAlike('conn', 'loginUrl', ADDRESSES, use);
      assert.match(String((await judged('conn', 'loginUrl', [LIGHTNING]))[0]), /\.my\.salesforce\.com/);
      assert.match(String((await judged('conn', 'loginUrl', ['http://acme.com']))[0]), /https/);
    });

    for (const id of ['dead-letter', 'dead-letter-replay', 'sync-writeback']) {
      it(`of the table of ${id} are those of the runtime`, () =>
        areAlike(id, 'table', TABLES, (table) => parseTableName(table)));
    }

    it('of parameters want a list', async () => {
      const values = ['[]', '[1, "a"]', [1], '', '{"a": 1}', '1', '[', {}];
      const verdicts = await judged('sync-select', 'params', values);
      assert.deepEqual(
        verdicts.map((verdict) => verdict === true),
        [true, true, true, true, false, false, false, false],
      );
    });

    it('let pass what is not given, where the runtime has a default', async () => {
      const flows = await world.nodeRed.flows();
      const bare = flows.map(({ id, type, z, x, y, wires, ...given }) => {
        const needed = [
          'name',
          'connection',
          'database',
          'object',
          'table',
          'host',
          'sql',
          'loginUrl',
          'set',
        ];
        const kept = Object.fromEntries(
          Object.entries(given).filter(([name]) => name.startsWith('key') || needed.includes(name)),
        );
        const place = type === 'tab' ? { label: given.label } : { z, x, y, wires };
        return { id, type, ...(type === 'tls-config' ? given : kept), ...place };
      });
      await world.nodeRed.deploy(bare);
      await editor.load();
      const ours = flows.filter(({ z, type }) => z !== undefined || type.startsWith('sync-'));
      assert.ok(ours.length > 8);
      for (const { id } of ours) {
        const { valid, validationErrors } = await editor.node(id);
        assert.deepEqual([id, valid, validationErrors], [id, true, []]);
      }
    });
  });
}

function passes(use: () => unknown): boolean {
  try {
    use();
    return true;
  } catch {
    return false;
  }
}
