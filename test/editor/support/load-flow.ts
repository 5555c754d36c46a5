import type { FlowNode } from '../../support/node-red.ts';

interface Places {
  loginUrl: string;
  host: string;
  port: number;
  database: string;
}

/** Every node of the package once, wired as a load is, with the defaults of its form. Ids are types; `conn` and `db`. */
export function loadFlow({ loginUrl, host, port, database }: Places): FlowNode[] {
  return [
    { id: 't', type: 'tab', label: 'Load' },
    {
      id: 'tls',
      type: 'tls-config',
      name: 'TLS of the test',
      cert: '',
      key: '',
      ca: '',
      verifyservercert: true,
    },
    connection('conn', loginUrl),
    // Nothing listens there.
    connection('conn2', 'http://127.0.0.1:1'),
    { ...databaseNode('db'), host, port, database },
    { ...databaseNode('db2'), name: 'Other', host: '127.0.0.1', port: 1, database: 'nowhere' },
    at(1, 1, 'sync-select', [['sf-bulk-create']], {
      database: 'db',
      sql: "SELECT id, name, email, phone, external_id\nFROM pending_sf_sync\nWHERE sync_status = 'READY'\nORDER BY id",
      params: '[]',
      paramsType: 'json',
      batchSize: 5000,
      maxInFlight: 4,
      onError: 'stop',
      stuckAfter: 600,
      lane: 'records',
    }),
    at(2, 1, 'sf-bulk-create', [['sf-bulk-poll'], ['dead-letter'], []], {
      connection: 'conn',
      loadName: '',
      object: 'Contact',
      operation: 'insert',
      externalIdField: 'External_Id__c',
      mapping: [],
      nulls: 'clear',
      columnDelimiter: 'COMMA',
      lineEnding: 'LF',
      mode: 'parallel',
      maxRecordsPerJob: 0,
      maxMegabytesPerJob: 100,
      assignmentRuleId: '',
    }),
    at(3, 1, 'sf-bulk-poll', [['sf-bulk-results'], ['sf-bulk-results']], {
      connection: 'conn',
      interval: 10,
      maxInterval: 60,
      timeout: 0,
      stallTimeout: 600,
      onTimeout: 'error',
    }),
    at(1, 2, 'sf-bulk-results', [['sync-writeback'], ['sf-failure-classify'], [], []], {
      connection: 'conn',
      batchSize: 1000,
      maxInFlight: 4,
      onError: 'stop',
      stuckAfter: 600,
      settleWhen: 'accounted',
      lane: 'records',
    }),
    at(2, 2, 'sf-failure-classify', [['sf-single-retry'], ['dead-letter']], {
      ruleSet: 'complete',
      rules: [],
    }),
    at(3, 2, 'sf-single-retry', [[], ['dead-letter']], {
      connection: 'conn',
      mode: 'auto',
      maxAttempts: 3,
      backoff: 1,
      concurrency: 1,
    }),
    at(4, 2, 'dead-letter', [[]], { database: 'db', table: 'sf_sync_dead_letter', createTable: true }),
    at(1, 3, 'dead-letter-replay', [['sf-bulk-create']], {
      database: 'db',
      table: 'sf_sync_dead_letter',
      category: '',
      categoryType: 'str',
      errorCode: '',
      errorCodeType: 'str',
      jobId: '',
      jobIdType: 'str',
      limit: '',
      limitType: 'num',
      batchSize: 1000,
      maxInFlight: 4,
    }),
    at(3, 3, 'sync-writeback', [[]], {
      database: 'db',
      table: 'pending_sf_sync',
      keyColumn: 'external_id',
      keyField: 'External_Id__c',
      set: [
        { column: 'sync_status', value: 'DONE', valueType: 'str' },
        { column: 'sf_id', value: 'sf__Id', valueType: 'field' },
      ],
    }),
  ];
}

function at(column: number, row: number, type: string, wires: string[][], properties: object): FlowNode {
  return { id: type, type, z: 't', name: '', x: column * 240 - 60, y: row * 100, wires, ...properties };
}

function connection(id: string, loginUrl: string): FlowNode {
  return {
    id,
    type: 'sf-connection',
    name: '',
    authFlow: 'client-credentials',
    loginUrl,
    audience: '',
    instanceUrl: '',
    apiVersion: '66.0',
    tls: '',
    ledger: '',
    retentionDays: 30,
    apiBudget: 90,
  };
}

function databaseNode(id: string): FlowNode {
  return { id, type: 'sync-database', name: '', ssl: 'disable', tls: '', poolSize: 10 };
}
