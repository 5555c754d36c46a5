import assert from 'node:assert/strict';
import { externalId } from '../../sandbox/org/model/fields.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { isLoadError } from '../../src/errors.ts';
import { isDoubtful, isRefusal } from '../../src/salesforce/outcome.ts';
import { MOST_IN_COLLECTION, RecordsApi } from '../../src/salesforce/records.ts';
import { SalesforceSession } from '../../src/salesforce/session.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { TestServer, tokenAnswers } from './test-server.ts';

describe('records over REST', () => {
  let org: Org;
  let session: SalesforceSession;
  let api: RecordsApi;
  const clock = new FakeClock();

  before(async () => {
    org = await startOrg();
    const { clientId, clientSecret } = org.credentials;
    session = new SalesforceSession({
      credentials: { flow: 'client-credentials', loginUrl: org.url, clientId, clientSecret },
      apiVersion: '66.0',
      clock,
      timeouts: { longAnswerMs: 500 },
      random: () => 0.5,
    });
    api = new RecordsApi(session);
  });
  after(async () => {
    await session.close();
    await org.close();
  });
  beforeEach(() => org.reset());

  function only<T>(items: Iterable<T>): T {
    const [item, ...others] = items;
    assert.ok(item !== undefined && others.length === 0, `not one but ${others.length + 1}`);
    return item;
  }

  describe('one by one', () => {
    it('are inserted, updated and deleted', async () => {
      const created = await api.createRecord('Contact', { LastName: 'Ånd', External_Id__c: 'A1' });
      assert.match(created.id ?? '', /^003\w{15}$/);
      assert.deepEqual(
        { ...created, id: '', answeredAt: undefined },
        { id: '', success: true, created: true, alreadyDeleted: false, errors: [], answeredAt: undefined },
      );
      assert.ok(Math.abs((created.answeredAt?.getTime() ?? 0) - Date.now()) < 5_000);
      const id = created.id ?? '';

      const updated = await api.updateRecord('Contact', id, { Phone: '123' });
      assert.equal(updated.success, true);
      assert.equal(updated.id, id);
      assert.equal(updated.created, false);
      assert.equal(only(org.records('Contact')).Phone, '123');

      const deleted = await api.deleteRecord('Contact', id);
      assert.deepEqual([deleted.success, deleted.alreadyDeleted, deleted.id], [true, false, id]);
      const again = await api.deleteRecord('Contact', id);
      assert.deepEqual([again.success, again.alreadyDeleted, again.errors], [true, true, []]);
      assert.equal(org.audit.rows('Contact'), 0);
    });

    it('that are refused are answers with their reasons', async () => {
      const refused = await api.createRecord('Contact', { FirstName: 'No' });
      assert.equal(refused.success, false);
      assert.equal(refused.id, null);
      assert.equal(refused.errors[0]?.errorCode, 'REQUIRED_FIELD_MISSING');
      assert.deepEqual(refused.errors[0]?.fields, ['LastName']);
      assert.ok(refused.answeredAt);

      const gone = await api.updateRecord('Contact', '003000000000999AAA', { Phone: '1' });
      assert.equal(gone.success, false);
      assert.match(
        gone.errors[0]?.errorCode ?? '',
        /ENTITY_IS_DELETED|NOT_FOUND|INVALID_CROSS_REFERENCE_KEY/,
      );
    });

    it('with an Id that is none are not asked for at all', async () => {
      for (const id of ['', 'x', '../../limits', '003000000000999AA?']) {
        const update = await api.updateRecord('Contact', id, {});
        assert.equal(update.errors[0]?.errorCode, 'MALFORMED_ID');
        assert.equal((await api.deleteRecord('Contact', id)).errors[0]?.errorCode, 'MALFORMED_ID');
      }
      assert.equal(org.audit.requests(/Contact/).length, 0);
    });

    it('are upserted by external id, created or updated', async () => {
      const fields = { LastName: 'One', External_Id__c: 'not sent' };
      const first = await api.upsertRecord('Contact', 'External_Id__c', 'K1', fields);
      assert.deepEqual([first.success, first.created], [true, true]);
      const second = await api.upsertRecord('Contact', 'External_Id__c', 'K1', { LastName: 'Two' });
      assert.deepEqual([second.success, second.created, second.id], [true, false, first.id]);
      const { LastName, External_Id__c } = only(org.records('Contact'));
      assert.deepEqual([LastName, External_Id__c], ['Two', 'K1']);
    });

    for (const key of ['a/b', 'a?b=c', 'ä €', '100 %', "O'Neil", '.', '..', 'a#b', 'a\\b', '+', '%2F']) {
      it(`are upserted by an external id like ${key}`, async () => {
        const answer = await api.upsertRecord('Contact', 'External_Id__c', key, { LastName: 'Odd' });
        assert.deepEqual(answer.errors, []);
        assert.equal(only(org.records('Contact')).External_Id__c, key);
      });
    }

    it('without a value of the external id are not asked for', async () => {
      const answer = await api.upsertRecord('Contact', 'External_Id__c', '', { LastName: 'None' });
      assert.equal(answer.errors[0]?.errorCode, 'MISSING_ARGUMENT');
      assert.equal(org.audit.requests(/Contact/).length, 0);
    });

    it('whose external id is there twice are refused by the name that Bulk has for it', async () => {
      org.model.addFields('Load_Test__c', { ...externalId('Shared_Key__c'), unique: false });
      const ids = ['1', '2'].map((name) => org.insert('Load_Test__c', { Name: name, Shared_Key__c: 'same' }));
      const answer = await api.upsertRecord('Load_Test__c', 'Shared_Key__c', 'same', { Name: 'x' });
      assert.equal(answer.errors[0]?.errorCode, 'DUPLICATE_EXTERNAL_ID');
      for (const id of ids) assert.ok(answer.errors[0]?.message.includes(id));
    });

    it('run an assignment rule only where one is named, as Bulk does', async () => {
      await api.createRecord('Case', { Subject: 'none' });
      await api.createRecord('Case', { Subject: 'rule' }, { assignmentRuleId: '01Q000000000002AAA' });
      const owners = new Map([...org.records('Case')].map((record) => [record.Subject, record.OwnerId]));
      assert.notEqual(owners.get('none'), owners.get('rule'));
      assert.deepEqual(
        org.audit.requests(/Case/).map(({ autoAssign }) => autoAssign),
        ['FALSE', '01Q000000000002AAA'],
      );
    });

    it('whose answer is lost are in doubt, and the org has them once', async () => {
      org.faults.add({ method: 'POST', path: /Contact/, kind: 'drop-after' });
      await assert.rejects(api.createRecord('Contact', { LastName: 'Lost' }), isDoubtful);
      assert.equal(org.audit.rows('Contact'), 1);
      org.faults.clear();
      org.faults.add({ method: 'POST', path: /Contact/, kind: 'cut', bytes: 12 });
      await assert.rejects(api.createRecord('Contact', { LastName: 'Half' }), isDoubtful);
      org.faults.clear();
      org.faults.add({ method: 'POST', path: /Contact/, kind: 'hang' });
      await assert.rejects(api.createRecord('Contact', { LastName: 'Hung' }), isDoubtful);
      assert.equal(org.audit.rows('Contact'), 2);
    });

    it('are told apart from calls that are refused as a whole', async () => {
      const body = [{ message: 'API is not enabled', errorCode: 'API_DISABLED_FOR_ORG' }];
      org.faults.add({ path: /Contact/, kind: 'status', status: 403, body });
      await assert.rejects(
        api.createRecord('Contact', { LastName: 'x' }),
        (error) => isRefusal(error) && error.errorCode === 'API_DISABLED_FOR_ORG',
      );
    });

    it('never let a name of an object or field into a URL that is none', async () => {
      for (const call of [
        () => api.createRecord('Contact/../User', {}),
        () => api.upsertRecord('Contact', 'Id/..', 'x', {}),
        () => api.findByExternalId('Contact', 'Name FROM User --', ['x']),
      ]) {
        await assert.rejects(
          async () => call(),
          (error) => isLoadError(error, 'CONFIG_INVALID'),
        );
      }
      assert.equal(org.audit.requests(/sobjects|query/).length, 0);
    });
  });

  describe('in Collections', () => {
    it('are inserted, each judged on its own, in their order', async () => {
      const answers = await api.saveCollection('insert', 'Contact', [
        { fields: { LastName: 'One', External_Id__c: 'C1' } },
        { fields: { FirstName: 'Nameless' } },
        { fields: { LastName: 'Three', External_Id__c: 'C3' } },
      ]);
      assert.deepEqual(
        answers.map(({ success, created }) => [success, created]),
        [
          [true, true],
          [false, null],
          [true, true],
        ],
      );
      assert.equal(answers[1]?.errors[0]?.errorCode, 'REQUIRED_FIELD_MISSING');
      assert.equal(org.audit.rows('Contact'), 2);
      assert.ok(answers.every(({ answeredAt }) => answeredAt instanceof Date));
    });

    it('are updated, upserted and deleted', async () => {
      const id = org.insert('Contact', { LastName: 'One', External_Id__c: 'C1' });
      const updated = await api.saveCollection('update', 'Contact', [
        { id, fields: { Phone: '1' } },
        { id: 'nonsense', fields: { Phone: '2' } },
      ]);
      assert.deepEqual(
        updated.map(({ success, id: of, created }) => [success, of, created]),
        [
          [true, id, false],
          [false, null, null],
        ],
      );
      const upserted = await api.saveCollection(
        'upsert',
        'Contact',
        [
          { fields: { LastName: 'Two', External_Id__c: 'C2' } },
          { fields: { Phone: '3', External_Id__c: 'C1' } },
        ],
        { externalIdField: 'External_Id__c' },
      );
      assert.deepEqual(
        upserted.map(({ success, created }) => [success, created]),
        [
          [true, true],
          [true, false],
        ],
      );
      assert.equal(upserted[1]?.id, id);

      await api.deleteRecord('Contact', id);
      const other = upserted[0]?.id ?? '';
      const deleted = await api.saveCollection('delete', 'Contact', [
        { id, fields: {} },
        { id: other, fields: {} },
      ]);
      assert.deepEqual(
        deleted.map(({ success, alreadyDeleted, id: of }) => [success, alreadyDeleted, of]),
        [
          [true, true, id],
          [true, false, other],
        ],
      );
      assert.equal(org.audit.rows('Contact'), 0);
    });

    it('are at most 200, and none is no call', async () => {
      const records = Array.from({ length: MOST_IN_COLLECTION }, (_, index) => ({
        fields: { LastName: `N${index}` },
      }));
      const answers = await api.saveCollection('insert', 'Contact', records);
      assert.ok(answers.every(({ success }) => success));
      await assert.rejects(
        async () => api.saveCollection('insert', 'Contact', [...records, { fields: {} }]),
        RangeError,
      );
      assert.deepEqual(await api.saveCollection('insert', 'Contact', []), []);
      assert.equal(org.audit.requests(/composite/).length, 1);
    });

    it('whose answer is lost or does not fit are in doubt', async () => {
      org.faults.add({ method: 'POST', path: /composite/, kind: 'drop-after', times: 1 });
      org.faults.add({ method: 'POST', path: /composite/, kind: 'status', status: 200, body: [], nth: 2 });
      for (const _way of ['lost', 'short']) {
        await assert.rejects(
          api.saveCollection('insert', 'Contact', [{ fields: { LastName: 'x' } }]),
          isDoubtful,
        );
      }
    });
  });

  describe('looked up by external id', () => {
    it('are found in as many queries as their URLs need', async () => {
      const keys = Array.from({ length: 900 }, (_, index) => `O'Key "${index}" \\ ${'é'.repeat(10)}`);
      for (const key of keys.slice(0, 300)) org.insert('Contact', { LastName: 'x', External_Id__c: key });
      const found = await api.findByExternalId('Contact', 'External_Id__c', [...keys, ...keys]);
      assert.deepEqual(new Set(found.map((record) => record.External_Id__c)), new Set(keys.slice(0, 300)));
      assert.equal(found.length, 300);
      const [record] = found;
      assert.match(String(record?.Id), /^003/);
      assert.ok(record && 'CreatedDate' in record && 'CreatedById' in record);
      const queries = org.audit.requests(/query/);
      assert.ok(queries.length > 3);
      assert.ok(queries.every(({ path }) => path.length < 16_000));
    });

    it('are asked for the fields that are wanted', async () => {
      org.insert('Contact', { LastName: 'x', External_Id__c: 'K' });
      const [record] = await api.findByExternalId('Contact', 'External_Id__c', ['K'], {
        fields: ['LastName'],
      });
      assert.deepEqual([record?.LastName, record?.External_Id__c], ['x', 'K']);
    });

    it('by no value, or by no number in a number field, cost no call', async () => {
      assert.deepEqual(await api.findByExternalId('Contact', 'External_Id__c', []), []);
      const found = await api.findByExternalId('Load_Test__c', 'Value__c', ['1 OR 1=1'], {
        literal: 'number',
      });
      assert.deepEqual(found, []);
      assert.equal(org.audit.requests(/query/).length, 0);
    });

    it('come from all pages', async () => {
      const server = new TestServer(() => undefined);
      const tokens = tokenAnswers(() => server.url);
      server.handle = ({ path }) => {
        if (path.includes('token')) return tokens();
        const next = '/services/data/v66.0/query/01g-2000';
        if (path === next) return { body: { done: true, records: [{ Id: '2' }] } };
        return { body: { done: false, nextRecordsUrl: next, records: [{ Id: '1' }] } };
      };
      await server.start();
      const paged = new SalesforceSession({
        credentials: { flow: 'client-credentials', loginUrl: server.url, clientId: 'a', clientSecret: 'b' },
        apiVersion: '66.0',
      });
      const found = await new RecordsApi(paged).findByExternalId('Contact', 'External_Id__c', ['K']);
      assert.deepEqual(found, [{ Id: '1' }, { Id: '2' }]);
      await paged.close();
      await server.stop();
    });
  });
});
