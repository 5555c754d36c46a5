import { createServer } from 'node:net';

export const HOST = '127.0.0.1';
const DEFAULT_PORT = 1880;
const LAST_PORT = 65_535;

/**
 * The port to open the editor on; 0 is any that is free. Found out before anything is started: the port of one's own
 * Node-RED is the likeliest thing to be taken.
 *
 * @throws Error that says why the port cannot be opened.
 */
export async function editorPort(
  { port, once }: { port: number | undefined; once: boolean },
  host = HOST,
): Promise<number> {
  if (once && port === undefined) return 0;
  const wanted = port ?? DEFAULT_PORT;
  const error = wanted === 0 ? undefined : await listenError(wanted, host);
  if (error === undefined) return wanted;
  if (error.code !== 'EADDRINUSE') throw new Error(`Port ${wanted} cannot be opened: ${error.message}.`);
  const other = wanted < LAST_PORT ? wanted + 1 : wanted - 1;
  throw new Error(
    `Port ${wanted} is in use, perhaps by a Node-RED of your own. Choose another: npm start -- --port ${other}`,
  );
}

function listenError(port: number, host: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen(port, host, () => probe.close(() => resolve(undefined)));
  });
}
