import assert from 'node:assert/strict';
import type { Fault } from '../../../sandbox/org/org.ts';
import { MemoryLedger } from '../../../src/database/ledger/memory-ledger.ts';
import { isLoadError, LoadError } from '../../../src/errors.ts';
import type { Failure } from '../../../src/failure.ts';
import type { RetryOptions } from '../../../src/failures/retry.ts';
import { failureOf, startWorld, type World } from '../support/world.ts';

const INSERT = {
  id: '750xx',
  object: 'Contact',
  operation: 'insert',
  externalIdField: 'External_Id__c',
} as const;
const PERMANENT = 'STRING_TOO_LONG:Title: data value too large:Title --';

describe('a retry that breaks half-way', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  beforeEach(() => world.reset());
  after(() => world.close());

  const contact = (id: string, error?: string): Failure =>
    failureOf(world.classifier, `key ${id}`, { LastName: id, External_Id__c: id }, error);
  const five = () => ['C-1', 'C-2', 'C-3', 'C-4', 'C-5'].map((id) => contact(id));
  const deliver = (failures: Failure[], options: Partial<RetryOptions> = {}, comesAgain = false) =>
    world.clock.runUntil(
      world.retry({ mode: 'individual', ...options }).retry(failures, INSERT, { comesAgain }),
    );
  const strike = (fault: Partial<Fault> & Pick<Fault, 'kind'>, path = /sobjects\/Contact$/) =>
    world.org.faults.add({ path, times: 1, ...fault });
  /** The user loses the right to the API. */
  const lockOut = (fault: Partial<Fault> = {}, path?: RegExp) =>
    strike(
      {
        ...{ kind: 'status', status: 403, body: [{ errorCode: 'API_DISABLED_FOR_ORG', message: 'x' }] },
        ...fault,
      },
      path,
    );
  const keysOf = (list: readonly { key: string }[] | undefined) => list?.map(({ key }) => key);
  const repeats = () => world.org.audit.insertsPerKey('Contact', 'External_Id__c').repeatedCount;

  it('gives out what was stored, and leaves what was not touched as it came', async () => {
    lockOut({ method: 'POST', nth: 3 });
    const failures = five();
    const first = await deliver(failures);
    assert.ok(isLoadError(first.broken?.error, 'SF_REQUEST_FAILED'));
    assert.deepEqual([keysOf(first.succeeded), first.failed], [['key C-1', 'key C-2'], []]);
    assert.deepEqual(first.broken.rest, failures.slice(2));
  });

  it('gives every record out once when the batch comes again, and sends none again', async () => {
    lockOut({ method: 'POST', nth: 3 });
    const first = await deliver(five());
    const second = await deliver(five());
    assert.deepEqual([second.calls, second.broken, second.failed], [3, undefined, []]);
    assert.deepEqual(keysOf(second.succeeded), keysOf(five()));
    assert.deepEqual(second.succeeded.slice(0, 2), first.succeeded);
    assert.equal(repeats(), 0);
  });

  it('gives out what earlier deliveries came to, also of records that it had no turn for', async () => {
    await deliver([contact('C-4')]);
    await world.ledger.beginRetries([{ key: 'key C-5', jobId: '750xx' }], undefined);
    lockOut({ method: 'POST' });
    const { succeeded, failed, broken } = await deliver(five());
    assert.deepEqual(keysOf(succeeded), ['key C-4']);
    assert.deepEqual(
      failed.map(({ key, errorCode }) => [key, errorCode]),
      [['key C-5', 'IN_DOUBT']],
    );
    assert.deepEqual(keysOf(broken?.rest), ['key C-1', 'key C-2', 'key C-3']);
    const again = await deliver(five());
    assert.equal(again.calls, 3);
    assert.deepEqual([keysOf(again.failed), again.succeeded.length], [['key C-5'], 4]);
  });

  it('gives up as in doubt what got no answer, for the ledger too', async () => {
    strike({ kind: 'drop-after', method: 'POST', nth: 2 });
    lockOut({}, /query/);
    const { succeeded, failed, broken } = await deliver(five(), { backoffMs: 0 });
    assert.deepEqual(
      failed.map(({ key, errorCode, retryable }) => [key, errorCode, retryable]),
      [['key C-2', 'IN_DOUBT', false]],
    );
    assert.match(
      failed[0]?.errorMessage ?? '',
      /It could not be looked up: the retry broke off \(.*API_DISABLED_FOR_ORG/,
    );
    assert.deepEqual([...(keysOf(succeeded) ?? []), ...(keysOf(broken?.rest) ?? [])].toSorted(), [
      'key C-1',
      'key C-3',
      'key C-4',
      'key C-5',
    ]);
    const second = await deliver(five());
    assert.deepEqual([keysOf(second.failed), second.succeeded.length, repeats()], [['key C-2'], 4, 0]);
  });

  it('leaves what got no answer to the next delivery, where there is to be one', async () => {
    strike({ kind: 'drop-after', method: 'POST', nth: 2 });
    lockOut({}, /query/);
    const { succeeded, failed, broken } = await deliver(five(), { backoffMs: 0 }, true);
    assert.deepEqual(failed, []);
    assert.deepEqual([...(keysOf(succeeded) ?? []), ...(keysOf(broken?.rest) ?? [])].toSorted(), [
      'key C-1',
      'key C-3',
      'key C-4',
      'key C-5',
    ]);
    const second = await deliver(five());
    assert.deepEqual([second.failed, second.succeeded.length, repeats()], [[], 5, 0]);
  });

  it('tells of the tries of a record that was to be sent again', async () => {
    strike({
      ...{ kind: 'status', method: 'POST', status: 400 },
      body: [{ errorCode: 'UNABLE_TO_LOCK_ROW', message: 'y' }],
    });
    lockOut({ method: 'POST', nth: 2 });
    const { broken } = await deliver([contact('C-1')]);
    const [left] = broken?.rest ?? [];
    assert.deepEqual(
      [left?.errorMessage, left?.retryable, left?.attempts.map(({ via }) => via)],
      ['y', true, ['bulk', 'individual']],
    );
  });

  it('passes on what cannot be sent anyway, and what is known, when the object cannot be described', async () => {
    await deliver([contact('C-2')]);
    const error = new LoadError('SF_AUTH_FAILED', 'no session');
    const describe = { describe: () => Promise.reject(error) };
    const batch = [contact('C-1'), contact('C-2'), contact('C-3', PERMANENT)];
    const { succeeded, failed, broken } = await deliver(batch, { describe });
    assert.deepEqual([keysOf(succeeded), keysOf(failed)], [['key C-2'], ['key C-3']]);
    assert.deepEqual(broken, { error, rest: [batch[0]] });
  });

  it('by the ledger gives out what the org has stored by then', async () => {
    class LeavingLedger extends MemoryLedger {
      begun = 0;
      override beginRetries(...parts: Parameters<MemoryLedger['beginRetries']>) {
        this.begun += 1;
        if (this.begun > 2) throw new LoadError('DB_UNAVAILABLE', 'away');
        return super.beginRetries(...parts);
      }
    }
    const { succeeded, failed, broken } = await deliver(five(), { ledger: new LeavingLedger(world.clock) });
    assert.ok(isLoadError(broken?.error, 'DB_UNAVAILABLE'));
    assert.deepEqual(
      [keysOf(succeeded), failed, keysOf(broken.rest)],
      [['key C-1', 'key C-2'], [], ['key C-3', 'key C-4', 'key C-5']],
    );
    const again = await deliver(five(), { ledger: new LeavingLedger(world.clock) }, true);
    assert.deepEqual(
      keysOf(again.broken?.rest),
      [],
      'what nobody could ask the ledger about waits for the next delivery',
    );
  });

  it('hands nothing out once another process has taken the load over', async () => {
    class TakenOverLedger extends MemoryLedger {
      override endRetries(): Promise<void> {
        return Promise.reject(new LoadError('LOAD_BROKEN_OFF', 'taken over'));
      }
    }
    const retry = world.retry({ mode: 'individual', ledger: new TakenOverLedger(world.clock) });
    await assert.rejects(world.clock.runUntil(retry.retry(five(), INSERT)), { code: 'LOAD_BROKEN_OFF' });
  });
});
