import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { isLoadError } from '../../src/errors.ts';
import { connectTo } from '../support/loads.ts';

describe('connection', () => {
  let org: Org;
  before(async () => {
    org = await startOrg();
  });
  after(() => org.close());

  describe('scratch', () => {
    const { TMPDIR } = process.env;
    let base: string;
    beforeEach(async () => {
      base = await mkdtemp(join(tmpdir(), 'connection-test-'));
    });
    afterEach(async () => {
      if (TMPDIR === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = TMPDIR;
      await rm(base, { recursive: true, force: true });
    });

    it('that could not be made is made when the disk is back', async () => {
      const connection = connectTo(org);
      const disk = join(base, 'disk');
      process.env.TMPDIR = disk;
      await writeFile(disk, 'no directory');
      await assert.rejects(connection.scratch(), (error) => isLoadError(error, 'CONFIG_INVALID'));
      await rm(disk);
      await mkdir(disk);
      const scratch = await connection.scratch();
      assert.equal(await connection.scratch(), scratch);
      assert.ok(scratch.directory.startsWith(disk));
      await connection.close();
    });
  });
});
