import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { PostgresRefreshTokenStore } from '../../../src/database/ledger/refresh-tokens.ts';
import { Database } from '../../../src/database/pool.ts';
import { configOf, type TestDatabase, testDatabase } from '../../support/postgres.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const SECRET = 'first token and client secret';

describe('refresh tokens in PostgreSQL', () => {
  let at: TestDatabase;
  let db: Database;
  let other: Database;

  before(async () => {
    at = await testDatabase();
    db = new Database(configOf(at));
    other = new Database(configOf(at));
  });
  after(async () => {
    await db.close();
    await other.close();
  });

  it('are undefined before the first rotation, then the newest', async () => {
    const store = new PostgresRefreshTokenStore(db, { key: randomUUID(), secret: SECRET });
    assert.equal(await store.load(), undefined);
    const seen: (string | undefined)[] = [];
    for (const next of ['token-1', 'token-2']) {
      await store.update(async (current) => {
        seen.push(current);
        return next;
      });
    }
    assert.deepEqual(seen, [undefined, 'token-1']);
    assert.equal(await store.load(), 'token-2');
  });

  it('rotate one after the other in all processes', async () => {
    const key = randomUUID();
    const stores = [db, other].map((each) => new PostgresRefreshTokenStore(each, { key, secret: SECRET }));
    const used: (string | undefined)[] = [];
    let inside = 0;
    const rotate = async (current: string | undefined) => {
      inside += 1;
      assert.equal(inside, 1, 'nobody else rotates meanwhile');
      used.push(current);
      await new Promise(setImmediate);
      inside -= 1;
      return `token-${used.length}`;
    };
    await Promise.all([...stores, ...stores, ...stores].map((store) => store.update(rotate)));
    assert.deepEqual(used, [undefined, 'token-1', 'token-2', 'token-3', 'token-4', 'token-5']);
  });

  it('stay when the rotation fails', async () => {
    const store = new PostgresRefreshTokenStore(db, { key: randomUUID(), secret: SECRET });
    await store.update(async () => 'token-1');
    await assert.rejects(
      store.update(async () => {
        throw new Error('the org is away');
      }),
      /the org is away/,
    );
    assert.equal(await store.load(), 'token-1');
  });

  it('are sealed: neither token nor secret is in the database', async () => {
    const key = randomUUID();
    await new PostgresRefreshTokenStore(db, { key, secret: SECRET }).update(async () => 'very-secret-token');
    const { rows } = await db.query<{ sealed: Buffer }>('SELECT sealed FROM sf_sync_token WHERE key = $1', [
      key,
    ]);
    const sealed = rows[0]?.sealed ?? Buffer.alloc(0);
    assert.ok(sealed.length > 'very-secret-token'.length);
    for (const text of ['very-secret-token', SECRET]) assert.equal(sealed.includes(text), false);
  });

  it('that were sealed with another secret, or for another connection, are not read', async () => {
    const [key, stolenBy] = [randomUUID(), randomUUID()];
    await new PostgresRefreshTokenStore(db, { key, secret: SECRET }).update(async () => 'token-1');
    const said: string[] = [];
    const log = { info: () => {}, warn: (text: string) => said.push(text), error: () => {} };
    assert.equal(await new PostgresRefreshTokenStore(db, { key, secret: 'another', log }).load(), undefined);
    await db.query('INSERT INTO sf_sync_token SELECT $2, sealed FROM sf_sync_token WHERE key = $1', [
      key,
      stolenBy,
    ]);
    assert.equal(
      await new PostgresRefreshTokenStore(db, { key: stolenBy, secret: SECRET, log }).load(),
      undefined,
    );
    assert.equal(said.length, 2);
  });

  it('rotate when the database is back, once, and say so once', async () => {
    const proxy = await TcpProxy.start(at);
    const shaky = new Database({ ...configOf(at), port: proxy.port });
    const said: string[] = [];
    const log = { info: () => {}, warn: (text: string) => said.push(text), error: () => {} };
    const store = new PostgresRefreshTokenStore(shaky, { key: randomUUID(), secret: SECRET, log });
    await store.update(async () => 'token-1');
    proxy.cut();
    const used: (string | undefined)[] = [];
    const reasons: string[] = [];
    const updating = store.update(
      async (current) => {
        used.push(current);
        return 'token-2';
      },
      { onWait: ({ code }) => reasons.push(code) },
    );
    updating.catch(() => {}); // Looked at below, when the network is back.
    await until(() => reasons.length > 1, 'it was tried twice');
    assert.deepEqual([used, new Set(reasons)], [[], new Set(['DB_UNAVAILABLE'])]);
    proxy.heal();
    await updating;
    assert.deepEqual(used, ['token-1']);
    assert.equal(await store.load(), 'token-2');
    assert.equal(said.length, 1, said.join());
    assert.match(said[0] ?? '', /refresh token waits/);
    await shaky.close();
    await proxy.stop();
  });

  it('are not rotated any more for who has stopped waiting', async () => {
    const proxy = await TcpProxy.start(at);
    const shaky = new Database({ ...configOf(at), port: proxy.port });
    const store = new PostgresRefreshTokenStore(shaky, { key: randomUUID(), secret: SECRET });
    proxy.cut();
    const stop = new AbortController();
    const rotate = async () => assert.fail('nobody waits for it');
    const updating = store.update(rotate, {
      signal: stop.signal,
      onWait: () => stop.abort(new Error('enough')),
    });
    await assert.rejects(updating, /enough/);
    await shaky.close();
    await proxy.stop();
  });

  it('are stored though the connection broke after the rotation', async () => {
    const proxy = await TcpProxy.start(at);
    const shaky = new Database({ ...configOf(at), port: proxy.port });
    const key = randomUUID();
    const store = new PostgresRefreshTokenStore(shaky, { key, secret: SECRET });
    assert.equal(await store.load(), undefined);
    const updating = store.update(async () => {
      proxy.cut();
      return 'token-1';
    });
    await until(() => proxy.connections === 0, 'the connection is cut');
    assert.equal(await store.load(), 'token-1', 'the only copy is at hand');
    proxy.heal();
    await updating;
    assert.equal(await new PostgresRefreshTokenStore(other, { key, secret: SECRET }).load(), 'token-1');
    await shaky.close();
    await proxy.stop();
  });
});
