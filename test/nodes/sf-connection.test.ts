import assert from 'node:assert/strict';
import sfBulkPoll from '../../nodes/sf-bulk-poll.ts';
import type { SfConnectionNode } from '../../nodes/shared/connections.ts';
import { type Org, startOrg } from '../../sandbox/org/org.ts';
import { LoadError } from '../../src/errors.ts';
import { handled, nodeHelper } from '../support/node-helper.ts';
import { Bench } from './support/bench.ts';

describe('sf-connection', () => {
  nodeHelper.use();
  let org: Org;

  before(async () => {
    org = await startOrg();
  });
  after(() => org.close());

  it('is there when the database of its ledger is not set up, and says what is wrong with that', async () => {
    const bench = await Bench.load({
      org,
      modules: [sfBulkPoll],
      nodes: [{ id: 'poll', type: 'sf-bulk-poll', connection: 'sf', wires: [[], []] }],
      database: { host: '', port: 5432, database: 'crm', user: 'u', password: 'p' },
    });
    const connection = bench.node('sf') as unknown as SfConnectionNode;
    const problem = { code: 'CONFIG_INVALID', message: /^sync-database: host is missing\.$/ };
    assert.throws(() => connection.connection, problem);
    const error = await handled(bench.node('poll'), { payload: '750ak0000000001AAA' });
    assert.ok(error instanceof LoadError);
    assert.match(error.message, /^sf-bulk-poll: .*sync-database: host is missing/);
  });
});
