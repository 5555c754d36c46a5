import assert from 'node:assert/strict';
import { loadError, statusOf, text } from '../../../nodes/shared/texts.ts';
import { LoadError } from '../../../src/errors.ts';
import { catalogue } from '../../support/catalogue.ts';

describe('texts of the catalogue', () => {
  afterEach(() => catalogue.speak('en-US'));

  const counted = () => [0, 1, 2, 12_000].map((count) => text('count.jobs', { count }));

  it('count in English', () => {
    assert.deepEqual(counted(), ['0 jobs', '1 job', '2 jobs', '12,000 jobs']);
  });

  it('count in German, with its own grouping', async () => {
    await catalogue.speak('de');
    assert.deepEqual(counted(), ['0 Jobs', '1 Job', '2 Jobs', '12.000 Jobs']);
  });

  it('count in Japanese, which knows no plural', async () => {
    await catalogue.speak('ja');
    assert.deepEqual(counted(), ['0 ジョブ', '1 ジョブ', '2 ジョブ', '12,000 ジョブ']);
  });

  for (const language of ['fr', 'en', 'C.'])
    it(`are English where Node-RED speaks what there is no catalogue for (${language})`, async () => {
      await catalogue.speak(language);
      assert.deepEqual(counted(), ['0 jobs', '1 job', '2 jobs', '12,000 jobs']);
    });

  it('take every value as it is, whatever looks like a blank or a reference in it', () => {
    const reason = 'a __load__ in $t(runtime.status.query) & "quotes" $1 {{reason}}';
    assert.equal(text('warning.tableNotReady', { reason }), `The table is not ready: ${reason}`);
  });

  describe('in the status of an error', () => {
    const ofNode = () => loadError('CONFIG_INVALID', 'params');
    const ofSource = new LoadError('DB_UNAVAILABLE', 'The database db:5432 is away: connection refused.');

    it('are the message in English', () => {
      assert.equal(statusOf(ofSource), 'DB_UNAVAILABLE: The database db:5432 is away: connection refused.');
      assert.match(statusOf(ofNode()), /^CONFIG_INVALID: params must be an array/);
      assert.equal(statusOf(new Error('no code')), 'no code');
    });

    it('are what the code means in another language, unless the message is in it', async () => {
      await catalogue.speak('de');
      assert.equal(statusOf(ofSource), 'DB_UNAVAILABLE: Datenbank nicht erreichbar');
      assert.match(statusOf(ofNode()), /^CONFIG_INVALID: params muss ein Array sein/);
      assert.equal(ofSource.message, 'The database db:5432 is away: connection refused.');
    });
  });
});
