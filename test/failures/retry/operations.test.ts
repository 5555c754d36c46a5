import assert from 'node:assert/strict';
import type { RetryJob } from '../../../src/failures/retry.ts';
import { failureOf, startWorld, type World } from '../support/world.ts';

/** What a job and a retry must leave alike: everything but what tells when and in which order records were made. */
const OWN = new Set(['Id', 'CreatedDate', 'LastModifiedDate', 'SystemModstamp']);

function endState(world: World, object: string): Record<string, unknown>[] {
  return [...world.org.records(object)]
    .map((record) => Object.fromEntries(Object.entries(record).filter(([name]) => !OWN.has(name))))
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

type Row = Record<string, string>;

function toCsv(rows: Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = rows.map((row) =>
    columns.map((name) => `"${(row[name] ?? '').replaceAll('"', '""')}"`).join(','),
  );
  return `${[columns.join(','), ...lines].join('\n')}\n`;
}

const FULL_CONTACT: Row = {
  LastName: 'Müller "the" First, née\nSchmidt',
  FirstName: ' 007 ',
  External_Id__c: 'C-1',
  Email: 'a@example.com',
  'Account.External_Id__c': 'A-1',
  Birthdate: '1980-02-29',
  Last_Visit__c: '2025-12-31T23:59:59.000Z',
  DoNotCall: '1',
  HasOptedOutOfEmail: 'FALSE',
  Score__c: '9.12260031E8',
  Credit_Limit__c: '1234.50',
  Visits__c: '7',
  Level__c: 'Primary',
  Description: '',
  Title: 'true',
};

interface Case {
  what: string;
  job: Omit<RetryJob, 'id'>;
  /** Makes the org as it is before the load; returns ids that the rows need. */
  before: (world: World) => string[];
  rows: (ids: string[]) => Row[];
  objects: string[];
}

const job = (object: string, operation: RetryJob['operation'], externalIdField: string | null = null) => ({
  object,
  operation,
  externalIdField,
});

const account = (world: World, number = 1) =>
  world.org.insert('Account', { Name: `Acme ${number}`, External_Id__c: `A-${number}` });

const contact = (world: World, number: number, more: Row = {}) =>
  world.org.insert('Contact', {
    LastName: `Old ${number}`,
    External_Id__c: `C-${number}`,
    Title: 'stays',
    Birthdate: '1970-01-01',
    Description: 'goes',
    ...more,
  });

const CASES: Case[] = [
  {
    what: 'insert, with all types and a parent by external id',
    job: job('Contact', 'insert', 'External_Id__c'),
    before: (world) => [account(world)],
    rows: () => [FULL_CONTACT, { LastName: 'Plain', External_Id__c: 'C-2', Score__c: '#N/A' }],
    objects: ['Contact'],
  },
  {
    what: 'insert with a parent by id',
    job: job('Contact', 'insert'),
    before: (world) => [account(world)],
    rows: ([id = '']) => [
      { LastName: 'Child', AccountId: id },
      { LastName: 'Orphan', AccountId: '' },
    ],
    objects: ['Contact'],
  },
  {
    what: 'insert with a polymorphic parent',
    job: job('Task', 'insert'),
    before: (world) => [world.org.insert('Lead', { LastName: 'L', Company: 'C', Email: 'lead@example.com' })],
    rows: () => [
      { Subject: 'Call', 'Lead:Who.Email': 'lead@example.com', ActivityDate: '2026-02-01' },
      { Subject: 'Write', 'Lead:Who.Email': '', ActivityDate: '' },
    ],
    objects: ['Task'],
  },
  {
    what: 'insert without an assignment rule, where the org has an active one',
    job: job('Case', 'insert'),
    before: () => [],
    rows: () => [{ Subject: 'Broken' }, { Subject: 'Late' }],
    objects: ['Case'],
  },
  {
    what: 'insert with an assignment rule',
    job: { ...job('Case', 'insert'), assignmentRuleId: '01Q000000000002AAA' },
    before: () => [],
    rows: () => [{ Subject: 'Broken' }, { Subject: 'Late' }],
    objects: ['Case'],
  },
  {
    what: 'update: empty leaves, #N/A clears',
    job: job('Contact', 'update'),
    before: (world) => [contact(world, 1), contact(world, 2)],
    rows: (ids) =>
      ids.map((id, at) => ({
        Id: id,
        LastName: `New ${at}`,
        Title: '',
        Birthdate: '#N/A',
        Description: '#N/A',
        DoNotCall: 'true',
      })),
    objects: ['Contact'],
  },
  {
    what: 'update that moves and clears a parent',
    job: job('Contact', 'update'),
    before: (world) => {
      const [first, second] = [account(world, 1), account(world, 2)];
      return [contact(world, 1, { AccountId: first }), contact(world, 2, { AccountId: second })];
    },
    rows: ([first = '', second = '']) => [
      { Id: first, 'Account.External_Id__c': 'A-2' },
      { Id: second, 'Account.External_Id__c': '#N/A' },
    ],
    objects: ['Contact'],
  },
  {
    what: 'upsert that inserts and updates',
    job: job('Contact', 'upsert', 'External_Id__c'),
    before: (world) => [account(world), contact(world, 1)],
    rows: () => [
      {
        External_Id__c: 'C-1',
        LastName: 'New',
        Title: '',
        Description: '#N/A',
        'Account.External_Id__c': 'A-1',
      },
      {
        External_Id__c: 'a/b ?#%&+.é',
        LastName: 'Odd key',
        Title: '',
        Description: '',
        'Account.External_Id__c': '',
      },
    ],
    objects: ['Contact'],
  },
  {
    what: 'upsert by Id',
    job: job('Contact', 'upsert', 'Id'),
    before: (world) => [contact(world, 1), contact(world, 2)],
    rows: (ids) => ids.map((id, at) => ({ Id: id, LastName: `New ${at}` })),
    objects: ['Contact'],
  },
  {
    what: 'delete',
    job: job('Contact', 'delete'),
    before: (world) => [contact(world, 1), contact(world, 2), contact(world, 3)],
    rows: (ids) => ids.slice(0, 2).map((id) => ({ Id: id })),
    objects: ['Contact'],
  },
];

describe('a retry leaves the org as the Bulk job would have', () => {
  let world: World;
  before(async () => {
    world = await startWorld();
  });
  after(() => world.close());

  for (const { what, job: spec, before: prepare, rows, objects } of CASES) {
    for (const mode of ['individual', 'collections', 'auto'] as const) {
      it(`${what} (${mode})`, async () => {
        await world.org.reset();
        const bulk = await world.load(spec, toCsv(rows(prepare(world))));
        assert.deepEqual(bulk.failures, []);
        const expected = objects.map((object) => endState(world, object));
        assert.ok(expected.every((records) => records.length > 0));

        await world.org.reset();
        const sent = rows(prepare(world));
        const failures = sent.map((row, at) => failureOf(world.classifier, `${what} ${mode} ${at}`, row));
        const result = await world.clock.runUntil(
          world.retry({ mode }).retry(failures, { ...spec, id: '750xx' }),
        );

        assert.deepEqual(result.failed, []);
        assert.equal(result.succeeded.length, sent.length);
        assert.deepEqual(
          objects.map((object) => endState(world, object)),
          expected,
        );
      });
    }
  }

  it('counts a record that is deleted already as done', async () => {
    for (const mode of ['individual', 'collections'] as const) {
      await world.org.reset();
      const ids = [contact(world, 1), contact(world, 2)];
      const failures = ids.map((Id, at) => failureOf(world.classifier, `gone ${mode} ${at}`, { Id }));
      const deletion = { ...job('Contact', 'delete'), id: '750xx' };
      for (const id of ids.slice(0, 1)) await world.records.deleteRecord('Contact', id);
      const result = await world.clock.runUntil(world.retry({ mode }).retry(failures, deletion));
      assert.deepEqual(
        result.succeeded.map(({ sfId }) => sfId),
        ids,
      );
      assert.equal(world.org.audit.rows('Contact'), 0);
    }
  });

  it('never retries hardDelete over REST, and says why', async () => {
    await world.org.reset();
    const failure = failureOf(world.classifier, 'hard', { Id: contact(world, 1) });
    const result = await world.retry().retry([failure], { ...job('Contact', 'hardDelete'), id: '750xx' });
    assert.equal(result.calls, 0);
    assert.deepEqual(result.succeeded, []);
    assert.deepEqual(result.failed, [
      {
        ...failure,
        retryable: false,
        rule: 'not retried: hardDelete over REST would be a soft delete. Send it in a new Bulk job',
      },
    ]);
    assert.equal(world.org.audit.rows('Contact'), 1);
  });
});
