import assert from 'node:assert/strict';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import type { FlowNode } from '../support/node-red.ts';
import { Hands } from './support/canvas.ts';
import { control } from './support/form.ts';
import { startWorld, VERSIONS, type World } from './support/world.ts';

/** Nodes that need a config node, by what they need. */
const NEEDS: Record<string, string[]> = {
  connection: ['sf-bulk-create', 'sf-bulk-poll', 'sf-bulk-results', 'sf-single-retry'],
  database: ['sync-select', 'sync-writeback', 'dead-letter', 'dead-letter-replay'],
};

const EMPTY_POLL = {
  id: 'poll',
  type: 'sf-bulk-poll',
  z: 't',
  x: 200,
  y: 400,
  connection: '',
  wires: [[], []],
};
const TABS = [
  { id: 't', type: 'tab', label: 'here' },
  { id: 'other', type: 'tab', label: 'elsewhere' },
];

function connection(id: string, more: object = {}): FlowNode {
  const loginUrl = 'https://login.salesforce.com';
  return { id, type: 'sf-connection', authFlow: 'client-credentials', loginUrl, apiVersion: '66.0', ...more };
}

function database(id: string, more: object = {}): FlowNode {
  return { id, type: 'sync-database', host: 'localhost', port: 5432, database: 'd', ...more };
}

for (const version of VERSIONS) {
  describe(`a config node that is the only choice, in Node-RED ${version}`, function () {
    this.timeout(60_000);
    let world: World;
    let editor: Editor;

    before(async () => {
      world = await startWorld(version);
    });
    afterEach(async () => {
      assert.deepEqual(editor.errors, []);
      await editor.close();
    });
    after(async () => {
      await closeBrowser();
      await world.stop();
    });

    async function editorWith(...nodes: FlowNode[]): Promise<Hands> {
      await world.nodeRed.deploy([...TABS, EMPTY_POLL, ...nodes]);
      editor = await openEditor(world.nodeRed.url);
      return new Hands(editor);
    }

    it('is chosen by every node that is dropped, and knows its users', async () => {
      const hands = await editorWith(connection('conn'), database('db'));
      let y = 60;
      for (const [property, types] of Object.entries(NEEDS))
        for (const type of types) {
          const id = await hands.drop(type, 300, y);
          y += 50;
          const expected = property === 'connection' ? 'conn' : 'db';
          assert.equal((await editor.node(id))[property], expected, type);
        }
      const users = await editor.page.evaluate<number[]>(
        "['conn', 'db'].map((id) => RED.nodes.node(id).users.length)",
      );
      assert.deepEqual(users, [4, 4]);
    });

    it('is not chosen where there are two', async () => {
      const hands = await editorWith(connection('conn'), connection('conn2'));
      const id = await hands.drop('sf-bulk-poll', 300, 100);
      assert.ok(!(await editor.node(id)).connection);
    });

    it('is not one that is disabled or belongs to another tab', async () => {
      const hands = await editorWith(
        connection('conn'),
        connection('off', { d: true }),
        connection('theirs', { z: 'other' }),
      );
      const id = await hands.drop('sf-bulk-poll', 300, 100);
      assert.equal((await editor.node(id)).connection, 'conn');
    });

    it('is offered in the form of a node that has none, and kept only with Done', async () => {
      await editorWith(connection('conn'), database('db'));
      await editor.edit('poll');
      assert.equal(await control(editor, 'Connection').inputValue(), 'conn');
      await editor.cancel();
      assert.ok(!(await editor.node('poll')).connection);
      await editor.edit('poll');
      await editor.ok();
      assert.equal((await editor.node('poll')).connection, 'conn');
    });

    it('is left alone where it need not be chosen', async () => {
      await editorWith(connection('conn'), database('db'));
      await editor.edit('conn');
      assert.notEqual(await control(editor, 'Ledger').inputValue(), 'db');
    });
  });
}
