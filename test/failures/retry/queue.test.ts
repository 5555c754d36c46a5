import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createClassifier } from '../../../src/failures/classify.ts';
import { parseError } from '../../../src/failures/parse-error.ts';
import { RestRecords } from '../../../src/failures/rest-record.ts';
import { byParent, makeItem, type RetryItem } from '../../../src/failures/retry/item.ts';
import { lockedIds, parentLocks, parentLookups } from '../../../src/failures/retry/parents.ts';
import { RetryQueue } from '../../../src/failures/retry/queue.ts';
import { failureOf } from '../support/world.ts';

const OBJECT = {
  fields: [
    { name: 'Ext__c', type: 'string' },
    { name: 'AccountId', type: 'reference', relationshipName: 'Account', referenceTo: ['Account'] },
    { name: 'WhoId', type: 'reference', relationshipName: 'Who', referenceTo: ['Contact', 'Lead'] },
    { name: 'OwnerId', type: 'reference', relationshipName: 'Owner', referenceTo: ['Group', 'User'] },
    { name: 'RecordTypeId', type: 'reference', relationshipName: 'RecordType', referenceTo: ['RecordType'] },
  ],
};
const LOOKUPS = parentLookups(OBJECT);
const RECORDS = new RestRecords(OBJECT);
const CLASSIFIER = createClassifier({ ruleSet: 'complete' });
const JOB = { id: '750', object: 'Contact', operation: 'upsert', externalIdField: 'Ext__c' } as const;

function itemOf(
  key: string,
  change: Partial<RetryItem> = {},
  columns: Record<string, string> = {},
): RetryItem {
  const failure = failureOf(CLASSIFIER, key, { Ext__c: key, ...columns });
  const item = makeItem(failure, JOB, RECORDS, LOOKUPS);
  assert.ok(item);
  return Object.assign(item, change);
}

const keysOf = (items: RetryItem[] | undefined) => items?.map(({ original }) => original.key);

describe('the queue of a retry', () => {
  it('fills a call up to 200', () => {
    const queue = new RetryQueue();
    queue.add(Array.from({ length: 450 }, (_, at) => itemOf(`k${at}`)));
    const sizes = [0, 0, 0, 0].map(() => queue.next(0)?.length);
    assert.deepEqual(sizes, [200, 200, 50, undefined]);
  });

  it('lets a company wait for its last member, unless it is full', () => {
    const queue = new RetryQueue();
    const late = itemOf('late', { dueAt: 100 });
    queue.add([itemOf('a', { dueAt: 50 }), itemOf('b', { dueAt: 60 }), late]);
    assert.equal(queue.next(70), undefined);
    assert.equal(queue.nextDueAt(70), 100);
    queue.add(Array.from({ length: 200 }, (_, at) => itemOf(`k${at}`, { dueAt: 70 })));
    assert.equal(queue.next(70)?.length, 200);
    assert.equal(queue.next(70), undefined);
    assert.equal(queue.next(100)?.length, 3);
  });

  it('does not let those who go alone wait for a company', () => {
    const queue = new RetryQueue();
    queue.add([itemOf('late', { dueAt: 100 }), itemOf('a'), itemOf('alone', { alone: true, dueAt: 10 })]);
    assert.equal(queue.nextDueAt(0), 10);
    assert.deepEqual(keysOf(queue.next(10)), ['alone']);
    assert.equal(queue.next(10), undefined);
  });

  it('gives back everything that waits when it is drained', () => {
    const queue = new RetryQueue();
    queue.add([itemOf('a'), itemOf('b', { dueAt: 9 })]);
    assert.deepEqual(keysOf(queue.drain()), ['a', 'b']);
    assert.equal(queue.size, 0);
  });

  it('hands out each once, never two calls that share a row, no record twice in a call, none too early (property)', () => {
    const entry = fc.record({
      parent: fc.nat(6),
      key: fc.nat(30),
      alone: fc.boolean(),
      fragile: fc.boolean(),
      company: fc.constantFrom(1, 3, 200),
      dueAt: fc.nat(40),
    });
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength: 60 }),
        fc.array(fc.nat(5), { maxLength: 40 }),
        fc.boolean(),
        (entries, dice, sorted) => {
          const items = entries.map(({ parent, key, ...rest }, at) =>
            itemOf(`${at}`, rest, { Ext__c: `key ${key}`, AccountId: `00100000000000${parent}` }),
          );
          const queue = new RetryQueue();
          queue.add(sorted ? byParent(items) : items);
          const inFlight: RetryItem[][] = [];
          const seen = new Set<RetryItem>();
          let now = 0;
          for (let step = 0; seen.size < items.length; step += 1) {
            assert.ok(step < 1_000, 'nothing leaves any more');
            const call = queue.next(now);
            if (call) {
              for (const item of call) {
                assert.ok(item.dueAt <= now && !seen.has(item));
                assert.ok(call.length <= item.company && (call.length === 1 || !item.alone));
                assert.deepEqual([item.verb, item.fragile], [call[0]?.verb, call[0]?.fragile]);
                assert.ok(
                  !inFlight.flat().some((other) => other.locks.some((lock) => item.locks.includes(lock))),
                );
                seen.add(item);
              }
              assert.equal(new Set(call.map(({ identity }) => identity)).size, call.length);
              inFlight.push(call);
            }
            if (!call || dice[step % dice.length] === 0) {
              const back = inFlight.shift();
              if (back) queue.release(back);
              else now = queue.nextDueAt(now) ?? now;
            }
          }
          assert.deepEqual([queue.size, queue.next(1_000)], [0, undefined]);
        },
      ),
      { seed: 20260303, numRuns: 500 },
    );
  });
});

describe('the rows that a save locks', () => {
  const locksOf = (columns: Record<string, string>) => parentLocks(RECORDS.toRest(columns).fields, LOOKUPS);

  it('are the parents, by id or by a key of theirs', () => {
    assert.deepEqual(locksOf({ AccountId: '001000000000001AAA' }), ['001000000000001']);
    assert.deepEqual(locksOf({ 'Account.Code__c': 'Ab' }), ['Account.Code__c ab']);
    assert.deepEqual(locksOf({ 'Lead:Who.Email': 'A@b.c' }), ['Who.Email a@b.c']);
  });

  it('are not those whom everybody points at, nor parents taken away', () => {
    assert.deepEqual(
      locksOf({
        OwnerId: '005000000000001',
        RecordTypeId: '012000000000001',
        'Owner.Email': 'x',
        AccountId: '#N/A',
        Ext__c: 'x',
      }),
      [],
    );
  });

  it('are also those that the lock error names', () => {
    const named = (text: string) => lockedIds(parseError(text));
    assert.deepEqual(
      named(
        'UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 2 records: 0013000000ABCDeAAF,0013000000ABCDf:--',
      ),
      ['0013000000ABCDe', '0013000000ABCDf'],
    );
    assert.deepEqual(named('UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--'), []);
    assert.deepEqual(named('STRING_TOO_LONG:records: 0013000000ABCDeAAF:--'), []);
  });
});
