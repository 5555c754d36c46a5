import { parseArgs } from 'node:util';
import type { OrgOptions } from './options.ts';
import { startOrg } from './org.ts';

/**
 * The org as a process of its own: prints one JSON line {url, port, pid} when it listens, ends on SIGTERM and SIGINT, and
 * when whoever started it is gone (with --with-parent: when its standard input closes).
 */
const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    'data-dir': { type: 'string' },
    seed: { type: 'string' },
    sink: { type: 'boolean' },
    'fail-percent': { type: 'string' },
    'records-per-second': { type: 'string' },
    'start-delay': { type: 'string' },
    'api-budget': { type: 'string' },
    'requests-per-token': { type: 'string' },
    'rotate-refresh-tokens': { type: 'boolean' },
    'storage-limit': { type: 'string' },
    'parallel-jobs': { type: 'string' },
    'with-parent': { type: 'boolean' },
  },
});

function numbers(): OrgOptions {
  const given: [keyof OrgOptions, string | undefined][] = [
    ['port', values.port],
    ['seed', values.seed],
    ['recordsPerSecond', values['records-per-second']],
    ['startDelayMs', values['start-delay']],
    ['apiBudget', values['api-budget']],
    ['requestsPerToken', values['requests-per-token']],
    ['storageLimit', values['storage-limit']],
    ['parallelJobs', values['parallel-jobs']],
  ];
  return Object.fromEntries(
    given.flatMap(([name, text]) => (text === undefined ? [] : [[name, Number(text)]])),
  );
}

const org = await startOrg({
  ...numbers(),
  ...(values['data-dir'] === undefined ? {} : { dataDir: values['data-dir'] }),
  ...(values.sink ? { sink: { failPercent: Number(values['fail-percent'] ?? 0) } } : {}),
  ...(values['rotate-refresh-tokens'] ? { rotateRefreshTokens: true } : {}),
});

const end = async (): Promise<void> => {
  await org.close();
  process.exit(0);
};
process.once('SIGTERM', () => void end());
process.once('SIGINT', () => void end());
if (values['with-parent']) {
  process.stdin.once('end', () => void end()).resume();
}
console.log(JSON.stringify({ url: org.url, port: org.port, pid: process.pid }));
