import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { isLoadError } from '../../src/errors.ts';
import type { ErrorCategory, FailedRow } from '../../src/failure.ts';
import { type ClassifierOptions, createClassifier } from '../../src/failures/classify.ts';
import { formatError, parseRestErrors } from '../../src/failures/parse-error.ts';
import { EXPECTED } from './sf-errors-expected.ts';

interface SeenError {
  form: string;
  code: string;
  text: string;
}

interface TableLine {
  code: string;
  category: string;
  retry_same_record_unchanged: string;
}

function readCsv<T>(path: string): T[] {
  return parse(readFileSync(new URL(path, import.meta.url)), { columns: true });
}

const SEEN = readCsv<SeenError>('./fixtures/sf-errors.csv');
const TABLE = readCsv<TableLine>('../../src/failures/rules/status-codes.csv');
const AT = '2026-03-01T02:10:00.000Z';

/** The issue's words on how the table is read. */
const ISSUE_CATEGORIES: Record<string, ErrorCategory> = {
  DATA: 'VALIDATION',
  DUPLICATE: 'DUPLICATE_VALUE',
  QUOTA: 'LIMIT',
};
const LOCKS = ['UNABLE_TO_LOCK_ROW', 'TooManyLockFailure'];

function rowOf(error: string, columns: Record<string, string> = {}): FailedRow {
  return { sf__Id: '', sf__Error: error, sf__Key: 'k1', ...columns };
}

function explainWith(text: string, options: Partial<ClassifierOptions> = {}) {
  return createClassifier({ ruleSet: 'complete', ...options }).explain(text);
}

function configError(options: Partial<ClassifierOptions>): string {
  try {
    createClassifier({ ruleSet: 'complete', ...options });
  } catch (error) {
    assert.ok(isLoadError(error, 'CONFIG_INVALID'), String(error));
    return error.message;
  }
  assert.fail('the rule was accepted');
}

