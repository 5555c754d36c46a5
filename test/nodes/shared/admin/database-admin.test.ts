import assert from 'node:assert/strict';
import { registerDatabaseAdmin } from '../../../../nodes/shared/admin/database-admin.ts';
import { Database } from '../../../../src/database/pool.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { testDatabase } from '../../../support/postgres.ts';
import { AdminServer } from './admin-server.ts';

describe('admin endpoints of sync-database', () => {
  let database: Database;
  let admin: AdminServer;
  let clock: FakeClock;

  before(async () => {
    const { host, port, user, password, database: name } = await testDatabase();
    database = new Database({ host, port, user, password, database: name, ssl: 'disable', poolSize: 3 });
    await database.query(`
      CREATE TABLE people (id bigint PRIMARY KEY, name varchar(80) NOT NULL, code text UNIQUE, born timestamptz, photo bytea);
      INSERT INTO people SELECT n, 'Name ' || n, 'C' || n, '2026-01-01T00:00:00Z', '\\x00ff' FROM generate_series(1, 12) n;
      UPDATE people SET code = NULL WHERE id = 2;
      UPDATE people SET name = repeat('x', 80) WHERE id = 3;
      CREATE VIEW adults AS SELECT * FROM people;
      CREATE SCHEMA other; CREATE TABLE other."odd.name" (id int);
      CREATE TABLE sf_sync_dead_letter (id int);`);
  });
  beforeEach(async () => {
    clock = new FakeClock();
    admin = await AdminServer.start((RED) => registerDatabaseAdmin(RED, clock));
    admin.deploy('d1', 'sync-database', { database });
  });
  afterEach(() => admin.stop());
  after(() => database.close());

  it('tests the connection: server, user, which of our tables are there', async () => {
    const { body } = await admin.get('database/d1/test');
    assert.match(body.version, /^\d+/);
    assert.equal(body.schema, 'public');
    assert.deepEqual(body.existing, ['sf_sync_dead_letter']);
    assert.equal(body.ownTables.length, 7);
  });

  it('lists tables and views as they are written in a form', async () => {
    const { body } = await admin.get('database/d1/tables');
    assert.deepEqual(body, [
      { name: 'adults', kind: 'view' },
      { name: 'people', kind: 'table' },
      { name: 'sf_sync_dead_letter', kind: 'table' },
      { name: 'other."odd.name"', kind: 'table' },
    ]);
  });

  it('lists the columns of a table, and none of a table that is not there', async () => {
    const { body } = await admin.get('database/d1/columns?table=people');
    assert.deepEqual(body[0], { name: 'id', type: 'bigint', nullable: false, unique: true });
    assert.deepEqual(body[1], {
      name: 'name',
      type: 'character varying(80)',
      nullable: false,
      unique: false,
    });
    assert.equal(body[2].unique, true);
    assert.deepEqual((await admin.get('database/d1/columns?table=other.%22odd.name%22')).body.length, 1);
    assert.deepEqual((await admin.get('database/d1/columns?table=nothing')).body, []);
    assert.equal((await admin.get('database/d1/columns?table=a.b.c')).body.code, 'CONFIG_INVALID');
  });

  it('tells the columns of a query without running it', async () => {
    const { body } = await admin.post('database/d1/query-columns', {
      sql: 'SELECT id, 1 / 0 AS never FROM people',
    });
    assert.deepEqual(
      body.map(({ name, type }: { name: string; type: string }) => [name, type]),
      [
        ['id', 'bigint'],
        ['never', 'integer'],
      ],
    );
  });

  it('previews ten rows as texts', async () => {
    const sql = 'SELECT id, code, born, photo FROM people WHERE id > $1 ORDER BY id';
    const { body } = await admin.post('database/d1/preview', { sql, params: [0] });
    assert.equal(body.rows.length, 10);
    assert.deepEqual(body.rows[0], ['1', 'C1', '2026-01-01T00:00:00.000Z', '\\x00ff']);
    assert.equal(body.rows[1][1], null);
    assert.deepEqual(body.columns[1], { name: 'code', type: 'text', typeId: 25 });
  });

  it('cuts long cells', async () => {
    const { body } = await admin.post('database/d1/preview', { sql: "SELECT repeat('x', 5000) AS long" });
    assert.equal(body.rows[0][0].length, 200);
  });

  it('cannot be used to write', async () => {
    const sql = 'DELETE FROM people RETURNING id';
    const { status, body } = await admin.post('database/d1/preview', { sql });
    assert.ok(status >= 400, JSON.stringify(body));
    const smuggled = 'SELECT id FROM people; DELETE FROM people';
    assert.ok((await admin.post('database/d1/preview', { sql: smuggled })).status >= 400);
    const { rows } = await database.query<{ count: string }>('SELECT count(*) FROM people');
    assert.equal(rows[0]?.count, '12');
  });

  it("passes on PostgreSQL's own words for an error", async () => {
    const { status, body } = await admin.post('database/d1/preview', { sql: 'SELECT nothing FROM people' });
    assert.deepEqual([status, body.code], [400, 'DB_QUERY_FAILED']);
    assert.match(body.message, /"nothing"/);
  });

  it('says what to do when the database is away', async () => {
    const away = new Database({ ...database.address, password: 'x', port: 1, ssl: 'disable', poolSize: 2 });
    admin.deploy('d1', 'sync-database', { database: away });
    const { body } = await admin.get('database/d1/test');
    assert.equal(body.code, 'DB_UNAVAILABLE');
    assert.match(body.message, /host and port/);
  });

  it('keeps nobody waiting for ever while all connections are in use, and may be asked again', async () => {
    const release = Promise.withResolvers<void>();
    const busy = [1, 2, 3].map(() => database.withSession(() => release.promise));
    for (const path of ['test', 'test', 'test', 'tables']) {
      const { status, body } = await clock.runUntil(admin.get(`database/d1/${path}`), 100);
      assert.deepEqual([status, body.code], [504, 'TIMEOUT']);
    }
    release.resolve();
    await Promise.all(busy);
    assert.equal((await admin.get('database/d1/test')).status, 200);
  });

  it('asks for the permission to write where a query of the person runs', async () => {
    admin.denied.add('sf-bulk.write');
    for (const path of ['preview', 'query-columns'])
      assert.equal((await admin.post(`database/d1/${path}`, { sql: 'SELECT 1 AS one' })).status, 401);
    assert.equal((await admin.get('database/d1/tables')).status, 200);
  });
});
