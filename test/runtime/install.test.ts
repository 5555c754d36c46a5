import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type NodeRed, type NodeRedVersion, startNodeRed } from '../support/node-red.ts';
import { REPOSITORY } from '../support/node-red-package.ts';

const { name, 'node-red': nodeRedSection } = JSON.parse(
  readFileSync(join(REPOSITORY, 'package.json'), 'utf8'),
);
const TYPES: string[] = Object.keys(nodeRedSection.nodes);
const LANGUAGES = ['en-US', 'de', 'ja'];

for (const version of ['5', '4'] satisfies NodeRedVersion[]) {
  describe(`the package, installed from its tarball in Node-RED ${version}`, function () {
    this.timeout(120_000);
    let nodeRed: NodeRed;

    before(async () => {
      nodeRed = await startNodeRed({ version, packages: ['tarball'] });
    });
    after(() => nodeRed.stop());

    it('loads every type', async () => {
      const sets = (await nodeRed.nodes()).filter(({ module }) => module === name);
      const loaded = sets.filter(
        ({ err, enabled, types }) => err === undefined && enabled && types.length === 1,
      );
      assert.deepEqual(loaded.map(({ types }) => types[0]).sort(), [...TYPES].sort());
      assert.ok(loaded.every((set) => set.name === set.types[0]));
    });

    it('serves its icons', async () => {
      const icons = await nodeRed.request<Record<string, string[]>>('GET', 'icons');
      const drawn = globSync('icons/*.svg', { cwd: REPOSITORY }).map((path) => basename(path));
      assert.ok(drawn.length > 0);
      assert.deepEqual([...(icons[name] ?? [])].sort(), drawn.sort());
    });

    it('serves form and help of every type', async () => {
      const page = await nodeRed.request<string>('GET', 'nodes', { headers: { accept: 'text/html' } });
      const parts = TYPES.flatMap((type) => [
        `data-template-name="${type}"`,
        `data-help-name="${type}"`,
        `registerType('${type}'`,
      ]);
      assert.deepEqual(
        parts.filter((part) => !page.includes(part)),
        [],
      );
    });

    for (const language of LANGUAGES) {
      it(`serves its texts in ${language}`, async () => {
        for (const type of TYPES) {
          const texts = await nodeRed.request<object>('GET', `locales/${name}/${type}?lng=${language}`);
          assert.ok(Object.keys(texts).length > 0, `${type} in ${language}`);
        }
      });
    }

    it('lists its examples', async () => {
      const listed = await nodeRed.request<{ fn: string }[]>('GET', `library/examples/flows/${name}`);
      const kept = globSync('examples/*.json', { cwd: REPOSITORY }).map((path) => basename(path, '.json'));
      assert.ok(kept.includes('flows'));
      assert.deepEqual(listed.map(({ fn }) => fn).sort(), kept.sort());
      const flows = await nodeRed.request<unknown[]>('GET', `library/examples/flows/${name}/flows`);
      assert.ok(Array.isArray(flows) && flows.length > 0);
    });
  });
}
