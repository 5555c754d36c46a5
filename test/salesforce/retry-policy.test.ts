import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { CallKind } from '../../src/salesforce/call.ts';
import { parseErrorBody } from '../../src/salesforce/error-body.ts';
import { Patience } from '../../src/salesforce/patience.ts';
import {
  BACK_OFFS,
  mayHaveBeenProcessed,
  type Outcome,
  outcomeOf,
  outcomeOfFailure,
  REACTIONS,
  retryAfterMs,
  waitMs,
} from '../../src/salesforce/retry-policy.ts';
import { FakeClock } from '../support/fake-clock.ts';

const JSON_TYPE = 'application/json;charset=UTF-8';

function outcome(status: number, text = '', contentType: string | undefined = JSON_TYPE): Outcome {
  return outcomeOf({ status, contentType, text, errors: parseErrorBody(status, text) }, []);
}

describe('the retry policy', () => {
  const answers: [number, string, string | undefined, Outcome][] = [
    [200, '', JSON_TYPE, 'accepted'],
    [201, '', undefined, 'accepted'],
    [204, '', undefined, 'accepted'],
    [200, '', 'text/html', 'page'],
    [200, '<html>', undefined, 'page'],
    [404, '<!doctype html>', 'text/html', 'page'],
    [300, '[]', JSON_TYPE, 'refused'],
    [400, '[{"errorCode":"INVALIDJOB","message":""}]', JSON_TYPE, 'refused'],
    [401, '[{"errorCode":"INVALID_SESSION_ID","message":""}]', JSON_TYPE, 'unauthorized'],
    [403, 'Bad_OAuth_Token', 'text/plain', 'unauthorized'],
    [403, '[{"errorCode":"INSUFFICIENT_ACCESS","message":""}]', JSON_TYPE, 'refused'],
    [
      403,
      '[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]',
      JSON_TYPE,
      'daily-limit',
    ],
    [
      403,
      '[{"message":"ConcurrentRequests (Concurrent API Requests) Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED"}]',
      JSON_TYPE,
      'concurrent-limit',
    ],
    [404, '[{"errorCode":"NOT_FOUND","message":""}]', JSON_TYPE, 'refused'],
    [408, '', undefined, 'unavailable'],
    [420, '', undefined, 'unavailable'],
    [429, '', undefined, 'too-many'],
    [500, '<html>', 'text/html', 'unavailable'],
    [503, '[{"errorCode":"SERVER_UNAVAILABLE","message":""}]', JSON_TYPE, 'unavailable'],
  ];
  for (const [status, text, type, expected] of answers) {
    it(`HTTP ${status} ${text.slice(0, 50)} is ${expected}`, () => {
      assert.equal(outcome(status, text, type), expected);
    });
  }

  it('takes statuses that a call asked for as answers', () => {
    assert.equal(outcomeOf({ status: 300, contentType: JSON_TYPE, text: '', errors: [] }, [300]), 'accepted');
  });

  const failures: [{ sent: boolean; cause?: unknown }, Outcome][] = [
    [{ sent: true, cause: { code: 'ECONNRESET' } }, 'lost'],
    [{ sent: false, cause: { code: 'ECONNREFUSED' } }, 'not-sent'],
    [{ sent: false, cause: { code: 'ENOTFOUND' } }, 'not-sent'],
    [{ sent: false, cause: { code: 'UND_ERR_CONNECT_TIMEOUT' } }, 'not-sent'],
    [{ sent: false, cause: { code: 'SELF_SIGNED_CERT_IN_CHAIN' } }, 'untrusted'],
    [{ sent: false, cause: { cause: { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' } } }, 'untrusted'],
    [{ sent: false, cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' } }, 'untrusted'],
    [{ sent: false, cause: { code: 'CERT_HAS_EXPIRED' } }, 'untrusted'],
  ];
  for (const [failure, expected] of failures) {
    it(`${JSON.stringify(failure)} is ${expected}`, () => {
      assert.equal(outcomeOfFailure(failure), expected);
    });
  }

  it('never repeats what may have been processed, unless twice does no harm', () => {
    for (const [name, reactions] of Object.entries(REACTIONS) as [Outcome, Record<CallKind, string>][]) {
      if (!mayHaveBeenProcessed(name)) continue;
      assert.equal(reactions.doubtful, 'doubt', name);
      assert.equal(reactions.upload, 'doubt', name);
    }
  });

  it('never sends a second PUT to a job once anything came back', () => {
    for (const [name, reactions] of Object.entries(REACTIONS)) {
      if (name === 'not-sent') continue;
      assert.ok(!reactions.upload.startsWith('repeat'), name);
    }
  });

  it('waits with full jitter between floor and cap', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(BACK_OFFS)),
        fc.nat({ max: 2000 }),
        fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        (backOff, failuresSoFar, dice) => {
          const wait = waitMs(backOff, failuresSoFar, () => dice);
          return wait >= backOff.floorMs && wait <= backOff.capMs;
        },
      ),
      { seed: 3 },
    );
    const ceilings = [0, 1, 2, 3].map((n) => waitMs(BACK_OFFS.outage, n, () => 0.999_999));
    assert.deepEqual(ceilings, [1000, 2000, 4000, 8000]);
  });

  it('reads Retry-After in seconds and as a date', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    assert.equal(retryAfterMs('120', now), 120_000);
    assert.equal(retryAfterMs('Thu, 01 Jan 2026 00:01:30 GMT', now), 90_000);
    assert.equal(retryAfterMs('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
    assert.equal(retryAfterMs('soon', now), undefined);
    assert.equal(retryAfterMs('', now), undefined);
    assert.equal(retryAfterMs(undefined, now), undefined);
  });
});

describe('the patience of one call', () => {
  const limitMs = { outage: 600_000, concurrent: 600_000, daily: 600_000 };

  it('lasts for the time of an outage and not for a count of tries', async () => {
    for (const dice of [0.1, 0.5, 0.999]) {
      const clock = new FakeClock();
      const start = clock.now();
      const patience = new Patience({ clock, random: () => dice, limitMs });
      await clock.runUntil(
        untilOver(() => patience.again('outage', {})),
        0,
      );
      assert.equal(clock.now() - start, 600_000, `dice ${dice}`);
    }
  });

  it('waits at least as long as Retry-After says, but not beyond its time', async () => {
    const clock = new FakeClock();
    const patience = new Patience({ clock, random: () => 0, limitMs });
    await clock.runUntil(patience.again('outage', { retryAfterMs: 45_000 }), 0);
    await clock.runUntil(patience.again('outage', { retryAfterMs: 3_600_000 }), 0);
    assert.deepEqual(clock.slept, [45_000, 555_000]);
    assert.equal(await patience.again('outage', {}), false);
  });

  it('measures an outage and a limit each from its own first sign', async () => {
    const clock = new FakeClock();
    const patience = new Patience({ clock, random: () => 0, limitMs: { ...limitMs, daily: 60_000 } });
    await clock.runUntil(patience.again('outage', { retryAfterMs: 500_000 }), 0);
    assert.equal(await clock.runUntil(patience.again('daily', {}), 0), true);
  });
});

async function untilOver(again: () => Promise<boolean>): Promise<void> {
  while (await again());
}
