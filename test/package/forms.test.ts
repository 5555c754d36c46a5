import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../support/node-red-package.ts';
import { editorDefinition } from './editor-definition.ts';
import {
  allStems,
  catalogue,
  type FormFile,
  formFile,
  help,
  LANGUAGES,
  nodeStems,
  pluginStems,
  read,
} from './form-files.ts';
import { parseScript, stringsOf, walk } from './javascript.ts';

/** Texts of the nodes themselves: runtime-texts.test.ts. */
const RUNTIME = 'runtime.';
const FAILED = 'runtime.failed.';

const CONFIG = ['sf-connection', 'sync-database'];

/** Properties of design §6, in the order of the table; a change here is a change of the contract. */
const PROPERTIES: Record<string, string> = {
  'sf-connection':
    'name authFlow loginUrl audience instanceUrl apiVersion tls ledger retentionDays apiBudget',
  'sync-database': 'name host port database ssl tls poolSize',
  'sync-select': 'name database sql params paramsType batchSize maxInFlight onError stuckAfter lane',
  'sf-bulk-create':
    'name connection loadName object operation externalIdField mapping nulls columnDelimiter lineEnding mode ' +
    'maxRecordsPerJob maxMegabytesPerJob assignmentRuleId',
  'sf-bulk-poll': 'name connection interval maxInterval timeout stallTimeout onTimeout',
  'sf-bulk-results': 'name connection batchSize maxInFlight onError stuckAfter settleWhen lane',
  'sf-failure-classify': 'name ruleSet rules',
  'sf-single-retry': 'name connection mode maxAttempts backoff concurrency',
  'dead-letter': 'name database table createTable',
  'dead-letter-replay':
    'name database table category categoryType errorCode errorCodeType jobId jobIdType limit limitType ' +
    'batchSize maxInFlight',
  'sync-writeback': 'name database table keyColumn keyField set',
};

const OUTPUTS: Record<string, number> = {
  'sync-select': 1,
  'sf-bulk-create': 3,
  'sf-bulk-poll': 2,
  'sf-bulk-results': 4,
  'sf-failure-classify': 2,
  'sf-single-retry': 2,
  'dead-letter': 1,
  'dead-letter-replay': 1,
  'sync-writeback': 1,
};

