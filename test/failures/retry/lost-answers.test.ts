import assert from 'node:assert/strict';
import type { Fault } from '../../../sandbox/org/org.ts';
import type { Failure } from '../../../src/failure.ts';
import type { RetryOptions } from '../../../src/failures/retry.ts';
import { failureOf, startWorld, type World } from '../support/world.ts';

const INSERT = {
  id: '750xx',
  object: 'Contact',
  operation: 'insert',
  externalIdField: 'External_Id__c',
} as const;
const UNIQUE_BY_NOTHING = { ...INSERT, object: 'Load_Test__c', externalIdField: null } as const;

describe('a retry whose answer is lost', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  beforeEach(async () => {
    await world.reset();
    // CreatedDate has whole seconds: nothing that is there before must count as made since.
    await world.clock.advance(10_000);
  });
  after(() => world.close());

  const contact = (id: string): Failure =>
    failureOf(world.classifier, `key ${id}`, { LastName: `N ${id}`, External_Id__c: id });
  const loadTest = (id: string): Failure =>
    failureOf(world.classifier, `key ${id}`, { Name: id, Key__c: id });
  const strike = (fault: Partial<Fault> & Pick<Fault, 'kind'>, path = /sobjects/) => {
    world.org.faults.add({ path, times: 1, ...fault });
  };
  const run = (
    failures: Failure[],
    job: Parameters<ReturnType<World['retry']>['retry']>[1] = INSERT,
    options: Partial<RetryOptions> = {},
  ) => world.clock.runUntil(world.retry(options).retry(failures, job));
  const inserts = (object: string, field: string) => world.org.audit.insertsPerKey(object, field);
  const entryOf = async (key: string) =>
    (await world.ledger.beginRetries([{ key, jobId: null }], undefined)).get(key);

  const modes = { individual: 'POST /sobjects/Contact', collections: 'POST /composite/sobjects' } as const;
  for (const mode of ['individual', 'collections'] as const) {
    const ids = ['C-1', 'C-2', 'C-3'];

    it(`finds an insert that had happened by its external id (${mode})`, async () => {
      strike({ kind: 'drop-after', method: 'POST' });
      const { succeeded, failed } = await run(ids.map(contact), INSERT, { mode });
      assert.deepEqual([succeeded.length, failed.length], [3, 0]);
      assert.deepEqual(inserts('Contact', 'External_Id__c').repeated, {});
      assert.deepEqual(
        succeeded.map(({ sfId }) => sfId).toSorted(),
        [...world.org.records('Contact')].map(({ Id }) => Id).toSorted(),
      );
      assert.equal((await entryOf('key C-1'))?.state, 'succeeded');
    });

    it(`sends an insert again that had not happened (${mode})`, async () => {
      strike({ kind: 'drop-before', method: 'POST' });
      const { succeeded, failed } = await run(ids.map(contact), INSERT, { mode });
      assert.deepEqual([succeeded.length, failed.length], [3, 0]);
      assert.deepEqual(inserts('Contact', 'External_Id__c').repeated, {});
      const calls = world.recordCalls().filter((call) => !call.startsWith('GET'));
      assert.equal(calls.length, mode === 'individual' ? 4 : 2);
      assert.ok(calls.includes(modes[mode]));
      assert.deepEqual(
        succeeded[0]?.attempts.map(({ errorCode }) => errorCode),
        ['UNABLE_TO_LOCK_ROW', 'NO_ANSWER', ''],
      );
    });

    it(`takes a 503 for what it is: no answer (${mode})`, async () => {
      strike({
        kind: 'status',
        method: 'POST',
        status: 503,
        body: [{ errorCode: 'SERVER_UNAVAILABLE', message: 'busy' }],
      });
      const { succeeded } = await run(ids.map(contact), INSERT, { mode });
      assert.equal(succeeded.length, 3);
      assert.match(succeeded[0]?.attempts[1]?.errorMessage ?? '', /SERVER_UNAVAILABLE:busy/);
    });

    it(`gives an insert up as in doubt when nothing can tell (${mode})`, async () => {
      for (const kind of ['drop-after', 'drop-before'] as const) {
        strike({ kind, method: 'POST' });
        const keys = ids.map((id) => `${kind} ${id}`);
        const { succeeded, failed } = await run(keys.map(loadTest), UNIQUE_BY_NOTHING, { mode });
        const lost = mode === 'individual' ? 1 : 3;
        assert.deepEqual([succeeded.length, failed.length], [3 - lost, lost]);
        const [doubtful] = failed;
        assert.deepEqual(
          [doubtful?.errorCode, doubtful?.errorCategory, doubtful?.retryable, doubtful?.rule],
          ['IN_DOUBT', 'OTHER', false, 'lost answer'],
        );
        assert.match(
          doubtful?.errorMessage ?? '',
          /inserted this Load_Test__c got no answer.*no external id field\. Look in the org for this Load_Test__c before you replay it/,
        );
        assert.match(doubtful?.error ?? '', /^IN_DOUBT:The call at 2026-/);
        assert.equal((await entryOf(`key ${keys[0]}`))?.state, 'in-doubt');
      }
      assert.deepEqual(inserts('Load_Test__c', 'Key__c').repeated, {});
    });

    it(`ends the same way when the batch comes again (${mode})`, async () => {
      strike({ kind: 'drop-after', method: 'POST' });
      const failures = [...ids.map(loadTest)];
      const first = await run(failures, UNIQUE_BY_NOTHING, { mode });
      const calls = world.recordCalls().length;
      const second = await run(failures, UNIQUE_BY_NOTHING, { mode });
      assert.equal(world.recordCalls().length, calls);
      assert.deepEqual(second.succeeded, first.succeeded);
      assert.deepEqual(
        second.failed.map(({ key, errorCode }) => [key, errorCode]),
        first.failed.map(({ key, errorCode }) => [key, errorCode]),
      );
    });

    for (const kind of ['drop-after', 'drop-before'] as const) {
      it(`simply repeats update, upsert and delete (${mode}, ${kind})`, async () => {
        const made = ids.map((id) => world.org.insert('Contact', { LastName: 'Old', External_Id__c: id }));
        strike({ kind, method: 'PATCH' });
        const update = await run(
          made.map((Id) => failureOf(world.classifier, `u ${Id}`, { Id, LastName: 'New' })),
          { ...INSERT, operation: 'update' },
          { mode },
        );
        assert.equal(update.succeeded.length, 3);
        assert.ok([...world.org.records('Contact')].every(({ LastName }) => LastName === 'New'));

        strike({ kind, method: 'PATCH' });
        const upsert = await run(['C-1', 'C-9'].map(contact), { ...INSERT, operation: 'upsert' }, { mode });
        assert.equal(upsert.succeeded.length, 2);
        assert.equal(world.org.audit.rows('Contact'), 4);

        strike({ kind, method: 'DELETE' });
        const deletion = await run(
          made.map((Id) => failureOf(world.classifier, `d ${Id}`, { Id })),
          { ...INSERT, operation: 'delete' },
          { mode },
        );
        assert.deepEqual(
          deletion.succeeded.map(({ sfId }) => sfId),
          made,
        );
        assert.equal(world.org.audit.rows('Contact'), 1);
        assert.ok(!world.recordCalls().some((call) => call.startsWith('GET /query')));
      });
    }
  }

  it('does not count a record that was there before, or that somebody else made', async () => {
    const invoices = { ...INSERT, object: 'Invoice__c', externalIdField: 'Legacy_Key__c' } as const;
    world.org.insert('Invoice__c', { Number__c: 'N-0', Legacy_Key__c: 'L-1' });
    await world.clock.advance(60_000);
    strike({ kind: 'drop-before', method: 'POST' });
    const failure = failureOf(world.classifier, 'invoice', { Number__c: 'N-1', Legacy_Key__c: 'L-1' });
    const { failed } = await run([failure], invoices, { mode: 'individual' });
    assert.equal(failed[0]?.errorCode, 'IN_DOUBT');
    assert.match(
      failed[0]?.errorMessage ?? '',
      /The org has a01\w+ with the same Legacy_Key__c, but it was made by somebody else or before/,
    );
    assert.equal(world.org.audit.rows('Invoice__c'), 1);
  });

  it('does not count a record that somebody else made since', async () => {
    strike({ kind: 'drop-before', method: 'POST' });
    const record = {
      Id: '003ak0000000001AAA',
      CreatedById: '005ak000000000009AAA',
      CreatedDate: '2030-01-01T00:00:00.000+0000',
      External_Id__c: 'C-1',
    };
    strike(
      { kind: 'status', status: 200, body: { totalSize: 1, done: true, records: [record] } },
      /External_Id__c%20IN/,
    );
    const { failed } = await run([contact('C-1')], INSERT, { mode: 'individual' });
    assert.equal(failed[0]?.errorCode, 'IN_DOUBT');
    assert.match(
      failed[0]?.errorMessage ?? '',
      /The org has 003ak0000000001AAA .* made by somebody else or before the call/,
    );
  });

  it('is in doubt when the look-up is refused, also the next time', async () => {
    strike({ kind: 'drop-after', method: 'POST' });
    strike(
      { kind: 'status', status: 400, body: [{ errorCode: 'MALFORMED_QUERY', message: 'x' }] },
      /External_Id__c%20IN/,
    );
    for (const why of [
      /the retry broke off \(Look-up of Contact .*MALFORMED_QUERY/,
      /dead-lettered as such before/,
    ]) {
      const { failed, broken } = await run([contact('C-1')], INSERT, { mode: 'individual' });
      assert.deepEqual([failed[0]?.errorCode, broken?.rest.length ?? 0], ['IN_DOUBT', 0]);
      assert.match(failed[0]?.errorMessage ?? '', why);
    }
    assert.equal(world.org.audit.rows('Contact'), 1);
  });

  it('finds its own among several with the same key', async () => {
    const invoices = { ...INSERT, object: 'Invoice__c', externalIdField: 'Legacy_Key__c' } as const;
    world.org.insert('Invoice__c', { Number__c: 'N-0', Legacy_Key__c: 'L-1' });
    await world.clock.advance(60_000);
    strike({ kind: 'drop-after', method: 'POST' });
    const failure = failureOf(world.classifier, 'invoice', { Number__c: 'N-1', Legacy_Key__c: 'L-1' });
    const { succeeded } = await run([failure], invoices, { mode: 'individual' });
    const own = [...world.org.records('Invoice__c')].find((record) => record.Number__c === 'N-1');
    assert.deepEqual(
      succeeded.map(({ sfId }) => sfId),
      [own?.Id],
    );
    assert.equal(world.org.audit.rows('Invoice__c'), 2);
  });

  describe('among records with the same external id', () => {
    const invoices = { ...INSERT, object: 'Invoice__c', externalIdField: 'Legacy_Key__c' } as const;
    const invoice = (number: string) =>
      failureOf(world.classifier, `invoice ${number}`, { Number__c: number, Legacy_Key__c: 'L-1' });
    const twin = (name: string) =>
      failureOf(world.classifier, `twin ${name}`, { LastName: name, External_Id__c: 'C-1' });
    const idsOf = (object: string) => [...world.org.records(object)].map(({ Id }) => Id).toSorted();
    const succeededIds = (result: Awaited<ReturnType<typeof run>>) =>
      result.succeeded.map(({ sfId }) => sfId).toSorted();
    const codesOf = (result: Awaited<ReturnType<typeof run>>) =>
      result.failed.map(({ errorCode }) => errorCode);
    const onlyEmpty = { totalSize: 0, done: true, records: [] };

    it('does not take the record of another one of the batch for its own', async () => {
      strike({ kind: 'drop-before', method: 'POST', nth: 2 });
      const result = await run([invoice('N-1'), invoice('N-2')], invoices, { mode: 'individual' });
      assert.deepEqual([result.succeeded.length, succeededIds(result)], [2, idsOf('Invoice__c')]);
    });

    it('nor that of an earlier batch, which the ledger knows', async () => {
      await run([invoice('N-1')], invoices, { mode: 'individual' });
      strike({ kind: 'drop-before', method: 'POST' });
      await run([invoice('N-2')], invoices, { mode: 'individual' });
      assert.deepEqual(
        [...world.org.records('Invoice__c')].map((record) => record.Number__c),
        ['N-1', 'N-2'],
      );
    });

    it('is a duplicate, and not done, where the field is unique', async () => {
      strike({ kind: 'drop-before', method: 'POST', nth: 2 });
      const result = await run([twin('a'), twin('b')], INSERT, { mode: 'individual' });
      assert.deepEqual(
        result.succeeded.map(({ key }) => key),
        ['twin a'],
      );
      assert.deepEqual(codesOf(result), ['DUPLICATE_VALUE']);
    });

    it('is its own where the others were never sent', async () => {
      strike({ kind: 'drop-after', method: 'POST' });
      const result = await run([invoice('N-1'), invoice('N-2')], invoices, { mode: 'individual' });
      assert.deepEqual([result.succeeded.length, succeededIds(result)], [2, idsOf('Invoice__c')]);
    });

    it('is in doubt where one of two of a call was stored, and nobody can tell which', async () => {
      strike({ kind: 'drop-after', method: 'POST' });
      const result = await run([twin('a'), twin('b'), contact('C-2')], INSERT, { mode: 'collections' });
      assert.deepEqual(
        result.succeeded.map(({ key }) => key),
        ['key C-2'],
      );
      assert.deepEqual(codesOf(result), ['IN_DOUBT', 'IN_DOUBT']);
      assert.match(
        result.failed[0]?.errorMessage ?? '',
        /The org has 003\w+ with the same External_Id__c, but another record with that value got no answer either/,
      );
      assert.deepEqual((await run([twin('a'), twin('b')])).succeeded, []);
      assert.equal(world.org.audit.rows('Contact'), 2);
    });

    it('is in doubt too when the duplicate tells late', async () => {
      strike({ kind: 'drop-after', method: 'POST' });
      strike({ kind: 'status', status: 200, body: onlyEmpty }, /query/);
      const result = await run([twin('a'), twin('b')], INSERT, { mode: 'collections' });
      assert.deepEqual([result.succeeded.length, codesOf(result)], [0, ['IN_DOUBT', 'IN_DOUBT']]);
      assert.match(result.failed[0]?.attempts.at(-1)?.errorCode ?? '', /^DUPLICATE/);
    });

    it('is sent again where neither was stored', async () => {
      strike({ kind: 'drop-before', method: 'POST' });
      const result = await run([invoice('N-1'), invoice('N-2')], invoices, { mode: 'collections' });
      assert.deepEqual([result.succeeded.length, succeededIds(result)], [2, idsOf('Invoice__c')]);
    });

    it('is in doubt where a process that is gone was calling for another one', async () => {
      const both = [invoice('N-1'), invoice('N-2')];
      await world.ledger.beginRetries(
        both.map(({ key }) => ({ key, jobId: '750xx' })),
        undefined,
      );
      await world.records.createRecord('Invoice__c', { Number__c: 'N-2', Legacy_Key__c: 'L-1' });
      const result = await run(both, invoices, { mode: 'individual' });
      assert.deepEqual([result.succeeded.length, codesOf(result)], [0, ['IN_DOUBT', 'IN_DOUBT']]);
      assert.equal(world.org.audit.rows('Invoice__c'), 1);
    });
  });

  it('recognises its own record in a duplicate that turns up late', async () => {
    // The look-up comes too early (the org is still at it), the second insert meets the first one's record.
    strike({ kind: 'drop-after', method: 'POST' });
    strike({ kind: 'status', status: 200, body: { totalSize: 0, done: true, records: [] } }, /query/);
    const { succeeded } = await run([contact('C-1')], INSERT, { mode: 'individual' });
    assert.deepEqual(
      succeeded.map(({ sfId }) => sfId),
      [[...world.org.records('Contact')][0]?.Id],
    );
    assert.deepEqual(
      succeeded[0]?.attempts.map(({ errorCode }) => errorCode),
      ['UNABLE_TO_LOCK_ROW', 'NO_ANSWER', 'DUPLICATE_VALUE'],
    );
  });

  it('is in doubt, and no duplicate, when the look-up of a duplicate fails', async () => {
    strike({ kind: 'drop-after', method: 'POST' });
    strike({ kind: 'status', status: 200, body: { totalSize: 0, done: true, records: [] } }, /query/);
    const failing = world.org.faults.add({
      ...{ kind: 'status', path: /query/, status: 400 },
      ...{ body: [{ errorCode: 'MALFORMED_QUERY', message: 'x' }] },
    });
    const { failed, broken } = await run([contact('C-1')], INSERT, { mode: 'individual' });
    world.org.faults.remove(failing);
    assert.match(String(broken?.error), /MALFORMED_QUERY/);
    assert.deepEqual(
      failed.map(({ errorCode, attempts }) => [errorCode, attempts.at(-1)?.errorCode]),
      [['IN_DOUBT', 'DUPLICATE_VALUE']],
    );
  });

  it('does not take a foreign duplicate for its own', async () => {
    world.org.insert('Contact', { LastName: 'Other', External_Id__c: 'C-1' });
    await world.clock.advance(60_000);
    strike({ kind: 'drop-before', method: 'POST' });
    strike({ kind: 'status', status: 200, body: { totalSize: 0, done: true, records: [] } }, /query/);
    const { failed } = await run([contact('C-1')], INSERT, { mode: 'individual' });
    assert.deepEqual(
      failed.map(({ errorCode, retryable }) => [errorCode, retryable]),
      [['DUPLICATE_VALUE', false]],
    );
    assert.equal(world.org.audit.rows('Contact'), 1);
  });

  it('does not spend maxAttempts on lost answers: an outage is waited out', async () => {
    strike({ kind: 'drop-before', method: 'POST', times: 5 });
    const { succeeded } = await run([contact('C-1')], INSERT, { mode: 'individual', maxAttempts: 1 });
    assert.equal(succeeded.length, 1);
    assert.equal(succeeded[0]?.attempts.length, 7);
  });

  it('gives up when the outage lasts, and says what is known', async () => {
    strike({ kind: 'drop-before', times: 1000, method: 'POST' });
    strike({ kind: 'drop-before', times: 1000, method: 'PATCH' });
    const insert = await run([contact('C-1')], INSERT, { mode: 'individual', outageMs: 60_000 });
    assert.deepEqual(
      insert.failed.map(({ errorCode, errorCategory, retryable }) => [errorCode, errorCategory, retryable]),
      [['NO_ANSWER', 'TRANSIENT', true]],
    );
    const upsert = await run(
      [contact('C-2')],
      { ...INSERT, operation: 'upsert' },
      { mode: 'individual', outageMs: 60_000 },
    );
    assert.deepEqual(
      upsert.failed.map(({ errorCode }) => errorCode),
      ['NO_ANSWER'],
    );
    assert.equal((await entryOf('key C-2'))?.state, 'gave-up');
  });

  describe('to another process', () => {
    /** What a process leaves behind that died in the middle of a call. */
    const diedCalling = (failures: Failure[]) =>
      world.ledger.beginRetries(
        failures.map(({ key }) => ({ key, jobId: '750xx' })),
        undefined,
      );

    it('is looked up before it is sent again', async () => {
      const failures = ['C-1', 'C-2'].map(contact);
      await diedCalling(failures);
      await world.clock.advance(500);
      await world.records.createRecord('Contact', { LastName: 'N C-1', External_Id__c: 'C-1' });
      await world.clock.advance(3_600_000);
      const { succeeded } = await run(failures);
      assert.equal(succeeded.length, 2);
      assert.deepEqual(inserts('Contact', 'External_Id__c').repeated, {});
      const calls = world.recordCalls();
      assert.deepEqual([calls[1], calls.at(-1)], ['GET /query', 'POST /sobjects/Contact']);
    });

    it('does not count a record made before the call, whatever the clocks of org and ledger say', async () => {
      world.org.insert('Contact', { LastName: 'Earlier', External_Id__c: 'C-1' });
      await world.clock.advance(5_000);
      await diedCalling([contact('C-1')]);
      await world.clock.advance(60_000);
      const { failed } = await run([contact('C-1')]);
      assert.deepEqual(
        failed.map(({ errorCode }) => errorCode),
        ['IN_DOUBT'],
      );
    });

    it('is in doubt without an external id', async () => {
      await diedCalling([loadTest('L-1')]);
      const { failed, calls } = await run([loadTest('L-1')], UNIQUE_BY_NOTHING);
      assert.deepEqual(
        failed.map(({ errorCode }) => errorCode),
        ['IN_DOUBT'],
      );
      assert.ok(calls <= 2, String(calls));
      assert.equal(world.org.audit.rows('Load_Test__c'), 0);
    });

    it('is simply repeated where that does no harm', async () => {
      const failures = ['C-1', 'C-2'].map(contact);
      await diedCalling(failures);
      const { succeeded } = await run(failures, { ...INSERT, operation: 'upsert' });
      assert.equal(succeeded.length, 2);
    });

    it('counts neither lost answers nor what failed for the company’s sake as tries', async () => {
      const failure = contact('C-1');
      const attempt = { at: '2026-01-01T02:00:00.000Z', errorCode: 'NO_ANSWER', errorMessage: 'x' } as const;
      const company = {
        ...attempt,
        via: 'collections',
        errorCode: 'FLOW_EXCEPTION',
        errorMessage: 'Limit Exceeded',
      } as const;
      await diedCalling([failure]);
      const attempts = [...failure.attempts, { ...attempt, via: 'individual' } as const, company];
      await world.ledger.endRetries([{ key: failure.key, state: 'failed', sfId: null, attempts }]);
      const { succeeded } = await run([failure], INSERT, { maxAttempts: 1 });
      assert.equal(succeeded.length, 1);
    });

    it('goes on with the tries that were left', async () => {
      const failure = contact('C-1');
      const attempt = {
        at: '2026-01-01T02:00:00.000Z',
        via: 'individual',
        errorCode: 'UNABLE_TO_LOCK_ROW',
        errorMessage: 'x',
      } as const;
      await diedCalling([failure]);
      await world.ledger.endRetries([
        { key: failure.key, state: 'failed', sfId: null, attempts: [...failure.attempts, attempt, attempt] },
      ]);
      strike({
        kind: 'status',
        method: 'POST',
        status: 400,
        times: 9,
        body: [{ errorCode: 'UNABLE_TO_LOCK_ROW', message: 'y' }],
      });
      const { failed } = await run([failure], INSERT, { mode: 'individual' });
      assert.equal(world.recordCalls().length, 1);
      assert.deepEqual(failed[0]?.attempts.map(({ errorMessage }) => errorMessage).slice(1), ['x', 'x', 'y']);

      await run([contact('C-2')], INSERT, { mode: 'individual', maxAttempts: 1 });
      const again = await run([contact('C-2')], INSERT, { mode: 'individual', maxAttempts: 1 });
      assert.equal(again.failed[0]?.errorCode, 'UNABLE_TO_LOCK_ROW');
      assert.equal(world.recordCalls().length, 2);
    });
  });
});