describe('classification by the complete rule set', () => {
  it('gives every code of the table the category and the retry that the issue sets down', () => {
    assert.equal(TABLE.length, 616);
    for (const { code, category, retry_same_record_unchanged: retry } of TABLE) {
      const { errorCode, errorCategory, retryable, rule } = explainWith(`${code}:some text:Name --`);
      const expected = LOCKS.includes(code) ? 'LOCK' : (ISSUE_CATEGORIES[category] ?? category);
      assert.deepEqual(
        { errorCode, errorCategory, retryable, rule },
        { errorCode: code, errorCategory: expected, retryable: retry === 'yes', rule: `code ${code}` },
      );
    }
  });

  it('gives every text of sf-errors.csv its expected code, fields and category, read as it stands', () => {
    assert.equal(SEEN.length, EXPECTED.length);
    for (const { line, fields = [], inner = [], complete } of EXPECTED) {
      const seen = SEEN[line - 1];
      assert.ok(seen);
      const found = explainWith(seen.text);
      assert.deepEqual(
        [line, found.errorCode, found.errorFields, found.innerCodes, found.errorCategory, found.retryable],
        [line, seen.code, fields, inner, ...complete],
      );
    }
  });

  it('gives the REST texts the same when they come with their code beside them', () => {
    for (const { line, complete } of EXPECTED) {
      const seen = SEEN[line - 1];
      if (seen?.form !== 'rest') continue;
      for (const spelling of ['errorCode', 'statusCode']) {
        const error = parseRestErrors([{ [spelling]: seen.code, message: seen.text, fields: [] }]);
        const found = explainWith(formatError(error));
        assert.deepEqual([found.errorCode, found.errorCategory, found.retryable], [seen.code, ...complete]);
      }
    }
  });

  const CASES: [string, ErrorCategory, boolean, string][] = [
    [
      'DUPLICATE_VALUE:Duplicate external id specified: A-17:External_Id__c --',
      'DUPLICATE_VALUE',
      true,
      'text: same external id twice in one save',
    ],
    [
      'UNKNOWN_EXCEPTION:An unexpected error occurred. Please include this ErrorId if you contact support: 1-2 (3):--',
      'CONDITIONAL',
      true,
      'text: server fault with an error id',
    ],
    ['EXCEEDEDQUOTA : Batches of the day', 'LIMIT', false, 'code EXCEEDED_QUOTA'],
    ['InternalServerError : Retried more than 10 times', 'TRANSIENT', true, 'code InternalServerError'],
    [
      'null:InvalidBatch : InvalidBatch : Field name not found : Name. Batch will not be retried.',
      'REQUEST',
      false,
      'code InvalidBatch',
    ],
    [
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:ContactTrigger: execution of AfterInsert\n\ncaused by: System.DmlException: Update failed. First exception on row 0 with id 0013000000ABCDe; first error: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access to this record: []:--',
      'LOCK',
      true,
      'inner code UNABLE_TO_LOCK_ROW',
    ],
    [
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: first error: CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY, AccountTrigger: System.LimitException: Apex CPU time limit exceeded: []:--',
      'CONDITIONAL',
      true,
      'text: Apex governor limit',
    ],
    [
      "CANNOT_EXECUTE_FLOW_TRIGGER:We can't save this record. This error occurred: REQUIRED_FIELD_MISSING: Limit Exceeded must be filled:--",
      'VALIDATION',
      false,
      'inner code REQUIRED_FIELD_MISSING',
    ],
    [
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: first error: DUPLICATE_VALUE, Duplicate external id specified: 5: []:--',
      'DUPLICATE_VALUE',
      true,
      'inner text: same external id twice in one save',
    ],
    [
      'FLOW_EXCEPTION:Die Aktion ist fehlgeschlagen: „Konto“ fehlt:--',
      'CONDITIONAL',
      false,
      'code FLOW_EXCEPTION',
    ],
    [
      'FIELD_CUSTOM_VALIDATION_EXCEPTION:Credit Limit Exceeded; CPU time limit: "none" -- see A:B:--',
      'VALIDATION',
      false,
      'code FIELD_CUSTOM_VALIDATION_EXCEPTION',
    ],
    [
      'UNABLE_TO_LOCK_ROW:unable to obtain exclusive access:--;STRING_TOO_LONG:Title: data value too large:Title --',
      'VALIDATION',
      false,
      'code STRING_TOO_LONG',
    ],
  ];
  for (const [text, category, retryable, rule] of CASES) {
    it(`lets "${rule}" decide on ${text.slice(0, 60).replaceAll('\n', ' ')}`, () => {
      const found = explainWith(text);
      assert.deepEqual([found.errorCategory, found.retryable, found.rule], [category, retryable, rule]);
    });
  }

  it('counts codes that nobody knows, names each once, and does not retry them', () => {
    const named: string[] = [];
    const classifier = createClassifier({ ruleSet: 'complete', onUnknownCode: (code) => named.push(code) });
    const failures = ['BRAND_NEW_FAULT:x:--', 'BRAND_NEW_FAULT:y:--', 'etwas anderes'].map((error) =>
      classifier.classify(rowOf(error), AT),
    );
    classifier.explain('ONLY_ASKED_ABOUT:x:--');
    assert.deepEqual(
      failures.map((failure) => [failure.errorCode, failure.errorCategory, failure.retryable, failure.rule]),
      [
        ['BRAND_NEW_FAULT', 'OTHER', false, 'unknown code BRAND_NEW_FAULT'],
        ['BRAND_NEW_FAULT', 'OTHER', false, 'unknown code BRAND_NEW_FAULT'],
        ['NO_CODE', 'OTHER', false, 'unknown code NO_CODE'],
      ],
    );
    assert.deepEqual(named, ['BRAND_NEW_FAULT', 'NO_CODE']);
    assert.deepEqual(
      [...classifier.unknownCodes],
      [
        ['BRAND_NEW_FAULT', 2],
        ['NO_CODE', 1],
      ],
    );
  });
});

describe('classification by the mule rule set', () => {
  it('agrees with the DataWeave on every text of sf-errors.csv', () => {
    for (const { line, mule } of EXPECTED) {
      const found = explainWith(SEEN[line - 1]?.text ?? '', { ruleSet: 'mule' });
      assert.deepEqual([line, found.errorCategory, found.retryable], [line, ...mule]);
    }
  });

  const CASES: [string, ErrorCategory, boolean][] = [
    ['STORAGE_LIMIT_EXCEEDED:storage limit exceeded:--', 'LIMIT', false],
    ['DUPLICATE_VALUE: then STORAGE_LIMIT_EXCEEDED', 'DUPLICATE_VALUE', false],
    ['REQUIRED_FIELD_MISSING: then STORAGE_LIMIT_EXCEEDED', 'VALIDATION', false],
    ['duplicate value', 'OTHER', true],
    ['', 'OTHER', true],
  ];
  for (const [text, category, retryable] of CASES) {
    it(`reads "${text}" as the DataWeave does`, () => {
      const found = explainWith(text, { ruleSet: 'mule' });
      assert.deepEqual([found.errorCategory, found.retryable], [category, retryable]);
    });
  }
});

