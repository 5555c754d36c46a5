import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  formatError,
  NO_CODE,
  type ParsedError,
  parseError,
  parseRestErrors,
} from '../../src/failures/parse-error.ts';

function parts(text: string): [string, string, string[]] {
  const { errorCode, errorMessage, errorFields } = parseError(text);
  return [errorCode, errorMessage, errorFields];
}

describe('parseError', () => {
  const CASES: [string, string, string, string[]][] = [
    [
      'REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --',
      'REQUIRED_FIELD_MISSING',
      'Required fields are missing: [Name]',
      ['Name'],
    ],
    ['X_Y:two fields:First__c,Rel__r.Second__c --', 'X_Y', 'two fields', ['First__c', 'Rel__r.Second__c']],
    ['X_Y:no field:--', 'X_Y', 'no field', []],
    ['X_Y:no field: --', 'X_Y', 'no field', []],
    ['X_Y: space in front:--\n', 'X_Y', 'space in front', []],
    ['X_Y:ends with dashes --', 'X_Y', 'ends with dashes --', []],
    [
      'X_Y:says "a: b", then\nmore: "c"\r\nand 1:2:Field --',
      'X_Y',
      'says "a: b", then\nmore: "c"\r\nand 1:2',
      ['Field'],
    ],
    ['X_Y:値が正しくありません: 「電話」:Phone --', 'X_Y', '値が正しくありません: 「電話」', ['Phone']],
    ['X_Y:label is not a field:Nachname fehlt --', 'X_Y', 'label is not a field:Nachname fehlt --', []],
    ['X_Y:', 'X_Y', '', []],
    ['X_Y', 'X_Y', '', []],
    ['', NO_CODE, '', []],
    [':--', NO_CODE, '', []],
    [
      'TooManyLockFailure : Too many lock failure 200 Trying again later.',
      'TooManyLockFailure',
      'Too many lock failure 200 Trying again later.',
      [],
    ],
    ['InvalidBatch : Field name not found : Naam', 'InvalidBatch', 'Field name not found : Naam', []],
    [
      'null:InvalidBatch : InvalidBatch : Field name not found : Name. Batch will not be retried.',
      'InvalidBatch',
      'Field name not found : Name. Batch will not be retried.',
      [],
    ],
    ['Timeout : took too long', 'Timeout', 'took too long', []],
    ['Nom : valeur trop longue', NO_CODE, 'Nom : valeur trop longue', []],
    ['Phone: not a code', NO_CODE, 'Phone: not a code', []],
    [
      'Required fields are missing: [LastName]',
      'REQUIRED_FIELD_MISSING',
      'Required fields are missing: [LastName]',
      [],
    ],
  ];
  for (const [text, code, message, fields] of CASES) {
    it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parts(text), [code, message, fields]));
  }

  it('reads several faults of one record, however they are joined', () => {
    for (const joint of [';', '; ', '\n', '']) {
      const found = parseError(`STRING_TOO_LONG:a -- b; c:Title --${joint}INVALID_EMAIL_ADDRESS:d:Email --`);
      assert.deepEqual(
        [found.errorCode, found.errorMessage, found.errorFields],
        ['STRING_TOO_LONG', 'a -- b; c', ['Title']],
      );
      assert.deepEqual(found.further, [
        {
          errorCode: 'INVALID_EMAIL_ADDRESS',
          errorMessage: 'd',
          errorFields: ['Email'],
          innerCodes: [],
          further: [],
        },
      ]);
    }
  });

  it('finds codes inside the message, and only those', () => {
    const text =
      'FLOW_EXCEPTION:MY_FLOW_STEP: UNABLE_TO_LOCK_ROW, then NOT_FOUND and UNABLE_TO_LOCK_ROW in MY_NOT_FOUND_LIST:--';
    assert.deepEqual(parseError(text).innerCodes, ['UNABLE_TO_LOCK_ROW', 'NOT_FOUND']);
  });

  it('takes any text in linear time', () => {
    const pieces = ['A', 'Aa', ':', ': ', ' : ', ':a --', '--', 'A_B:', ' ', '_', 'A_', ';\n'];
    const before = performance.now();
    for (const piece of pieces) parseError(piece.repeat(200_000));
    const took = performance.now() - before;
    assert.ok(took < 2_000, `took ${took} ms`);
  });

  it('gives back every code, message and field list that was put into the frame (property)', () => {
    const code = fc.constantFrom('STRING_TOO_LONG', 'UNABLE_TO_LOCK_ROW', 'BRAND_NEW_FAULT', 'InvalidBatch');
    const field = fc.stringMatching(/^[A-Za-z]\w{0,20}(\.[A-Za-z]\w{0,20})?$/);
    const message = fc.string({ unit: 'grapheme', maxLength: 80 }).map((text) => text.trim());
    fc.assert(
      fc.property(
        code,
        message,
        fc.array(field, { maxLength: 4 }),
        (errorCode, errorMessage, errorFields) => {
          const frame: ParsedError = { errorCode, errorMessage, errorFields, innerCodes: [], further: [] };
          assert.deepEqual(parts(formatError(frame)), [errorCode, errorMessage, errorFields]);
        },
      ),
      { seed: 20260301, numRuns: 2_000 },
    );
  });
});

describe('parseRestErrors', () => {
  it('reads both spellings, absent and null fields, and several errors', () => {
    const found = parseRestErrors([
      { message: 'Duplicate: "x"', errorCode: 'DUPLICATE_VALUE', fields: ['A__c'] },
      { statusCode: 'CANNOT_EXECUTE_FLOW_TRIGGER', message: 'inner UNABLE_TO_LOCK_ROW', fields: null },
    ]);
    assert.deepEqual(found, {
      errorCode: 'DUPLICATE_VALUE',
      errorMessage: 'Duplicate: "x"',
      errorFields: ['A__c'],
      innerCodes: [],
      further: [
        {
          errorCode: 'CANNOT_EXECUTE_FLOW_TRIGGER',
          errorMessage: 'inner UNABLE_TO_LOCK_ROW',
          errorFields: [],
          innerCodes: ['UNABLE_TO_LOCK_ROW'],
          further: [],
        },
      ],
    });
  });

  it('gives NO_CODE for no error at all', () => assert.equal(parseRestErrors([]).errorCode, NO_CODE));
});
