import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { editorPort } from '../../../sandbox/launcher/editor-port.ts';

describe('the port of the editor', () => {
  let taken: Server;

  async function take(port: number): Promise<number> {
    taken = createServer().listen(port, '127.0.0.1');
    await once(taken, 'listening');
    return (taken.address() as { port: number }).port;
  }
  afterEach(() => taken?.close());

  it('is any that is free where nobody looks at it', async () => {
    assert.equal(await editorPort({ port: undefined, once: true }), 0);
    assert.equal(await editorPort({ port: 0, once: false }), 0);
  });

  it('is the wanted one when that is free', async () => {
    const port = await take(0);
    taken.close();
    await once(taken, 'close');
    assert.equal(await editorPort({ port, once: true }), port);
  });

  it('is another one when it is taken, for which the next is proposed', async () => {
    const port = await take(0);
    await assert.rejects(
      editorPort({ port, once: false }),
      new RegExp(`Port ${port} is in use.* --port ${port + 1}$`),
    );
  });

  it('is one that exists, also after the last', async () => {
    await take(65_535);
    await assert.rejects(editorPort({ port: 65_535, once: false }), /Port 65535 is in use.* --port 65534$/);
  });

  it('is not said to be in use when something else is wrong', async () => {
    await assert.rejects(editorPort({ port: 1880, once: false }, '203.0.113.1'), {
      message: /^Port 1880 cannot be opened: listen EADDRNOTAVAIL: .*203\.0\.113\.1:1880\.$/,
    });
  });
});
