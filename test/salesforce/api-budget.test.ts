import assert from 'node:assert/strict';
import { isLoadError } from '../../src/errors.ts';
import { ApiBudget, parseLimitInfo } from '../../src/salesforce/api-budget.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('the API budget', () => {
  it('reads Sforce-Limit-Info in all its forms', () => {
    assert.deepEqual(parseLimitInfo('api-usage=10018/100000'), { used: 10_018, allowed: 100_000 });
    assert.deepEqual(parseLimitInfo('api-usage=5/10; api-bursts=1/750'), { used: 5, allowed: 10 });
    assert.deepEqual(parseLimitInfo('per-app-api-usage=17/250(appName=x); api-usage=5/10'), {
      used: 5,
      allowed: 10,
    });
    assert.equal(parseLimitInfo('per-app-api-usage=17/250(appName=x)'), undefined);
    assert.equal(parseLimitInfo(undefined), undefined);
  });

  it('is exceeded beyond its share, and says so with figures', () => {
    const budget = new ApiBudget(new FakeClock(), 90);
    assert.equal(budget.exceeded, false);
    budget.read('api-usage=900/1000');
    assert.equal(budget.exceeded, false);
    budget.assert();
    budget.read('api-usage=901/1000');
    assert.equal(budget.exceeded, true);
    assert.throws(
      () => budget.assert(),
      (error) => isLoadError(error, 'SF_API_LIMIT') && /901 of the org's 1000 .* 90 %/.test(error.message),
    );
  });

  it('keeps the last reading when an answer has none, and forgets an old one', async () => {
    const clock = new FakeClock();
    const budget = new ApiBudget(clock, 50);
    budget.read('api-usage=600/1000');
    budget.read(undefined);
    assert.equal(budget.exceeded, true);
    await clock.advance(16 * 60_000);
    assert.equal(budget.exceeded, false);
  });
});
