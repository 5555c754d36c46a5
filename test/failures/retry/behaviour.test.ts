import assert from 'node:assert/strict';
import { isLoadError } from '../../../src/errors.ts';
import type { Failure } from '../../../src/failure.ts';
import { createClassifier } from '../../../src/failures/classify.ts';
import { failureOf, startWorld, type World } from '../support/world.ts';

const INSERT = {
  id: '750xx',
  object: 'Contact',
  operation: 'insert',
  externalIdField: 'External_Id__c',
} as const;
const UPSERT = { ...INSERT, operation: 'upsert' } as const;

const LOCK = 'UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--';
const GOVERNOR =
  'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: System.LimitException: Too many SOQL queries: 101:--';

describe('a retry', () => {
  let world: World;
  let serial = 0;
  before(async () => {
    world = await startWorld();
  });
  beforeEach(() => world.org.reset());
  after(() => world.close());

  /** Failures of contacts, one for each external id; every test has keys of its own. */
  function contacts(externalIds: string[], error = LOCK, more: Record<string, string> = {}): Failure[] {
    serial += 1;
    return externalIds.map((id) =>
      failureOf(
        world.classifier,
        `${serial} ${id}`,
        { LastName: `N ${id}`, External_Id__c: id, ...more },
        error,
      ),
    );
  }

  const numbered = (count: number, mark = '') => Array.from({ length: count }, (_, at) => `C-${at}${mark}`);
  const run = <T>(promise: Promise<T>) => world.clock.runUntil(promise);
  const callsOf = (method: string, path: string) =>
    world.recordCalls().filter((call) => call === `${method} ${path}`).length;
  const always = (status: number, body: unknown) =>
    world.org.faults.add({ path: /sobjects/, method: 'POST', kind: 'status', status, body });

  it('sends nothing that cannot pass, and gives it back as it was', async () => {
    const permanent = contacts(numbered(3), 'STRING_TOO_LONG:Title: data value too large:Title --');
    const result = await run(world.retry().retry(permanent, INSERT));
    assert.deepEqual(result, { succeeded: [], failed: permanent, calls: 0 });
    assert.deepEqual(world.recordCalls(), []);
  });

  it('keeps the order of the failures, and counts one that comes twice once', async () => {
    const [a, b, c] = contacts(['C-a', 'C-b', 'C-c']);
    assert.ok(a && b && c);
    const result = await run(world.retry().retry([c, a, b, a], INSERT));
    assert.deepEqual(
      result.succeeded.map(({ key }) => key),
      [c.key, a.key, b.key],
    );
    assert.equal(world.org.audit.insertsPerKey('Contact', 'External_Id__c').inserts, 3);
  });

  it('tells the history of a record that passed', async () => {
    const [failure] = contacts(['C-1']);
    assert.ok(failure);
    const { succeeded } = await run(world.retry({ mode: 'individual' }).retry([failure], INSERT));
    const at = new Date(world.clock.now()).toISOString();
    assert.deepEqual(succeeded, [
      {
        key: failure.key,
        sfId: [...world.org.records('Contact')][0]?.Id,
        originalData: failure.originalData,
        attempts: [...failure.attempts, { at, via: 'individual', errorCode: '', errorMessage: '' }],
      },
    ]);
  });

  it('judges a new error by the same rules, and keeps both in the history', async () => {
    const [failure] = contacts(['C-1'], LOCK, { Email: 'no address' });
    assert.ok(failure);
    const { failed, calls } = await run(world.retry({ mode: 'individual' }).retry([failure], INSERT));
    assert.equal(calls, 1);
    const [left] = failed;
    assert.deepEqual(
      [left?.errorCode, left?.errorCategory, left?.retryable, left?.errorFields, left?.rule],
      ['INVALID_EMAIL_ADDRESS', 'VALIDATION', false, ['Email'], 'code INVALID_EMAIL_ADDRESS'],
    );
    assert.deepEqual(left?.error, 'INVALID_EMAIL_ADDRESS:Email: invalid email address: no address:Email --');
    assert.deepEqual(
      left?.attempts.map(({ via, errorCode }) => [via, errorCode]),
      [
        ['bulk', 'UNABLE_TO_LOCK_ROW'],
        ['individual', 'INVALID_EMAIL_ADDRESS'],
      ],
    );
  });

  describe('of what the user’s own rules or the rule set `mule` call retryable', () => {
    const TRY_LATER = 'FIELD_CUSTOM_VALIDATION_EXCEPTION:try later:Email --';
    const answers = (message: string, times = 2) =>
      world.org.faults.add({
        ...{ path: /sobjects/, method: 'POST', kind: 'status', status: 400, times },
        body: [{ errorCode: 'FIELD_CUSTOM_VALIDATION_EXCEPTION', message, fields: ['Email'] }],
      });
    const own = createClassifier({
      ruleSet: 'complete',
      rules: [{ match: 'contains', value: 'try later', category: 'TRANSIENT', retryable: true }],
    });
    const mule = createClassifier({ ruleSet: 'mule' });
    for (const [rules, classifier, error] of [
      ['own rules', own, TRY_LATER],
      ['mule', mule, TRY_LATER],
    ] as const) {
      const one = (mark: string) =>
        failureOf(classifier, `${rules} ${mark}`, { LastName: 'x', External_Id__c: `R-${mark}` }, error);

      it(`tries again while the answer stays the same (${rules})`, async () => {
        answers('try later');
        const failure = one('heals');
        const { succeeded, calls } = await run(world.retry({ mode: 'individual' }).retry([failure], INSERT));
        assert.deepEqual([succeeded.length, calls], [1, 3]);
      });

      it(`keeps category and rule after maxAttempts, also when the batch comes again (${rules})`, async () => {
        answers('try later', 9);
        const failure = one('stays');
        for (const calls of [3, 0]) {
          const result = await run(world.retry({ mode: 'individual' }).retry([failure], INSERT));
          const [left] = result.failed;
          assert.equal(result.calls, calls);
          assert.deepEqual(
            [left?.errorCategory, left?.retryable, left?.rule, left?.attempts.length],
            [failure.errorCategory, true, failure.rule, 4],
          );
        }
      });

      it(`judges any other answer by the complete rule set (${rules})`, async () => {
        answers('never');
        const failure = one('changes');
        const { failed, calls } = await run(world.retry({ mode: 'individual' }).retry([failure], INSERT));
        assert.equal(calls, 1);
        assert.deepEqual(
          failed.map(({ errorCategory, retryable, rule }) => [errorCategory, retryable, rule]),
          [['VALIDATION', false, 'code FIELD_CUSTOM_VALIDATION_EXCEPTION']],
        );
      });
    }
  });

  it('waits between tries, longer each time, and gives up after maxAttempts', async () => {
    always(400, [
      { message: 'unable to obtain exclusive access to this record', errorCode: 'UNABLE_TO_LOCK_ROW' },
    ]);
    const from = world.clock.slept.length;
    const retry = world.retry({ mode: 'individual', maxAttempts: 4 });
    const { failed, calls } = await run(retry.retry(contacts(['C-1']), INSERT));
    assert.equal(calls, 4);
    assert.deepEqual(world.clock.slept.slice(from), [750, 1500, 3000]);
    assert.equal(failed[0]?.attempts.length, 5);
    assert.deepEqual([failed[0]?.errorCode, failed[0]?.retryable], ['UNABLE_TO_LOCK_ROW', true]);
  });

  it('spreads the waits by chance, between a half and the whole', async () => {
    always(400, [{ message: 'x', errorCode: 'UNABLE_TO_LOCK_ROW' }]);
    for (const [random, wait] of [
      [0, 500],
      [0.999999, 1000],
    ] as const) {
      const from = world.clock.slept.length;
      const retry = world.retry({ mode: 'individual', maxAttempts: 2, random: () => random });
      await run(retry.retry(contacts(['C-1']), INSERT));
      assert.deepEqual(world.clock.slept.slice(from), [wait]);
    }
  });

  it('does not fray a call into many: those of one call that wait are sent together again', async () => {
    world.org.faults.add({
      path: /composite/,
      kind: 'status',
      status: 200,
      times: 1,
      body: numbered(150).map(() => ({
        success: false,
        errors: [{ statusCode: 'UNABLE_TO_LOCK_ROW', message: 'x', fields: [] }],
      })),
    });
    let dice = 0;
    const random = () => {
      dice = (dice + 0.37) % 1;
      return dice;
    };
    const { succeeded, calls } = await run(world.retry({ random }).retry(contacts(numbered(150)), INSERT));
    assert.equal(succeeded.length, 150);
    assert.equal(callsOf('POST', '/composite/sobjects'), 2);
    assert.ok(calls <= 3, String(calls));
  });

  it('individual: one call a record', async () => {
    await run(world.retry({ mode: 'individual' }).retry(contacts(numbered(5)), INSERT));
    assert.equal(callsOf('POST', '/sobjects/Contact'), 5);
    assert.equal(callsOf('POST', '/composite/sobjects'), 0);
  });

  it('auto: in company first, then alone those that failed for the sake of the company', async () => {
    const failures = [...contacts(numbered(3, '-APEX-'), GOVERNOR), ...contacts(['C-7', 'C-8'])];
    const { succeeded } = await run(world.retry({ maxAttempts: 1 }).retry(failures, INSERT));
    assert.equal(succeeded.length, 5);
    // Locks and governor faults do not travel together: one could spoil the other's call.
    assert.equal(callsOf('POST', '/composite/sobjects'), 2);
    assert.equal(callsOf('POST', '/sobjects/Contact'), 3);
    assert.deepEqual(
      succeeded[0]?.attempts.map(({ via, errorCode }) => [via, errorCode]),
      [
        ['bulk', 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY'],
        ['collections', 'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY'],
        ['individual', ''],
      ],
    );
  });

  it('auto: an innocent record whose whole call was hit passes alone', async () => {
    const failures = contacts(['C-1-APEXALL-', 'C-2', 'C-3'], GOVERNOR);
    const { succeeded } = await run(world.retry().retry(failures, INSERT));
    assert.equal(succeeded.length, 3);
  });

  it('collections: sends them in smaller and smaller company', async () => {
    const retry = world.retry({ mode: 'collections', maxAttempts: 5 });
    const { succeeded, failed } = await run(retry.retry(contacts(numbered(4, '-FLOW-'), GOVERNOR), INSERT));
    assert.deepEqual([succeeded.length, failed.length], [4, 0]);
  });

  it('does not send two records with one key in one call', async () => {
    const failures = [...contacts(['C-1', 'C-2']), ...contacts(['c-1'], LOCK, { LastName: 'Second' })];
    const { succeeded } = await run(world.retry().retry(failures, UPSERT));
    assert.equal(succeeded.length, 3);
    assert.equal(world.org.audit.rows('Contact'), 2);
    assert.ok(succeeded.every(({ attempts }) => attempts.length === 2));
  });

  it('finds the one record that has a whole call refused', async () => {
    const bad = await startWorld({ collectionsBadValue: 'call' });
    try {
      const rows = numbered(100).map((id) => ({
        LastName: id,
        External_Id__c: id,
        Score__c: id === 'C-61' ? 'many' : '1',
      }));
      const failures = rows.map((row, at) => failureOf(bad.classifier, `bad ${at}`, row));
      const { succeeded, failed, calls } = await bad.clock.runUntil(bad.retry().retry(failures, INSERT));
      assert.equal(succeeded.length, 99);
      assert.deepEqual(
        failed.map(({ originalData, errorCode }) => [originalData.External_Id__c, errorCode]),
        [['C-61', 'JSON_PARSER_ERROR']],
      );
      assert.ok(calls <= 16, String(calls));
    } finally {
      await bad.close();
    }
  });

  describe('refused with HTTP 403', () => {
    const refuse = (...codes: string[]) =>
      world.org.faults.add({
        ...{ path: /sobjects/, method: 'POST', kind: 'status', status: 403, times: 1, nth: 2 },
        body: codes.map((errorCode) => ({ errorCode, message: 'x' })),
      });

    for (const code of ['INSUFFICIENT_ACCESS_OR_READONLY', 'INVALID_CROSS_REFERENCE_KEY', 'INVALID_STATUS']) {
      it(`is that record's answer where the code is about it, as ${code} is`, async () => {
        refuse(code);
        const failures = contacts(numbered(3));
        const { succeeded, failed } = await run(world.retry({ mode: 'individual' }).retry(failures, INSERT));
        assert.equal(succeeded.length, 2);
        assert.deepEqual(
          failed.map(({ errorCode, retryable }) => [errorCode, retryable]),
          [[code, false]],
        );
      });
    }

    for (const codes of [
      ['API_DISABLED_FOR_ORG'],
      ['API_CURRENTLY_DISABLED'],
      ['FUNCTIONALITY_NOT_ENABLED'],
      ['NOT_KNOWN_TO_ANY_TABLE'],
      ['INSUFFICIENT_ACCESS_OR_READONLY', 'API_DISABLED_FOR_ORG'],
    ]) {
      it(`breaks the retry off where it is not, as with ${codes.join(' and ')}`, async () => {
        refuse(...codes);
        const failures = contacts(numbered(3));
        const { broken } = await run(world.retry({ mode: 'individual' }).retry(failures, INSERT));
        assert.match(String(broken?.error), new RegExp(codes[0] ?? ''));
        assert.deepEqual(broken?.rest, failures.slice(1));
      });
    }

    it('breaks it off for a whole Collections call', async () => {
      world.org.faults.add({
        ...{ path: /composite/, method: 'POST', kind: 'status', status: 403 },
        body: [{ errorCode: 'INSUFFICIENT_ACCESS_OR_READONLY', message: 'x' }],
      });
      const { broken } = await run(world.retry().retry(contacts(numbered(3)), INSERT));
      assert.match(String(broken?.error), /INSUFFICIENT_ACCESS/);
    });
  });

  it('fails a record without its id or key in Salesforce’s words, without a call', async () => {
    const everything = createClassifier({ ruleSet: 'mule' });
    const update = { ...INSERT, operation: 'update' } as const;
    const [noId, badId] = ['', 'not an id'].map((Id, at) =>
      failureOf(everything, `id ${at}`, { Id, LastName: 'x' }, LOCK),
    );
    assert.ok(noId && badId);
    const result = await run(world.retry().retry([noId, badId], update));
    assert.deepEqual(
      result.failed.map(({ error }) => error),
      ['MISSING_ARGUMENT:Id not specified in an update call:--', 'MALFORMED_ID:bad id not an id:--'],
    );
    const [noKey] = contacts(['']);
    assert.ok(noKey);
    const upserted = await run(world.retry().retry([noKey], UPSERT));
    assert.deepEqual(
      upserted.failed.map(({ error }) => error),
      ['MISSING_ARGUMENT:External_Id__c not specified:--'],
    );
    assert.deepEqual(world.recordCalls(), []);
  });

  it('takes the id of a failed update from sf__Id where the record has none', async () => {
    const id = world.org.insert('Contact', { LastName: 'Old' });
    const failure = failureOf(world.classifier, `sfid ${serial}`, { LastName: 'New' }, LOCK, id);
    await run(world.retry().retry([failure], { ...INSERT, operation: 'update' }));
    assert.equal([...world.org.records('Contact')][0]?.LastName, 'New');
  });

  it('refuses failures without a key, and numbers that make no sense', async () => {
    const [failure] = contacts(['C-1']);
    assert.ok(failure);
    await assert.rejects(world.retry().retry([{ ...failure, key: '' }], INSERT), (error) =>
      isLoadError(error, 'RECORD_INVALID'),
    );
    for (const wrong of [
      { maxAttempts: 0 },
      { concurrency: 1.5 },
      { backoffMs: -1 },
      { backoffMs: Number.NaN },
    ]) {
      assert.throws(
        () => world.retry(wrong),
        (error) => isLoadError(error, 'CONFIG_INVALID'),
      );
    }
  });
});

describe('a retry that meets a limit', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  beforeEach(() => world.reset());
  after(() => world.close());

  const contacts = (count: number, markAt = -1, mark = '') =>
    Array.from({ length: count }, (_, at) =>
      failureOf(world.classifier, `limit ${at}`, {
        LastName: 'x',
        External_Id__c: `C-${at}${at === markAt ? mark : ''}`,
      }),
    );

  it('of storage stops at once, and leaves the rest with that reason', async () => {
    const retry = world.retry({ mode: 'individual' });
    const { succeeded, failed } = await world.clock.runUntil(
      retry.retry(contacts(10, 3, '-STORAGE-'), INSERT),
    );
    assert.deepEqual([succeeded.length, failed.length], [3, 7]);
    assert.equal(world.recordCalls().length, 4);
    assert.deepEqual(new Set(failed.map(({ errorCode }) => errorCode)), new Set(['STORAGE_LIMIT_EXCEEDED']));
    assert.deepEqual(
      failed.map(({ attempts }) => attempts.length),
      [2, 1, 1, 1, 1, 1, 1],
    );
    const left = failed[1];
    assert.deepEqual(
      [left?.errorCategory, left?.retryable, left?.rule, left?.errorMessage],
      [
        'LIMIT',
        false,
        'stopped: STORAGE_LIMIT_EXCEEDED',
        'Not sent: the retry stopped at "storage limit exceeded". Replay it once there is room again.',
      ],
    );
  });

  it('of storage in company stops after that call', async () => {
    const { succeeded, failed } = await world.clock.runUntil(
      world.retry().retry(contacts(500, 20, '-STORAGE-'), INSERT),
    );
    assert.deepEqual([succeeded.length, failed.length], [199, 301]);
    assert.equal(world.recordCalls().length, 1);
  });

  it('of the day stops at once, told by an answer', async () => {
    world.org.faults.add({
      path: /\/sobjects\/Contact$/,
      from: 4,
      kind: 'status',
      status: 403,
      body: [{ message: 'TotalRequests Limit exceeded.', errorCode: 'REQUEST_LIMIT_EXCEEDED' }],
    });
    const retry = world.retry({ mode: 'individual' });
    const { succeeded, failed, calls } = await world.clock.runUntil(retry.retry(contacts(10), INSERT));
    assert.deepEqual([succeeded.length, failed.length], [3, 7]);
    assert.equal(calls, 4);
    assert.deepEqual(new Set(failed.map(({ errorCode }) => errorCode)), new Set(['SF_API_LIMIT']));
    assert.deepEqual(new Set(failed.map(({ rule }) => rule)), new Set(['stopped: SF_API_LIMIT']));
    assert.match(failed[0]?.errorMessage ?? '', /used up \(REQUEST_LIMIT_EXCEEDED\).*Replay it/);
    assert.ok(failed.every(({ attempts }) => attempts.length === 1));
  });

  it('of the share of calls that loads may use stops before the call', async () => {
    const small = await startWorld({ apiBudget: 20, budget: 50 });
    try {
      const list = Array.from({ length: 30 }, (_, at) =>
        failureOf(small.classifier, `b ${at}`, { LastName: 'x', External_Id__c: `C-${at}` }),
      );
      const { succeeded, failed } = await small.clock.runUntil(
        small.retry({ mode: 'individual' }).retry(list, INSERT),
      );
      assert.equal(succeeded.length + failed.length, 30);
      assert.ok(succeeded.length > 5 && small.org.audit.apiCalls <= 11, `${small.org.audit.apiCalls} calls`);
      assert.match(failed[0]?.errorMessage ?? '', /more than the 50 % that loads may use/);
      assert.deepEqual([failed[0]?.errorCode, failed[0]?.rule], ['SF_API_LIMIT', 'stopped: SF_API_LIMIT']);
    } finally {
      await small.close();
    }
  });

  it('ends the same way when the batch comes again', async () => {
    const failures = contacts(10, 3, '-STORAGE-');
    const first = await world.clock.runUntil(world.retry({ mode: 'individual' }).retry(failures, INSERT));
    const before = world.recordCalls().length;
    const second = await world.clock.runUntil(world.retry({ mode: 'individual' }).retry(failures, INSERT));
    assert.equal(world.recordCalls().length, before);
    assert.deepEqual(second.succeeded, first.succeeded);
    assert.deepEqual(
      second.failed.map(({ key }) => key),
      first.failed.map(({ key }) => key),
    );
    assert.ok(second.failed.every(({ retryable }) => !retryable));
  });
});
