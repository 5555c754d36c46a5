import assert from 'node:assert/strict';
import fc from 'fast-check';
import { queriesWithin, soqlLiteral, soqlText } from '../../src/salesforce/soql.ts';

describe('SOQL', () => {
  it('quotes what could end a text', () => {
    assert.equal(soqlText(`O'Neil\\ "x"\n`), `'O\\'Neil\\\\ \\"x\\"\\n'`);
  });

  it('never lets a value out of its quotes', () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        const quoted = soqlText(value);
        return /^'(?:[^'\\]|\\.)*'$/su.test(quoted) && unquoted(quoted) === value;
      }),
      { seed: 11, numRuns: 500 },
    );
  });

  it('takes only numbers for number fields', () => {
    assert.equal(soqlLiteral(' 12.50 ', 'number'), '12.50');
    assert.equal(soqlLiteral('1e3', 'number'), '1e3');
    assert.equal(soqlLiteral('1 OR Name != null', 'number'), undefined);
    assert.equal(soqlLiteral('', 'number'), undefined);
  });

  it('asks for all values in URLs of a bearable length', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 60 }), { minLength: 1, maxLength: 300 }), (values) => {
        const literals = values.map(soqlText);
        const queries = queriesWithin('SELECT Id FROM Contact WHERE E__c IN', literals, 1000);
        assert.ok(queries.every((soql) => encodeURIComponent(soql).length <= 1000 || !soql.includes("','")));
        const asked = queries.flatMap((soql) => soql.match(/'(?:[^'\\]|\\.)*'/gsu) ?? []);
        assert.deepEqual(asked, literals);
      }),
      { seed: 13 },
    );
    assert.deepEqual(queriesWithin('SELECT', []), []);
  });
});

const UNESCAPED: Record<string, string> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/gs, (_all, character: string) => UNESCAPED[character] ?? character);
}
