import type { ExampleFlow, FlowNode } from '../sandbox/launcher/example-flow.ts';

const SEQUENCE = { maxInFlight: 4, onError: 'stop', stuckAfter: 600 };

/** As in examples/flows.json. */
const SQL = `SELECT id, name, email, phone, external_id
FROM pending_sf_sync
WHERE sync_status = 'READY'
ORDER BY id
LIMIT 10000000`;

/** The same rows under the names of their fields. */
const SQL_OF_FIELDS = `SELECT name AS "LastName", email AS "Email", phone AS "Phone", external_id AS "External_Id__c"
FROM pending_sf_sync
WHERE sync_status = 'READY'
ORDER BY id
LIMIT 10000000`;

const TO_CONTACT = `msg.payload = msg.payload.map((row) => ({
    LastName: row.name,
    Email: row.email,
    Phone: row.phone,
    External_Id__c: row.external_id,
}));
return msg;`;

export interface FlowOptions {
  /** In PostgreSQL. */
  ledger: boolean;
  /** Of the select; with `csv` the function node has nothing to do. */
  lane: 'records' | 'csv';
  pollMs: number;
}

/**
 * Select → function → load → poll → results → receipt, the settings those of the example flow: what the peers do, and the
 * failures classified besides. Successes are read as records and end there; so do classified failures.
 */
export function ourFlow({ ledger, lane, pollMs }: FlowOptions): ExampleFlow {
  const steps = [
    {
      id: 'select',
      type: 'sync-select',
      database: 'database',
      sql: lane === 'csv' ? SQL_OF_FIELDS : SQL,
      params: '[]',
      paramsType: 'json',
      batchSize: 5000,
      ...SEQUENCE,
      lane,
      wires: [['to-contact']],
    },
    {
      id: 'create',
      type: 'sf-bulk-create',
      connection: 'connection',
      loadName: 'bench',
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
      wires: [['poll'], [], ['receipt']],
    },
    {
      id: 'poll',
      type: 'sf-bulk-poll',
      connection: 'connection',
      interval: pollMs / 1000,
      maxInterval: 60,
      timeout: 0,
      stallTimeout: 600,
      onTimeout: 'error',
      wires: [['results'], ['results']],
    },
    {
      id: 'results',
      type: 'sf-bulk-results',
      connection: 'connection',
      batchSize: 1000,
      ...SEQUENCE,
      settleWhen: 'accounted',
      lane: 'records',
      wires: [[], ['classify'], [], []],
    },
    {
      id: 'classify',
      type: 'sf-failure-classify',
      ruleSet: 'complete',
      rules: [],
      wires: [[], []],
    },
  ];
  const nodes: FlowNode[] = [
    { id: 'tab', type: 'tab', label: 'bench' },
    ...configNodes(ledger),
    ...[
      {
        id: 'start',
        type: 'inject',
        props: [{ p: 'payload' }],
        payload: '',
        payloadType: 'date',
        wires: [['select']],
      },
      {
        id: 'to-contact',
        type: 'function',
        func: lane === 'csv' ? 'return msg;' : TO_CONTACT,
        outputs: 1,
        wires: [['create']],
      },
      ...steps,
      debugNode('receipt', 'payload'),
      { id: 'catch', type: 'catch', scope: null, uncaught: false, wires: [['errors']] },
      debugNode('errors', 'error'),
    ].map((node, index) => ({ ...node, z: 'tab', x: 100, y: 40 * index })),
  ];
  return {
    nodes,
    inject: 'start',
    receipt: 'receipt',
    errors: 'errors',
    steps: steps.map(({ id }) => ({ id, name: id })),
  };
}

function configNodes(ledger: boolean): FlowNode[] {
  return [
    {
      id: 'database',
      type: 'sync-database',
      host: '${PGHOST}',
      port: '${PGPORT}',
      database: '${PGDATABASE}',
      ssl: 'disable',
      poolSize: 10,
      credentials: { user: '${PGUSER}', password: '${PGPASSWORD}' },
    },
    {
      id: 'connection',
      type: 'sf-connection',
      authFlow: 'client-credentials',
      loginUrl: '${SF_LOGIN_URL}',
      apiVersion: '66.0',
      ledger: ledger ? 'database' : '',
      retentionDays: 30,
      apiBudget: 90,
      credentials: { clientId: '${SF_CLIENT_ID}', clientSecret: '${SF_CLIENT_SECRET}' },
    },
  ];
}

function debugNode(id: string, complete: string): FlowNode {
  return { id, type: 'debug', active: true, tosidebar: true, complete, targetType: 'msg', wires: [] };
}
