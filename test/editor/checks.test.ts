import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseTableName } from '../../src/database/identifiers.ts';
import { compileOwnRules } from '../../src/failures/rules/own-rules.ts';
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

const PATTERNS = [
  'locked by .* user',
  '\\\\1',
  '(?P<name>a)',
  '(?<name>a)',
  'foo(?i)bar',
  '(?-i)a',
  '(?i:a|b)+?',
  '\\12[\\d\\]]\\x{10FFFF}\\pL\\p{Greek}',
  '\\Q(?=[\\E',
  '[(?=]',
  '[]a](a)?',
  'a{1000',
  'a{1,1001,}',
  '(?=a)b',
  '(?<!a)b',
  '(?>a)',
  '(a)\\1',
  '(?<x>a)\\k<a>',
  '\\u00e9',
  '\\e',
  '\\h',
  '[^]',
  'a{1001}',
  'a{2,1001}',
  'a**',
  '*a',
  'a|+',
  '(a',
  'a)',
  '[a',
  'a\\',
  'a'.repeat(1001),
];
/** Refused for its size, which only the compiled pattern tells. */
const TOO_LARGE = '.{600}';

const BITS = fc.constantFrom(
  ...'ab1,-()[]{}|*+?.^$\\',
  ...['(?', '(?:', '(?i)', '(?P<n>', '(?=', '(?<', '[^', '[[:alpha:]]', '{2}', '{1,', '{1001}', '|('],
  ...['\\1', '\\12', '\\8', '\\d', '\\e', '\\b', '\\Q', '\\E', '\\x{', '\\pL', '\\.', '\\u', '\\\\', 'é'],
);
const ANY_PATTERN = fc.array(BITS, { minLength: 1, maxLength: 9 }).map((bits) => bits.join(''));

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

    const ruleOf = (value: string) =>
      ({ match: 'regex', value, category: 'OTHER', retryable: false }) as const;
    const compile = (value: string) => compileOwnRules([ruleOf(value)]);

    it('of a pattern are those of the runtime', async () => {
      const verdicts = await judged(
        'sf-failure-classify',
        'rules',
        PATTERNS.map((value) => [ruleOf(value)]),
      );
      assert.deepEqual(
        PATTERNS.map((value, at) => [value, verdicts[at] === true]),
        PATTERNS.map((value) => [value, passes(() => compile(value))]),
      );
    });

    it('refuse no pattern that the runtime takes', async () => {
      const patterns = fc.sample(ANY_PATTERN, { numRuns: 5000, seed: 7 });
      const verdicts = await judged(
        'sf-failure-classify',
        'rules',
        patterns.map((value) => [ruleOf(value)]),
      );
      const refused = patterns.filter((_, at) => verdicts[at] !== true);
      assert.ok(refused.length > 1000 && refused.length < 4500, String(refused.length));
      assert.deepEqual(
        refused.filter((value) => passes(() => compile(value))),
        [],
      );
    });

    it('of a pattern that only the runtime can judge are shown, and kept', async () => {
      await editor.edit('sf-failure-classify');
      await editor.dialog.getByText('rule', { exact: true }).click();
      await editor.dialog.getByLabel('If the error', { exact: true }).selectOption('regex');
      await editor.dialog.getByLabel('Value', { exact: true }).fill(TOO_LARGE);
      await editor.dialog.getByText('the regular expression is too large').waitFor();
      await editor.ok();
      const { valid, validationErrors } = await editor.node('sf-failure-classify');
      assert.equal(valid, false);
      assert.match(String(validationErrors), /too large/);
      await editor.load();
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
