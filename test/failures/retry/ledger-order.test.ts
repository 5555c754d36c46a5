import assert from 'node:assert/strict';
import type { LoadHold, RetryOutcome } from '../../../src/database/ledger/job-ledger.ts';
import { MemoryLedger } from '../../../src/database/ledger/memory-ledger.ts';
import { failureOf, startWorld, type World } from '../support/world.ts';

const COMPANY_ERROR =
  'CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:Load_TestTrigger: System.LimitException: Too many SOQL queries: 101:--';

/**
 * As slow as a busy database, at the worst moment: `failed` is written after a call side by side has come back and whatever
 * follows from that has begun.
 */
class SlowLedger extends MemoryLedger {
  /** Keys that were begun while the end of their last call was still being written. */
  readonly overtaken: string[] = [];
  readonly #ending = new Set<string>();
  readonly #failing = Promise.withResolvers<void>();
  readonly #other = Promise.withResolvers<void>();

  override beginRetries(...parts: Parameters<MemoryLedger['beginRetries']>) {
    this.overtaken.push(...parts[0].map(({ key }) => key).filter((key) => this.#ending.has(key)));
    return super.beginRetries(...parts);
  }

  override async endRetries(outcomes: RetryOutcome[], hold?: LoadHold): Promise<void> {
    for (const { key } of outcomes) this.#ending.add(key);
    if (outcomes.some(({ state }) => state === 'failed')) {
      this.#failing.resolve();
      await this.#other.promise;
      await new Promise(setImmediate);
    } else {
      await this.#failing.promise;
      this.#other.resolve();
    }
    await super.endRetries(outcomes, hold);
    for (const { key } of outcomes) this.#ending.delete(key);
  }
}

describe('a retry tells the ledger how a call ended before it makes the next one of the same record', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  beforeEach(() => world.reset());
  after(() => world.close());

  const failures = () => [
    failureOf(world.classifier, 'a', { Name: 'a', Key__c: 'K-APEX-1' }, COMPANY_ERROR),
    failureOf(world.classifier, 'b', { Name: 'b', Key__c: 'K-APEX-2' }, COMPANY_ERROR),
    // Of another kind, so it goes by itself and comes back by itself.
    failureOf(world.classifier, 'c', { Name: 'c', Key__c: 'K-LOCK-3' }),
  ];

  for (const externalIdField of ['Key__c', null]) {
    const job = { id: '750xx', object: 'Load_Test__c', operation: 'insert', externalIdField } as const;

    it(`when it was refused in company and passes alone (external id ${externalIdField})`, async () => {
      await storesOnce(job);
    });

    it(`when the call was refused as a whole and is halved (external id ${externalIdField})`, async () => {
      world.org.faults.add({
        ...{ kind: 'status', method: 'POST', path: /composite\/sobjects$/, times: 1 },
        ...{ status: 400, body: [{ errorCode: 'JSON_PARSER_ERROR', message: 'x' }] },
      });
      await storesOnce(job);
    });
  }

  /** Delivered twice, as the rows of a parked job are: the second delivery finds everything known. */
  async function storesOnce(job: Parameters<ReturnType<World['retry']>['retry']>[1]): Promise<void> {
    const ledger = new SlowLedger(world.clock);
    const deliver = () =>
      world.clock.runUntil(world.retry({ ledger, concurrency: 2 }).retry(failures(), job));
    const first = await deliver();
    const calls = world.recordCalls();
    const second = await deliver();
    const { inserts, repeatedCount } = world.org.audit.insertsPerKey('Load_Test__c', 'Key__c');
    assert.deepEqual([inserts, repeatedCount], [3, 0]);
    assert.deepEqual([first.succeeded.length, first.failed.length], [3, 0]);
    assert.deepEqual([second.succeeded, second.calls], [first.succeeded, 0]);
    assert.ok(!calls.includes('GET /query'), 'nothing was in doubt');
    assert.deepEqual(ledger.overtaken, []);
  }
});
