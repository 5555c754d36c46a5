import type { FlowNode } from '../support/node-red.ts';

/** A load as a person would wire it: by these ids tests press, watch and redeploy its nodes. */
export const LOAD_NAME = 'rows';

const SEQUENCE = { maxInFlight: 4, onError: 'stop', stuckAfter: 120 };

export interface FlowOptions {
  /** Small, so that a load makes several jobs. */
  maxRecordsPerJob: number;
  /** False: `sf-connection` has no ledger. */
  ledger?: boolean;
  /** Of the source table. */
  batchSize?: number;
  /** Records of one batch of results. */
  resultBatchSize?: number;
  /** Nodes beside it. */
  more?: FlowNode[];
  /** Nodes to put behind an output of another, first come first; each takes over what is wired there. */
  between?: { after: string; output?: number; node: FlowNode }[];
}

/** Where org and database are, by environment variable: two processes run the same flows as different users. */
export const CREDENTIALS = {
  sf: { clientId: '${SF_CLIENT_ID}', clientSecret: '${SF_CLIENT_SECRET}' },
  db: { user: '${PGUSER}', password: '${PGPASSWORD}' },
};

const READY_ROWS = "SELECT id, key FROM source WHERE status = 'READY' ORDER BY id";
const AS_RECORD =
  'msg.payload = msg.payload.map(({ id, key }) => ({ Name: `Row ${id}`, Key__c: key, Value__c: id })); return msg;';

/** select → function → create → poll → results → classify → retry → dead letter → write-back. */
export function loadFlow(options: FlowOptions): FlowNode[] {
  const nodes = [
    ...configNodes(options),
    ...loadNodes(options),
    ...resultNodes(options),
    ...watchers(),
    ...(options.more ?? []),
  ];
  for (const { after, output = 0, node } of options.between ?? []) insert(nodes, after, output, node);
  return nodes;
}

function configNodes({ ledger = true }: FlowOptions): FlowNode[] {
  return [
    { id: 'tab', type: 'tab', label: 'Load rows' },
    {
      id: 'db',
      type: 'sync-database',
      host: '${PGHOST}',
      port: '${PGPORT}',
      database: '${PGDATABASE}',
      ssl: 'disable',
      poolSize: 10,
    },
    {
      id: 'sf',
      type: 'sf-connection',
      authFlow: 'client-credentials',
      loginUrl: '${SF_LOGIN_URL}',
      apiVersion: '66.0',
      ledger: ledger ? 'db' : '',
      retentionDays: 30,
      apiBudget: 90,
    },
  ];
}

function loadNodes({ maxRecordsPerJob, batchSize = 2000 }: FlowOptions): FlowNode[] {
  return [
    {
      id: 'go',
      z: 'tab',
      type: 'inject',
      props: [{ p: 'payload' }],
      payloadType: 'date',
      wires: [['select']],
    },
    {
      id: 'select',
      z: 'tab',
      type: 'sync-select',
      database: 'db',
      sql: READY_ROWS,
      params: '[]',
      paramsType: 'json',
      batchSize,
      ...SEQUENCE,
      lane: 'records',
      wires: [['fields']],
    },
    { id: 'fields', z: 'tab', type: 'function', func: AS_RECORD, outputs: 1, wires: [['create']] },
    {
      id: 'create',
      z: 'tab',
      type: 'sf-bulk-create',
      connection: 'sf',
      loadName: LOAD_NAME,
      object: 'Load_Test__c',
      operation: 'insert',
      externalIdField: '',
      mapping: [],
      mode: 'parallel',
      maxRecordsPerJob,
      maxMegabytesPerJob: 100,
      wires: [['poll'], ['letters'], ['run-receipt']],
    },
    {
      id: 'poll',
      z: 'tab',
      type: 'sf-bulk-poll',
      connection: 'sf',
      interval: 0.2,
      maxInterval: 1,
      timeout: 0,
      stallTimeout: 600,
      onTimeout: 'error',
      wires: [['results'], ['results']],
    },
  ];
}

function resultNodes({ resultBatchSize = 1000 }: FlowOptions): FlowNode[] {
  return [
    {
      id: 'results',
      z: 'tab',
      type: 'sf-bulk-results',
      connection: 'sf',
      batchSize: resultBatchSize,
      ...SEQUENCE,
      settleWhen: 'accounted',
      lane: 'records',
      wires: [['done'], ['classify'], [], ['job-receipt']],
    },
    {
      id: 'classify',
      z: 'tab',
      type: 'sf-failure-classify',
      ruleSet: 'complete',
      rules: [],
      wires: [['retry'], ['letters']],
    },
    {
      id: 'retry',
      z: 'tab',
      type: 'sf-single-retry',
      connection: 'sf',
      mode: 'auto',
      maxAttempts: 3,
      backoff: 0.1,
      concurrency: 2,
      wires: [['healed'], ['letters']],
    },
    {
      id: 'letters',
      z: 'tab',
      type: 'dead-letter',
      database: 'db',
      table: 'sf_sync_dead_letter',
      createTable: true,
      wires: [['failed']],
    },
    writeback('done', { status: 'DONE', sf_id: { field: 'sf__Id' } }),
    writeback('healed', { status: 'DONE', sf_id: { field: 'sfId' } }),
    writeback('failed', { status: 'FAILED', error: { field: 'error' } }),
  ];
}

function watchers(): FlowNode[] {
  const debug = (id: string, complete: string): FlowNode => ({
    id,
    z: 'tab',
    type: 'debug',
    name: id,
    active: true,
    tosidebar: true,
    complete,
    targetType: 'msg',
    wires: [],
  });
  return [
    debug('run-receipt', 'payload'),
    debug('job-receipt', 'payload'),
    { id: 'any-error', z: 'tab', type: 'catch', scope: null, uncaught: false, wires: [['errors']] },
    debug('errors', 'error'),
  ];
}

function writeback(id: string, set: Record<string, string | { field: string }>): FlowNode {
  return {
    id,
    z: 'tab',
    type: 'sync-writeback',
    database: 'db',
    table: 'source',
    keyColumn: 'key',
    keyField: 'Key__c',
    set: Object.entries(set).map(([column, value]) =>
      typeof value === 'string'
        ? { column, value, valueType: 'str' }
        : { column, value: value.field, valueType: 'field' },
    ),
    wires: [[]],
  };
}

function insert(nodes: FlowNode[], after: string, output: number, node: FlowNode): void {
  const before = nodes.find(({ id }) => id === after);
  const wires = before?.wires as string[][] | undefined;
  const next = wires?.[output];
  if (!wires || !next) throw new Error(`Node ${after} has no output ${output}.`);
  nodes.push({ z: 'tab', ...node, wires: [next] });
  wires[output] = [node.id];
}