describe('a failure', () => {
  it('keeps the record as uploaded, the text as received, and its first attempt', () => {
    const error = 'REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --';
    const classifier = createClassifier({ ruleSet: 'complete' });
    const row = rowOf(error, {
      sf__Created: 'false',
      External_Id__c: 'C-1',
      'Account.External_Id__c': 'A-1',
      Email: '',
    });
    assert.deepEqual(classifier.classify(row, AT), {
      key: 'k1',
      sfId: '',
      error,
      errorCode: 'REQUIRED_FIELD_MISSING',
      errorMessage: 'Required fields are missing: [LastName]',
      errorFields: ['LastName'],
      errorCategory: 'VALIDATION',
      retryable: false,
      rule: 'code REQUIRED_FIELD_MISSING',
      originalData: { External_Id__c: 'C-1', 'Account.External_Id__c': 'A-1', Email: '' },
      attempts: [
        {
          at: AT,
          via: 'bulk',
          errorCode: 'REQUIRED_FIELD_MISSING',
          errorMessage: 'Required fields are missing: [LastName]',
        },
      ],
    });
  });

  it('shares nothing with the next failure of the same text', () => {
    const classifier = createClassifier({ ruleSet: 'complete' });
    const first = classifier.classify(rowOf('STRING_TOO_LONG:x:Title --'), AT);
    first.errorFields.push('changed');
    first.attempts.pop();
    const second = classifier.classify(rowOf('STRING_TOO_LONG:x:Title --'), AT);
    assert.deepEqual([second.errorFields, second.attempts.length], [['Title'], 1]);
  });
});

describe("the user's own rules", () => {
  const rules = [
    { match: 'regex', value: '^FIELD_CUSTOM.*[Cc]redit', category: 'TRANSIENT', retryable: true },
    { match: 'contains', value: 'Handover', category: 'REFERENCE', retryable: true },
    { match: 'code', value: 'UNABLE_TO_LOCK_ROW', category: 'LOCK', retryable: false },
  ] as const;

  it('come first, in their order, and are named by their number', () => {
    const classifier = createClassifier({ ruleSet: 'complete', rules });
    const texts = [
      'FIELD_CUSTOM_VALIDATION_EXCEPTION:No credit without Handover:--',
      'FIELD_CUSTOM_VALIDATION_EXCEPTION:Handover first:--',
      'UNABLE_TO_LOCK_ROW:x:--',
      'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:first error: UNABLE_TO_LOCK_ROW, x:--',
    ];
    assert.deepEqual(
      texts
        .map((text) => classifier.explain(text))
        .map((found) => [found.rule, found.errorCategory, found.retryable]),
      [
        ['own rule 1', 'TRANSIENT', true],
        ['own rule 2', 'REFERENCE', true],
        ['own rule 3', 'LOCK', false],
        ['inner code UNABLE_TO_LOCK_ROW', 'LOCK', true],
      ],
    );
  });

  it('stand before the mule rules too', () => {
    const found = explainWith('UNABLE_TO_LOCK_ROW:x:--', { ruleSet: 'mule', rules });
    assert.deepEqual([found.rule, found.retryable], ['own rule 3', false]);
  });

  const rule = (value: string) => ({ match: 'regex', value, category: 'OTHER', retryable: false }) as const;

  it('name the rule and the reason when a pattern cannot be used', () => {
    const first = { match: 'code', value: 'X', category: 'OTHER', retryable: false } as const;
    const refused = (value: string) => configError({ rules: [first, rule(value)] });
    assert.match(
      refused('(a'),
      /^Classification rule 2: the regular expression is not valid: .*missing closing \)/,
    );
    assert.match(refused('(?=a)b'), /^Classification rule 2: look-ahead and look-behind are not available/);
    assert.match(refused('(?<!a)b'), /look-ahead and look-behind/);
    assert.match(refused('(a)\\1'), /^Classification rule 2: backreferences are not available/);
    assert.match(refused('(?<n>a)\\k<n>'), /backreferences/);
    assert.match(refused('(?:abcdefghij){60}'), /too large: it stands for \d+ steps/);
    assert.match(refused('a'.repeat(1001)), /longer than 1000 characters/);
  });

  it('are refused when they are not rules', () => {
    const refused = (change: object) => configError({ rules: [{ ...rule('a'), ...change }] });
    assert.match(refused({ match: 'like' }), /rule 1: match must be/);
    assert.match(refused({ value: '' }), /rule 1: the value is empty/);
    assert.match(refused({ category: 'MINE' }), /rule 1: the category must be one of DUPLICATE_VALUE, /);
    assert.match(refused({ retryable: 'yes' }), /rule 1: retryable must be true or false/);
    assert.match(configError({ ruleSet: 'other' as 'mule' }), /Rule set: must be one of complete, mule/);
  });

  it('cannot hang the process: patterns that take others years run in linear time', () => {
    const hostile = [
      '(x+x+)+y',
      '^(([a-z])+.)+[A-Z]([a-z])+$',
      '(.*a){12}z',
      '(a|aa)+$',
      '([ab]*a[ab]{450})+[^ab]',
      '(a*)*$',
    ];
    const classifier = createClassifier({
      ruleSet: 'complete',
      rules: hostile.map(rule),
    });
    const texts = ['x', 'a', 'ab', 'aB1'].map((piece) => `SOME_CODE:${piece.repeat(20_000)}!:--`);
    const before = performance.now();
    for (const text of texts) classifier.explain(text);
    const took = performance.now() - before;
    assert.ok(took < 4_000, `took ${took} ms`);
  });
});
