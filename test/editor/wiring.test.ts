import assert from 'node:assert/strict';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { until } from '../support/until.ts';
import { startWorld, VERSIONS, type World } from './support/world.ts';

/** Ids of nodes whose badge is on the canvas. */
const HINTED = `[...document.querySelectorAll('.red-ui-flow-node-group')]
  .filter((node) => node.querySelector('.sf-bulk-wiring-hint:not(.hide)'))
  .map((node) => node.id).sort()`;

interface Wired {
  RED: {
    nodes: {
      node(id: string): { id: string };
      getNodeLinks(id: string, direction: number): { sourcePort: number }[];
      removeLink(link: object): void;
      addLink(link: object): void;
    };
    view: { redraw(all: boolean): void };
  };
}

for (const version of VERSIONS) {
  describe(`hints about wires in Node-RED ${version}`, function () {
    this.timeout(60_000);
    let world: World;
    let editor: Editor;

    before(async () => {
      world = await startWorld(version);
      await world.deploy();
    });
    beforeEach(async () => {
      editor = await openEditor(world.nodeRed.url);
    });
    afterEach(() => editor.close());
    after(async () => {
      await closeBrowser();
      await world.stop();
    });

    const hinted = () => editor.page.evaluate<string[]>(HINTED);

    const areHinted = (expected: string[]) =>
      until(
        async () => (await hinted()).join() === expected.join(),
        `hinted are: ${expected.join() || 'none'}`,
      );

    async function cut(source: string, port: number): Promise<void> {
      await editor.page.evaluate(
        ([id, from]) => {
          const { RED } = globalThis as unknown as Wired;
          for (const link of RED.nodes.getNodeLinks(id, 0).filter(({ sourcePort }) => sourcePort === from))
            RED.nodes.removeLink(link);
          RED.view.redraw(true);
        },
        [source, port] as const,
      );
    }

    async function wire(source: string, port: number, target: string): Promise<void> {
      await editor.page.evaluate(
        ([from, sourcePort, to]) => {
          const { RED } = globalThis as unknown as Wired;
          RED.nodes.addLink({ source: RED.nodes.node(from), sourcePort, target: RED.nodes.node(to) });
          RED.view.redraw(true);
        },
        [source, port, target] as const,
      );
    }

    it('results without a receipt', async () => {
      await areHinted(['sf-bulk-results']);
      await editor.edit('sf-bulk-results');
      await editor.dialog.getByText('Output 4 (receipt) leads nowhere').waitFor();
      await editor.cancel();
      await wire('sf-bulk-results', 3, 'dead-letter');
      await areHinted([]);
    });

    it('poll without output 2', async () => {
      await cut('sf-bulk-poll', 1);
      await areHinted(['sf-bulk-poll', 'sf-bulk-results']);
      await editor.edit('sf-bulk-poll');
      await editor.dialog.getByText('Output 2 (failed and aborted jobs) leads nowhere').waitFor();
      await editor.cancel();
    });

    it('classify without a dead letter behind it', async () => {
      await cut('sf-failure-classify', 1);
      await areHinted(['sf-bulk-results', 'sf-failure-classify']);
      await wire('sf-failure-classify', 1, 'sf-single-retry');
      await areHinted(['sf-bulk-results']);
    });

    it('are warnings, not errors: the flow is valid', async () => {
      await cut('sf-bulk-poll', 1);
      await areHinted(['sf-bulk-poll', 'sf-bulk-results']);
      assert.equal((await editor.node('sf-bulk-poll')).valid, true);
      assert.deepEqual(editor.errors, []);
    });

    it('what leaves its subflow, or returns to a link call, leads on', async () => {
      const classify = {
        type: 'sf-failure-classify',
        name: '',
        ruleSet: 'complete',
        rules: [],
        x: 150,
        y: 50,
      };
      const results = {
        type: 'sf-bulk-results',
        name: '',
        connection: 'conn',
        batchSize: 10,
        x: 150,
        y: 150,
      };
      const ports = (id: string, count: number) =>
        Array.from({ length: count }, (_, port) => ({ x: 400, y: 50 * port, wires: [{ id, port }] }));
      await world.nodeRed.deploy([
        ...(await world.nodeRed.flows()),
        { id: 'sub', type: 'subflow', name: 'S', in: [], out: [...ports('inside', 2), ...ports('read', 4)] },
        { ...classify, id: 'inside', z: 'sub', wires: [[], []] },
        { ...results, id: 'read', z: 'sub', wires: [[], [], [], []] },
        { id: 'other', type: 'tab', label: 'Called' },
        { id: 'enter', type: 'link in', z: 'other', name: '', links: [], x: 50, y: 50, wires: [['called']] },
        { ...classify, id: 'called', z: 'other', wires: [['back'], ['back']] },
        {
          id: 'back',
          type: 'link out',
          z: 'other',
          name: '',
          mode: 'return',
          links: [],
          x: 350,
          y: 50,
          wires: [],
        },
      ]);
      await editor.load();
      for (const id of ['inside', 'read', 'called']) {
        await editor.edit(id);
        assert.equal(await editor.dialog.locator('.sf-bulk-hints').count(), 0, id);
        await editor.cancel();
      }
      await editor.edit('sf-bulk-results');
      assert.equal(await editor.dialog.locator('.sf-bulk-hints').count(), 1);
      await world.deploy();
    });

    it('a node that was dropped just now has none', async () => {
      for (const port of [0, 1]) await cut('sf-bulk-poll', port);
      await cut('sf-bulk-create', 0);
      await areHinted(['sf-bulk-create', 'sf-bulk-results']);
    });
  });
}
