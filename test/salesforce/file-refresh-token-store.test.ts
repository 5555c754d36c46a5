import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLoadError } from '../../src/errors.ts';
import { FileRefreshTokenStore } from '../../src/salesforce/file-refresh-token-store.ts';
import { refreshTokenKey } from '../../src/salesforce/refresh-token-store.ts';

describe('the refresh token in a file', () => {
  let directory: string;
  let path: string;
  let warnings: string[];

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tokens-'));
    path = join(directory, 'deep', 'token.sealed');
    warnings = [];
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  function store(secret = 'credential secret'): FileRefreshTokenStore {
    const log = { info: () => {}, warn: (text: string) => warnings.push(text), error: () => {} };
    return new FileRefreshTokenStore({ path, secret, log });
  }

  it('is none before the first rotation', async () => {
    assert.equal(await store().load(), undefined);
  });

  it('outlives the process, unreadable to others', async () => {
    await store().update(async (current) => {
      assert.equal(current, undefined);
      return 'token-1';
    });
    assert.equal(await store().load(), 'token-1');
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.ok(!(await readFile(path)).includes('token-1'));
    assert.deepEqual(await readdir(join(directory, 'deep')), ['token.sealed']);
  });

  it('is never the same bytes twice', async () => {
    await store().update(async () => 'token-1');
    const first = await readFile(path);
    await store().update(async () => 'token-2');
    await store().update(async () => 'token-1');
    assert.notDeepEqual(await readFile(path), first);
  });

  it('goes through rotations one after the other, whoever asks', async () => {
    let turns = 0;
    let inside = 0;
    const rotate = async (current: string | undefined) => {
      inside += 1;
      assert.equal(inside, 1, 'two at the same time');
      assert.equal(current, turns === 0 ? undefined : `token-${turns}`);
      turns += 1;
      const next = `token-${turns}`;
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      return next;
    };
    await Promise.all(Array.from({ length: 20 }, () => store().update(rotate)));
    assert.equal(await store().load(), 'token-20');
  });

  it('stays when a rotation fails', async () => {
    await store().update(async () => 'token-1');
    await assert.rejects(
      store().update(async () => {
        throw new Error('refused');
      }),
      /refused/,
    );
    assert.equal(await store().load(), 'token-1');
    await store().update(async (current) => `${current}-next`);
    assert.equal(await store().load(), 'token-1-next');
  });

  it('that cannot be read gives way to the entered one, and says so', async () => {
    await store().update(async () => 'token-1');
    assert.equal(await store('another secret').load(), undefined);
    assert.match(warnings[0] ?? '', /cannot be read/);
    assert.ok(!warnings.join().includes('token-1'));
    for (const text of ['', 'nonsense', 'n'.repeat(44), '{}']) {
      await writeFile(path, text);
      assert.equal(await store().load(), undefined);
    }
    await store('another secret').update(async () => 'token-2');
    assert.equal(await store('another secret').load(), 'token-2');
  });

  it('that was tampered with is not believed', async () => {
    await store().update(async () => 'token-1');
    const sealed = await readFile(path);
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      await writeFile(path, changed);
      assert.equal(await store().load(), undefined, `byte ${at}`);
    }
    await writeFile(path, sealed.subarray(0, -1));
    assert.equal(await store().load(), undefined);
    await writeFile(path, sealed);
    assert.equal(await store().load(), 'token-1');
  });

  it('needs a secret', () => {
    assert.throws(
      () => store(''),
      (error) => isLoadError(error, 'CONFIG_INVALID'),
    );
  });

  it('has a name that changes with the entered token', () => {
    const credentials = {
      flow: 'refresh-token' as const,
      loginUrl: 'https://a',
      clientId: 'b',
      refreshToken: 'c',
    };
    const key = refreshTokenKey(credentials);
    assert.match(key, /^[0-9a-f]{64}$/);
    assert.equal(refreshTokenKey({ ...credentials, clientSecret: 'x' }), key);
    assert.notEqual(refreshTokenKey({ ...credentials, refreshToken: 'd' }), key);
  });
});