describe('forms', () => {
  for (const stem of nodeStems) {
    describe(stem, () => {
      const file = formFile(stem);
      const isConfig = CONFIG.includes(stem);
      const prefix = isConfig ? 'node-config-input-' : 'node-input-';

      it('registers its type by literals, as the scorecard reads it', () => {
        const definition = editorDefinition(onlyScript(file));
        assert.equal(definition.type, stem);
        assert.equal(definition.category, isConfig ? 'config' : 'salesforce');
        assert.match(String(definition.color), /^#[0-9A-F]{6}$/);
        if (!isConfig) assert.deepEqual([definition.inputs, definition.outputs], [1, OUTPUTS[stem]]);
        for (const name of isConfig ? ['label'] : ['label', 'paletteLabel', 'inputLabels', 'outputLabels'])
          assert.ok(definition.properties.includes(name), `${name} is missing`);
      });

      it('has the properties of the design, no more, no less', () => {
        const names = Object.keys(editorDefinition(onlyScript(file)).defaults);
        assert.deepEqual(names.toSorted(), PROPERTIES[stem]?.split(' ').toSorted());
      });

      it('has a field for each property and credential, and no field without one', () => {
        const { defaults, credentials } = editorDefinition(onlyScript(file));
        const names = [...Object.keys(defaults), ...Object.keys(credentials)];
        for (const name of names) {
          const list = file.template.includes(`id="${prefix}${name}-list"`);
          assert.ok(list || file.template.includes(`id="${prefix}${name}"`), `no field for ${name}`);
        }
        for (const [, id] of file.template.matchAll(/<(?:input|select|textarea)[^>]* id="([^"]+)"/g)) {
          const name = id?.replace(prefix, '').replace(/-.*$/, '') ?? '';
          assert.ok(names.includes(name), `${id} belongs to no property`);
        }
      });

      it('labels every field', () => {
        const controls = file.template.matchAll(/<(input|select|textarea)([^>]*)>/g);
        for (const [tag, , attributes = ''] of controls) {
          if (attributes.includes('type="hidden"')) continue;
          const id = /id="([^"]+)"/.exec(attributes)?.[1];
          assert.ok(
            file.template.includes(`<label for="${id}"`) || attributes.includes('aria-label'),
            `no label for ${tag}`,
          );
        }
      });

      it('leaves width and colour to the theme', () => {
        assert.doesNotMatch(file.template, /style=|#[0-9a-f]{3,8}\b|\d+px/i);
        assert.doesNotMatch(file.template, /\son[a-z]+="/, 'no inline handlers');
      });

      it('has its icon, drawn in white on nothing, 40 by 60', () => {
        const { icon } = editorDefinition(onlyScript(file));
        assert.equal(icon, `${stem}.svg`);
        const svg = read(`icons/${icon}`);
        assert.match(svg, /viewBox="0 0 40 60"/);
        const colours = Array.from(
          svg.matchAll(/(?:fill|stroke)="(?!none|evenodd)(#[^"]+)"/g),
          ([, colour]) => colour,
        );
        assert.deepEqual([...new Set(colours)], ['#fff']);
      });

      for (const language of LANGUAGES) {
        it(`has help in ${language}: purpose, inputs, outputs, details`, () => {
          const text = help(stem, language);
          assert.match(text, new RegExp(`^<script type="text/markdown" data-help-name="${stem}">\\n\\S`));
          const headings = text.match(/^### .+$/gm) ?? [];
          assert.equal(headings.length, isConfig ? 1 : 3, headings.join());
          const ports = text.match(/^\d\. .+$/gm) ?? [];
          const outputs = OUTPUTS[stem] ?? 0;
          assert.equal(ports.length, outputs > 1 ? outputs : 0, 'one heading for each of several outputs');
        });
      }
    });
  }

  describe('shared editor parts', () => {
    for (const stem of pluginStems) {
      it(`${stem} is a plugin of the package`, () => {
        const plugins: Record<string, string> = JSON.parse(read('package.json'))['node-red'].plugins ?? {};
        assert.equal(plugins[stem], `dist/nodes/${stem}.html`);
      });
    }
  });

  describe('scripts and styles', () => {
    for (const stem of allStems) {
      it(`${stem} leaves nothing global`, () => {
        const file = formFile(stem);
        for (const script of file.scripts) {
          const program = parseScript(script) as unknown as { body: { type: string }[] };
          assert.deepEqual(
            program.body.map((statement) => statement.type),
            ['ExpressionStatement'],
            'one function that calls itself',
          );
          walk(parseScript(script), (node) => assert.notEqual(node.name, 'eval'));
        }
        for (const [, style = ''] of file.html.matchAll(/<style>([\s\S]*?)<\/style>/g)) {
          assert.doesNotMatch(style, /#[0-9a-f]{3,8}\b/i, 'no colours of our own');
          for (const [, selector] of style.replace(/\/\*[\s\S]*?\*\//g, '').matchAll(/([^{}]+)\{/g))
            assert.match(
              selector ?? '',
              /^\s*(\.sf-bulk-|@media)/,
              `${selector?.trim()} reaches beyond our forms`,
            );
        }
      });
    }
  });
});

describe('catalogues', () => {
  it('are of the same sets in every language', () => {
    for (const language of LANGUAGES) {
      const files = readdirSync(join(REPOSITORY, 'nodes/locales', language));
      const expected = [
        ...allStems.map((stem) => `${stem}.json`),
        ...nodeStems.map((stem) => `${stem}.html`),
      ];
      assert.deepEqual(files.toSorted(), expected.toSorted(), language);
    }
  });

  for (const stem of allStems) {
    it(`${stem}: every key exists in every language, with the same values to fill in`, () => {
      const english = catalogue(stem, 'en-US');
      for (const language of LANGUAGES) {
        const other = catalogue(stem, language);
        assert.deepEqual([...other.keys()].toSorted(), [...english.keys()].toSorted(), language);
        for (const [key, text] of other) {
          assert.notEqual(text.trim(), '', `${language} ${key}`);
          const expected = blanks(english.get(key) ?? '');
          // An error's own message is English: another language says what its code means.
          if (key.startsWith(FAILED) && blanks(text).length === 0) continue;
          assert.deepEqual(blanks(text), expected, `${language} ${key}`);
        }
      }
    });

    it(`${stem}: every key is used, every key used exists`, () => {
      const file = formFile(stem);
      const all = [...catalogue(stem, 'en-US').keys()];
      const keys = new Set(all.filter((key) => !key.startsWith(RUNTIME)));
      const used = usedKeys(file, keys);
      assert.deepEqual(
        [...keys].filter((key) => !used.has(key)),
        [],
        'unused',
      );
      for (const key of markupKeys(file)) assert.ok(keys.has(key), `${key} is missing`);
      for (const key of calledKeys(file)) assert.ok(keys.has(key), `${key} is missing`);
    });
  }

  it('leave no text in the markup', () => {
    for (const stem of nodeStems) {
      const text = formFile(stem)
        .template.replace(/<[^>]*>/g, ' ')
        .trim();
      assert.equal(text.replace(/\s+/g, ' '), '', stem);
    }
  });
});

it('ships what the loader needs beside each other', () => {
  for (const stem of nodeStems) assert.ok(existsSync(join(REPOSITORY, 'icons', `${stem}.svg`)), stem);
});

function onlyScript(file: FormFile): string {
  const [script] = file.scripts;
  if (script === undefined || file.scripts.length !== 1) throw new Error(`${file.stem}: one script expected`);
  return script;
}

const blanks = (text: string) => (text.match(/__\w+__/g) ?? []).toSorted();

function markupKeys(file: FormFile): string[] {
  return Array.from(file.template.matchAll(/data-i18n="(?:\[[\w-]+\])?([^"]+)"/g), ([, key]) => key ?? '');
}

/**
 * Keys that stand whole in a call: `this._('key')`, `node._('key'`, `text('key'`, and `field('name')` for `field.name`.
 * `RED._` takes the editor's own texts.
 */
function calledKeys(file: FormFile): string[] {
  const keys: string[] = [];
  for (const script of file.scripts) {
    for (const [, key] of script.matchAll(/(?:(?<!RED)\._|\btext)\('([\w.-]+)'/g))
      if (!key?.endsWith('.')) keys.push(key ?? '');
    for (const [, name] of script.matchAll(/\bfield\('(\w+)'\)/g)) keys.push(`field.${name}`);
  }
  return keys;
}

/** A literal that ends in a dot, such as `'match.' + name`, uses all keys below it. */
function usedKeys(file: FormFile, keys: Set<string>): Set<string> {
  const strings = new Set([...markupKeys(file), ...calledKeys(file)]);
  for (const script of file.scripts) for (const text of stringsOf(script)) strings.add(text);
  const used = [...keys].filter((key) => {
    if (strings.has(key)) return true;
    const parent = key.slice(0, key.lastIndexOf('.') + 1);
    return parent !== 'field.' && strings.has(parent);
  });
  return new Set(used);
}
