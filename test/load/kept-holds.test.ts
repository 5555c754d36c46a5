import assert from 'node:assert/strict';
import { MemoryLedger } from '../../src/database/ledger/memory-ledger.ts';
import { KeptHolds } from '../../src/load/kept-holds.ts';
import { FakeClock } from '../support/fake-clock.ts';

const LOAD = { orgId: '00D', loadName: 'contacts' };

describe('holds of a load whose node is deployed anew', () => {
  async function held() {
    const ledger = new MemoryLedger();
    const hold = await ledger.acquire(LOAD);
    assert.ok(hold);
    return { ledger, hold };
  }

  it('are taken over as they are, once', async () => {
    const { hold } = await held();
    const kept = new KeptHolds(new FakeClock());
    await kept.keep(hold);
    assert.equal(kept.find('contacts'), hold);
    assert.equal(kept.take('contacts'), hold);
    assert.equal(kept.take('contacts'), undefined);
    assert.equal(kept.find('contacts'), undefined);
  });

  it('are released when nobody takes them', async () => {
    const { ledger, hold } = await held();
    const clock = new FakeClock();
    const kept = new KeptHolds(clock);
    await kept.keep(hold);
    await clock.advance(15_000);
    assert.equal(await ledger.acquire(LOAD), undefined, 'Node-RED may take so long to make the new node');
    await clock.advance(10_000);
    assert.ok(await ledger.acquire(LOAD));
  });

  it('are released with their connection, and not kept after it', async () => {
    const { ledger, hold } = await held();
    const kept = new KeptHolds(new FakeClock());
    await kept.keep(hold);
    await kept.close();
    const next = await ledger.acquire(LOAD);
    assert.ok(next);
    await kept.keep(next);
    assert.ok(await ledger.acquire(LOAD));
  });
});
