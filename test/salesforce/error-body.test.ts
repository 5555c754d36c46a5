import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  describeErrors,
  errorsIn,
  hasCode,
  isHtml,
  parseErrorBody,
  sameCode,
} from '../../src/salesforce/error-body.ts';

describe('error bodies of Salesforce', () => {
  const bodies: { name: string; text: string; code: string; message: string; fields?: string[] }[] = [
    {
      name: 'Bulk 2.0, errorCode first',
      text: '[{"errorCode":"INVALIDJOBSTATE","message":"Aborting already Completed Job not allowed"}]',
      code: 'INVALIDJOBSTATE',
      message: 'Aborting already Completed Job not allowed',
    },
    {
      name: 'REST, message first, with fields',
      text: '[{"message":"Required fields are missing: [LastName]","errorCode":"REQUIRED_FIELD_MISSING","fields":["LastName"]}]',
      code: 'REQUIRED_FIELD_MISSING',
      message: 'Required fields are missing: [LastName]',
      fields: ['LastName'],
    },
    {
      name: 'Collections',
      text: '{"statusCode":"DUPLICATE_VALUE","message":"duplicate value found","fields":[]}',
      code: 'DUPLICATE_VALUE',
      message: 'duplicate value found',
    },
    {
      name: 'OAuth',
      text: '{"error":"invalid_grant","error_description":"authentication failure"}',
      code: 'invalid_grant',
      message: 'authentication failure',
    },
    {
      name: 'the asynchronous API',
      text: '{"exceptionCode":"InvalidSessionId","exceptionMessage":"Invalid session id"}',
      code: 'InvalidSessionId',
      message: 'Invalid session id',
    },
    {
      name: 'a page',
      text: '<html><head><style>body { color: red }</style></head><body><h1>Down for\n maintenance</h1></body></html>',
      code: 'HTTP_503',
      message: 'Down for maintenance',
    },
    { name: 'nothing', text: '', code: 'HTTP_503', message: '' },
    { name: 'JSON that says nothing', text: '[]', code: 'HTTP_503', message: '[]' },
    { name: 'plain text', text: 'Bad_OAuth_Token', code: 'HTTP_503', message: 'Bad_OAuth_Token' },
  ];
  for (const { name, text, code, message, fields = [] } of bodies) {
    it(`reads ${name}`, () => {
      assert.deepEqual(parseErrorBody(503, text), [{ errorCode: code, message, fields }]);
    });
  }

  it('keeps several errors', () => {
    const errors = parseErrorBody(400, '[{"errorCode":"A","message":"a"},{"errorCode":"B","message":""}]');
    assert.deepEqual(
      errors.map(({ errorCode }) => errorCode),
      ['A', 'B'],
    );
    assert.equal(describeErrors(errors), 'A: a; B');
  });

  it('takes the three spellings of a code for one', () => {
    for (const spelling of ['INVALIDJOBSTATE', 'InvalidJobState', 'INVALID_JOB_STATE']) {
      assert.ok(sameCode(spelling, 'INVALIDJOBSTATE'));
      assert.ok(hasCode([{ errorCode: spelling, message: '', fields: [] }], 'InvalidJobState'));
    }
    assert.ok(!sameCode('INVALIDJOB', 'INVALIDJOBSTATE'));
  });

  it('never holds a long text', () => {
    const [error] = parseErrorBody(500, `<html>${'word '.repeat(10_000)}</html>`);
    assert.ok((error?.message.length ?? 0) < 400);
  });

  it('tells a page by its type or by its text', () => {
    assert.ok(isHtml('text/html; charset=UTF-8', ''));
    assert.ok(isHtml(undefined, '\n <!DOCTYPE html><html>'));
    assert.ok(!isHtml('application/json', '{"a":"<html>"}'));
    assert.ok(!isHtml('text/csv', '"<html>"'));
  });

  it('reads anything at all without throwing, and always finds an error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), fc.integer({ min: 100, max: 599 }), (text, status) => {
        const errors = parseErrorBody(status, text);
        return errors.length > 0 && errors.every(({ errorCode }) => errorCode !== '');
      }),
      { seed: 7 },
    );
    assert.deepEqual(errorsIn(null), []);
  });
});
