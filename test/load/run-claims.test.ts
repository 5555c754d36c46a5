import assert from 'node:assert/strict';
import { MemoryLedger } from '../../src/database/ledger/memory-ledger.ts';
import { type ClaimEnd, claims } from '../../src/load/claims.ts';
import { RunClaims } from '../../src/load/run-claims.ts';

describe('claims of a run', () => {
  let ended: [claimId: string, end: ClaimEnd][];
  let ledger: MemoryLedger;
  const note = (claimId: string, end: ClaimEnd) => ended.push([claimId, end]);

  beforeEach(() => {
    ended = [];
    ledger = new MemoryLedger();
    claims.on('ended', note);
  });
  afterEach(() => claims.off('ended', note));

  it('are those of the records in a file, also when it was written across several batches', () => {
    const run = new RunClaims(ledger);
    run.write('a');
    run.write('b');
    run.write('c');
    assert.deepEqual(run.ofFile(), ['a', 'b', 'c']);
    assert.deepEqual(run.ofFile(), ['c'], 'the batch that filled the file may go on in the next');
    run.write('d');
    assert.deepEqual(run.ofFile(), ['c', 'd']);
    run.write(undefined);
    assert.deepEqual(run.ofFile(), ['d']);
    assert.deepEqual(run.ofFile(), []);
    run.forget();
  });

  it('are settled with a run that took all its rows, those of rejected records alone included', async () => {
    const run = new RunClaims(ledger);
    run.write('a');
    assert.equal(claims.isLoading('a'), true);
    await run.end(true);
    assert.deepEqual(ended, [['a', 'settled']]);
    assert.equal(claims.isLoading('a'), false);
  });

  it('of a run that broke off are what the ledger says of their jobs', async () => {
    const states = { kept: 'settled', dropped: 'unknown', partly: 'settled', unclear: 'loading' } as const;
    ledger.claimState = async (claimId) => states[claimId as keyof typeof states];
    const run = new RunClaims(ledger);
    run.adopt(['kept', 'dropped', 'unclear']);
    run.write('partly');
    run.drop([]);
    await run.end(false);
    assert.deepEqual(ended, [
      ['kept', 'settled'],
      ['dropped', 'released'],
    ]);
    for (const claimId of Object.keys(states)) assert.equal(claims.isLoading(claimId), false);
  });

  it('are left open when the ledger cannot be asked', async () => {
    ledger.claimState = () => Promise.reject(new Error('away'));
    const run = new RunClaims(ledger);
    run.write('a');
    await run.end(false);
    assert.deepEqual(ended, []);
    assert.equal(claims.isLoading('a'), false);
  });

  it('are forgotten with a run that another process carries on', () => {
    const run = new RunClaims(ledger);
    run.adopt(['a']);
    run.forget();
    assert.deepEqual(ended, []);
    assert.equal(claims.isLoading('a'), false);
  });
});
