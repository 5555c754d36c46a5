import assert from 'node:assert/strict';
import type { ClaimState } from '../../src/database/ledger/job-ledger.ts';
import { MemoryLedger } from '../../src/database/ledger/memory-ledger.ts';
import { type ClaimEnd, claims, type SentClaim } from '../../src/load/claims.ts';
import { RunClaims } from '../../src/load/run-claims.ts';

const claim = (id: string, letters = ['1', '2']): SentClaim => ({ id, letters });

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
    for (const id of ['a', 'b']) {
      run.write(claim(id));
      run.written();
    }
    run.write(claim('c', ['11', '12', '13', '14']));
    assert.deepEqual(run.ofFile(1), {
      claimIds: ['a', 'b', 'c'],
      claimParts: [{ claimId: 'c', letters: ['0', '12'] }],
    });
    assert.deepEqual(run.ofFile(3), {
      claimIds: ['c'],
      claimParts: [{ claimId: 'c', letters: ['12', '14'] }],
    });
    run.written();
    run.write(claim('d'));
    assert.deepEqual(
      run.ofFile(0),
      { claimIds: ['c'], claimParts: [{ claimId: 'c', letters: ['14', null] }] },
      'd begins with the next file',
    );
    run.written();
    run.write(undefined);
    assert.deepEqual(run.ofFile(5), { claimIds: ['d'], claimParts: [] });
    assert.deepEqual(run.ofFile(9), { claimIds: [], claimParts: [] });
    run.forget();
  });

  it('are in a file with a part that nobody knows when records were taken out on the way', () => {
    const run = new RunClaims(ledger);
    run.write({ id: 'a', letters: undefined });
    assert.deepEqual(run.ofFile(1), { claimIds: ['a'], claimParts: [{ claimId: 'a', letters: null }] });
    run.forget();
  });

  it('are settled with a run that took all its rows, those of rejected records alone included', async () => {
    const run = new RunClaims(ledger);
    run.write(claim('a'));
    assert.equal(claims.isLoading('a'), true);
    await run.end(true);
    assert.deepEqual(ended, [['a', 'settled']]);
    assert.equal(claims.isLoading('a'), false);
  });

  it('of a run that broke off are what the ledger says of their jobs', async () => {
    const partly: ClaimState = { loaded: [['0', '7']] };
    const states = {
      kept: 'settled',
      dropped: 'unknown',
      partly,
      undecided: 'loading',
      unclear: 'unclear',
    } as const;
    ledger.claimState = async (claimId) => states[claimId as keyof typeof states];
    const run = new RunClaims(ledger);
    run.adopt(['kept', 'dropped', 'undecided', 'unclear']);
    run.write(claim('partly'));
    await run.end(false);
    assert.deepEqual(ended, [
      ['kept', 'settled'],
      ['dropped', 'released'],
      ['partly', partly],
    ]);
    for (const claimId of Object.keys(states)) assert.equal(claims.isLoading(claimId), false);
  });

  it('are left open when the ledger cannot be asked', async () => {
    ledger.claimState = () => Promise.reject(new Error('away'));
    const run = new RunClaims(ledger);
    run.write(claim('a'));
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
