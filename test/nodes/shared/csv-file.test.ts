import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { csvFile } from '../../../nodes/shared/csv-file.ts';
import { isLoadError } from '../../../src/errors.ts';
import { until } from '../../support/until.ts';

/** What is read ahead of whoever asks for the bytes. */
const READ_AHEAD = 65_536;

describe('the file that msg.filename names', () => {
  it('says where it broke off, what is loaded all the same, and what to do', async () => {
    // Linux breaks this file off with ESRCH when its process ends. It is longer than what is read ahead.
    const child = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => {}, 1000)']);
    await once(child.stdout, 'data');
    const file = `/proc/${child.pid}/smaps`;
    const chunks = csvFile(file);
    const { value } = await chunks.next();
    assert.ok(value && value.length > 0);
    await until(async () => (await positionIn(file)) >= READ_AHEAD, 'enough is read ahead');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await assert.rejects(
      async () => {
        for await (const _ of chunks);
      },
      (error) => {
        assert.ok(isLoadError(error, 'RECORD_INVALID'), String(error));
        assert.match(error.message, /smaps.*broke off at byte [\d,]+: ESRCH.*receipt/);
        return true;
      },
    );
    assert.equal(await descriptorOf(file), undefined);
  });
});

async function descriptorOf(file: string): Promise<string | undefined> {
  for (const fd of await readdir('/proc/self/fd')) {
    if ((await readlink(`/proc/self/fd/${fd}`).catch(() => '')) === file) return fd;
  }
  return undefined;
}

async function positionIn(file: string): Promise<number> {
  const info = await readFile(`/proc/self/fdinfo/${await descriptorOf(file)}`, 'utf8');
  return Number(/pos:\s+(\d+)/.exec(info)?.[1]);
}
