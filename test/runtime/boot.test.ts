import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { type NodeRed, type NodeRedVersion, prepareUserDir, startNodeRed } from '../support/node-red.ts';

const TAB = { id: 'tab', type: 'tab', label: 'boot' };

for (const version of ['5', '4'] satisfies NodeRedVersion[]) {
  describe(`a real Node-RED ${version}`, () => {
    let nodeRed: NodeRed;

    before(async () => {
      nodeRed = await startNodeRed({ version });
    });
    after(() => nodeRed.stop());

    it('is of the version asked for', async () => {
      const { version: is } = await nodeRed.request<{ version: string }>('GET', 'settings');
      assert.equal(is.split('.')[0], version);
    });

    it('keeps credentials out of the flows, also on the first deploy', async () => {
      const http = { id: 'tls', type: 'http proxy', name: 'p', url: 'http://x', noproxy: [] };
      await nodeRed.deploy([TAB, http], { credentials: { tls: { username: 'u', password: 'p' } } });
      assert.equal((await nodeRed.flows()).find(({ id }) => id === 'tls')?.credentials, undefined);
      const kept = await nodeRed.request<{ username: string; has_password: boolean }>(
        'GET',
        'credentials/http-proxy/tls',
      );
      assert.deepEqual(kept, { username: 'u', has_password: true });
    });

    it('runs flows and shows what their debug nodes saw', async () => {
      await nodeRed.deploy([
        TAB,
        {
          id: 'go',
          type: 'inject',
          z: 'tab',
          props: [{ p: 'payload' }],
          payload: '[{"a":1}]',
          payloadType: 'json',
          wires: [['see']],
        },
        {
          id: 'see',
          type: 'debug',
          z: 'tab',
          active: true,
          tosidebar: true,
          complete: 'payload',
          tostatus: true,
          wires: [],
        },
      ]);
      await nodeRed.inject('go');
      const seen = await nodeRed.waitForDebug(({ nodeId }) => nodeId === 'see');
      assert.deepEqual(seen.value, [{ a: 1 }]);
      await nodeRed.waitForStatus('see', ({ text }) => text?.includes('a: 1') ?? false);
    });

    it('says which type is missing', async () => {
      await assert.rejects(
        nodeRed.deploy([TAB, { id: 'x', type: 'no-such-node', z: 'tab', wires: [] }]),
        /no-such-node/,
      );
    });

    it('tells its memory', async () => {
      const { rss, peak } = await nodeRed.memory();
      assert.ok(rss > 30e6 && peak >= rss, `${rss} ${peak}`);
    });

    it('stands still while it is paused', async () => {
      nodeRed.pause();
      await assert.rejects(fetch(nodeRed.url, { signal: AbortSignal.timeout(200) }), {
        name: 'TimeoutError',
      });
      nodeRed.resume();
      assert.equal((await fetch(nodeRed.url)).status, 200);
    });

    it('can be killed, and started again on what it had', async () => {
      const userDir = await prepareUserDir([]);
      try {
        const first = await startNodeRed({ version, userDir });
        await first.deploy([{ ...TAB, label: 'kept' }]);
        await first.kill();
        assert.deepEqual(first.exit, { code: null, signal: 'SIGKILL' });
        const second = await startNodeRed({ version, userDir });
        assert.deepEqual(
          (await second.flows()).map(({ label }) => label),
          ['kept'],
        );
        await second.stop();
        assert.equal(second.exit?.signal, null);
      } finally {
        await rm(userDir, { recursive: true, force: true });
      }
    });
  });
}
