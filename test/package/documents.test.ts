import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import manifest from '../../package.json' with { type: 'json' };
import { REPOSITORY } from '../support/node-red-package.ts';

const LINK = /\]\(([^)\s]+)\)/g;
const HEADING = /^#+ +(.+)$/gm;
const SCRIPT = /\bnpm (?:run (?<name>[\w:-]+)|(?<short>start|test)\b)/g;

const documents = globSync('**/*.md', {
  cwd: REPOSITORY,
  exclude: (name) => name === 'node_modules' || name.startsWith('.'),
});
const read = (path: string) => readFileSync(join(REPOSITORY, path), 'utf8');

describe('the documents', () => {
  for (const path of documents) {
    it(`${path} links to what is there`, () => {
      for (const [, target = ''] of read(path).matchAll(LINK)) {
        if (/^\w+:/.test(target)) continue;
        const [file = '', anchor] = target.split('#');
        const linked = file === '' ? path : join(dirname(path), file);
        assert.ok(existsSync(join(REPOSITORY, linked)), `${target}: there is no ${linked}`);
        if (anchor !== undefined) assert.ok(anchorsOf(linked).has(anchor), `${target}: no such heading`);
      }
    });

    it(`${path} names scripts of package.json`, () => {
      for (const { groups } of read(path).matchAll(SCRIPT)) {
        const name = groups?.name ?? groups?.short ?? '';
        assert.ok(Object.hasOwn(manifest.scripts, name), `npm run ${name}`);
      }
    });
  }

  it('are found', () => {
    assert.ok(documents.includes('README.md') && documents.includes('docs/reliability.md'));
  });
});

/** As GitHub makes them of headings. */
function anchorsOf(path: string): Set<string> {
  return new Set(
    [...read(path).matchAll(HEADING)].map(([, text = '']) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(/\s/g, '-'),
    ),
  );
}
