import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { orgFor, parsed, rows } from './client.ts';

const MAIN = fileURLToPath(new URL('../../../sandbox/org/main.ts', import.meta.url));

async function start(...flags: string[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [MAIN, ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
  assert.ok(child.stdout);
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return { child, url: JSON.parse(String(line)).url };
}

describe('the sandbox org as a process', () => {
  it('prints where it is, answers, and ends on SIGTERM', async () => {
    const { child, url } = await start('--port', '0', '--sink', '--fail-percent', '2', '--api-budget', '77');
    const credentials = (await (await fetch(`${url}/sandbox/credentials`)).json()) as Record<string, string>;
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: credentials.clientId ?? '',
      client_secret: credentials.clientSecret ?? '',
    });
    const token = (await (
      await fetch(`${url}/services/oauth2/token`, { method: 'POST', body })
    ).json()) as Record<string, string>;
    const limits = await fetch(`${url}/services/data/v66.0/limits`, {
      headers: { authorization: `Bearer ${token.access_token}` },
    });
    assert.equal(limits.headers.get('sforce-limit-info'), 'api-usage=1/77');
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });

  it('ends with its parent when told to', async () => {
    const { child } = await start('--with-parent');
    child.stdin?.end();
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });
});

describe("the sandbox org's controls over HTTP", () => {
  const sandbox = orgFor();
  const admin = async (method: string, path: string, body?: Record<string, unknown>) => {
    const answer = await sandbox.client.admin(method, path, body);
    assert.equal(answer.status, 200, answer.text);
    return answer;
  };

  it('faults, job faults, release, audit, records, reset', async () => {
    await admin('POST', 'faults', { kind: 'status', status: 503, path: 'limits', times: 1 });
    assert.equal((await sandbox.client.call('GET', '/limits')).status, 503);
    const [fault] = parsed<{ struck: number; fault: { path: string } }[]>(await admin('GET', 'faults'));
    assert.deepEqual([fault?.struck, fault?.fault.path], [1, 'limits']);
    await admin('DELETE', 'faults');
    assert.equal((await admin('GET', 'faults')).text, '[]');

    await admin('POST', 'job-faults', { kind: 'stuck' });
    const job = { object: 'Load_Test__c', operation: 'insert' };
    const id = await sandbox.client.submit(job, 'Key__c\na\na\nb\n');
    const [stuck] = parsed<{ state: string; records: number }[]>(await admin('GET', 'jobs'));
    assert.deepEqual([stuck?.state, stuck?.records], ['UploadComplete', 3]);
    await admin('POST', `release?job=${id}`);
    await sandbox.client.finished(id);

    const keys = parsed<{ repeated: object; missing: string[] }>(
      await admin('POST', 'audit/keys?object=Load_Test__c&field=Key__c', { expected: ['a', 'b', 'c'] }),
    );
    assert.deepEqual([keys.repeated, keys.missing], [{ a: 2 }, ['c']]);
    const audit = parsed<{ rows: Record<string, number>; jobs: Record<string, number>; openJobs: number }>(
      await admin('GET', 'audit'),
    );
    assert.deepEqual([audit.rows.Load_Test__c, audit.jobs, audit.openJobs], [3, { JobComplete: 1 }, 0]);
    const seen = parsed<{ method: string; requestBytes: number }[]>(
      await admin('GET', 'audit/requests?path=batches'),
    );
    assert.deepEqual(
      seen.map((request) => [request.method, request.requestBytes]),
      [['PUT', 13]],
    );

    await admin('POST', 'records', { object: 'Account', records: [{ Name: 'A' }, { Name: 'B' }] });
    const names = (await admin('GET', 'records?object=Account')).text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).Name);
    assert.deepEqual(names, ['A', 'B']);

    await admin('POST', 'expire-tokens');
    assert.equal((await sandbox.client.call('GET', '/limits')).status, 401);
    await admin('POST', 'reset');
    assert.deepEqual([sandbox.org.audit.rows('Load_Test__c'), sandbox.org.audit.apiCalls], [0, 0]);
    await sandbox.client.login();
    const { info } = await sandbox.client.load(
      job,
      rows('Key__c', 10, (n) => `${n}`),
    );
    assert.equal(info.numberRecordsProcessed, 10);
    assert.equal((await sandbox.client.admin('GET', 'nothing')).status, 404);
  });
});
