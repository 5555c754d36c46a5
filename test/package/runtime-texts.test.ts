import assert from 'node:assert/strict';
import { ERROR_CODES } from '../../src/errors.ts';
import { catalogue, LANGUAGES, type Language, read, runtimeSources } from './form-files.ts';

const PLURAL = '_plural';
const sources = [...runtimeSources()];
const code = sources.map(([, source]) => source).join('\n');
const english = texts('en-US');

/** Keys that are put together while the nodes run, by the part that stands in the sources. */
const FAMILIES: Record<string, readonly string[]> = {
  'failed.': ERROR_CODES,
  'count.': unitsOfRateMeter(),
  'problem.': ['wholeNumber', 'number'].flatMap((kind) =>
    ['between', 'atLeast', 'atMost', 'any'].map((range) => `${kind}.${range}`),
  ),
  'error.': [],
};

/** A key that stands whole in the sources, and the values given with it where they stand there, too. */
interface Call {
  key: string;
  values: string[] | undefined;
}

const calls: Call[] = [
  ...callsOf(/(?<!\.)\b(?:text|fixed)\(\s*'([\w.]+)'/g, ''),
  ...callsOf(/\bloadError\(\s*'\w+',\s*'(\w+)'/g, 'error.'),
  ...callsOf(/\bnew StoppedByDeploy\(\s*'(\w+)'/g, 'error.'),
];

describe('texts of the nodes', () => {
  it('are looked for where they are: the test finds calls of every kind', () => {
    for (const key of ['status.query', 'error.noRows', 'error.nodeStopped', 'problem.json'])
      assert.ok(
        calls.some((call) => call.key === key),
        key,
      );
  });

  it('exist for every key that a node uses', () => {
    assert.deepEqual(
      used().filter((key) => !english.has(key)),
      [],
    );
  });

  it('are all used', () => {
    const known = new Set([...used(), 'locale']);
    assert.deepEqual(
      [...english.keys()].filter((key) => !known.has(key.replace(PLURAL, ''))),
      [],
    );
  });

  it('are put together in known ways only', () => {
    const prefixes = Array.from(
      code.matchAll(/(?<!\.)\b(?:text|fixed)\(\s*`([^$`]*)\$\{/g),
      ([, prefix]) => prefix,
    );
    for (const prefix of prefixes) assert.ok(prefix !== undefined && prefix in FAMILIES, `${prefix}…`);
  });

  it('have a plural exactly where something is counted', () => {
    const counted = [...calls.filter(({ values }) => values?.includes('number')).map(({ key }) => key)];
    const expected = new Set([...counted, ...unitsOfRateMeter().map((unit) => `count.${unit}`)]);
    const plurals = [...english.keys()].filter((key) => key.endsWith(PLURAL));
    assert.deepEqual(plurals.map((key) => key.replace(PLURAL, '')).toSorted(), [...expected].toSorted());
    for (const language of LANGUAGES) {
      const own = texts(language);
      for (const key of plurals)
        assert.deepEqual(
          blanks(own.get(key)),
          blanks(own.get(key.replace(PLURAL, ''))),
          `${language} ${key}`,
        );
    }
  });

  it('get a value for each of their blanks, and no other', () => {
    for (const { key, values } of calls)
      if (values) assert.deepEqual(values.toSorted(), blanks(english.get(key)), key);
  });

  it('are in the languages of the catalogues', () => {
    assert.deepEqual(
      LANGUAGES.map((language) => texts(language).get('locale')?.slice(0, 2)),
      LANGUAGES.map((language) => language.slice(0, 2)),
    );
  });

  it('name the code of every error, in every language', () => {
    for (const language of LANGUAGES)
      for (const one of ERROR_CODES)
        assert.ok(texts(language).get(`failed.${one}`)?.startsWith(`${one}: `), `${language} ${one}`);
  });

  for (const [path, source] of sources) {
    it(`do not stand in ${path}`, () => {
      const said = /(?:\bstatus\.(?:idle|working|waiting|done|failed)|\.(?:warn|error))\(\s*['"`]/;
      assert.doesNotMatch(source, said);
      if (path !== 'nodes/shared/texts.ts') assert.doesNotMatch(source, /new LoadError\(/);
    });
  }
});

function texts(language: Language): Map<string, string> {
  const own = [...catalogue('sf-bulk-forms', language)].filter(([key]) => key.startsWith('runtime.'));
  return new Map(own.map(([key, text]) => [key.slice('runtime.'.length), text]));
}

function used(): string[] {
  const families = Object.entries(FAMILIES).flatMap(([prefix, keys]) => keys.map((key) => prefix + key));
  return [...calls.map(({ key }) => key), ...families];
}

function callsOf(pattern: RegExp, prefix: string): Call[] {
  return Array.from(code.matchAll(pattern), (match) => {
    const rest = code.slice(match.index + match[0].length);
    return { key: prefix + match[1], values: valuesIn(rest) };
  });
}

/** The names in `, { a, count: b.c })`; none in `)`; undefined where the values are put together elsewhere. */
function valuesIn(rest: string): string[] | undefined {
  if (/^,?\s*\)/.test(rest)) return [];
  const literal = /^,\s*\{([^{}]*)\}/.exec(rest)?.[1];
  const names = literal
    ?.split(/,(?![^(]*\))/)
    .map((one) => one.split(':')[0]?.trim() ?? '')
    .filter((name) => name !== '');
  return names?.map((name) => (name === 'count' ? 'number' : name));
}

function unitsOfRateMeter(): string[] {
  const type = /export type Unit = ([^;]+);/.exec(read('nodes/shared/rate-meter.ts'))?.[1] ?? '';
  return Array.from(type.matchAll(/'(\w+)'/g), ([, unit]) => unit ?? '');
}

function blanks(text = ''): string[] {
  return Array.from(text.matchAll(/__(\w+?)__/g), ([, name]) => name ?? '').toSorted();
}
