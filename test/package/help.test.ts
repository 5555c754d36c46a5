import assert from 'node:assert/strict';
import { ERROR_CODES } from '../../src/errors.ts';
import { ERROR_CATEGORIES } from '../../src/failure.ts';
import { help, LANGUAGES, nodeStems } from './form-files.ts';

const CODE_BLOCK = /(?:^ {4}.*\n?)+/gm;
/** `: name (type) : description`, in which the editor takes a further colon for the end of an item, and loses words. */
const ITEM = /^: ([^:()]+) \(([^:()]+)\) : [^:]+$/;
/** What the editor's Markdown takes for an item in the middle of a line (`description` in its utils.js). */
const TAKEN_FOR_ITEM = /:[^:\n]+\([^:\n]+\).*?:[^:\n]*$/;

const prose = (text: string) => text.replace(CODE_BLOCK, '');
const found = (text: string, pattern: RegExp) => Array.from(text.matchAll(pattern), ([, what]) => what);

/** What a translation leaves as it is, so that no language lacks a property, an error or an example. */
function skeleton(text: string) {
  const words = prose(text);
  return {
    names: found(words, /`([^`]+)`/g).toSorted(),
    items: found(words, /^: (.+? \(.+?\)) :/gm),
    errors: found(words, /^- `([A-Z_]+)`(?:[,、] ?`[A-Z_]+`)*:/gm),
    bullets: found(words, /^(- )/gm).length,
    bold: found(words, /(\*\*)/g).length,
    codeBlocks: Array.from(text.matchAll(CODE_BLOCK)).length,
  };
}

describe('help', () => {
  for (const stem of nodeStems) {
    for (const language of LANGUAGES) {
      it(`${stem}, ${language}: the editor shows all of it`, () => {
        for (const line of prose(help(stem, language)).split('\n')) {
          if (line.startsWith(':')) assert.match(line, ITEM);
          else assert.doesNotMatch(line, TAKEN_FOR_ITEM);
        }
      });
    }

    it(`${stem}: says the same in every language`, () => {
      const english = skeleton(help(stem, 'en-US'));
      for (const language of LANGUAGES) assert.deepEqual(skeleton(help(stem, language)), english, language);
    });

    it(`${stem}: has a list of errors, of codes that exist`, () => {
      const { errors } = skeleton(help(stem, 'en-US'));
      const known = new Set<string>(ERROR_CODES);
      assert.notEqual(errors.length, 0);
      for (const code of errors) assert.ok(known.has(code ?? ''), code);
    });
  }

  it('of the classify node names every category', () => {
    const { names } = skeleton(help('sf-failure-classify', 'en-US'));
    for (const category of ERROR_CATEGORIES) assert.ok(names.includes(category), category);
  });
});
