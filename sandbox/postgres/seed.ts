/** What is wrong with a row, if anything. */
export type RowKind = 'plain' | 'without name' | 'invalid e-mail' | 'duplicate' | 'lock' | 'apex';

/** In per cent of all rows; the rest is plain. Each row has at most one fault, so that the counts of outcomes add up. */
const SHARES: [RowKind, number][] = [
  ['without name', 3],
  ['invalid e-mail', 2],
  ['duplicate', 2],
  ['lock', 3],
  ['apex', 1],
];

export interface SeedOptions {
  /** Default 10,000. */
  rows?: number;
  /** Another seed, another choice of faulty rows. */
  seed?: number;
}

export interface ExpectedOutcome {
  rows: number;
  kinds: Record<RowKind, number>;
  /** Get in by Bulk at once. */
  loaded: number;
  /** Fail in Bulk, and pass when they are sent again alone. */
  healed: number;
  /** Fail whenever they are sent. */
  permanent: number;
}

/** Anything that runs a statement: a `pg` client or pool. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<unknown>;
}

const DEFAULT_ROWS = 10_000;
const MASK = 0x7fffffff;
const STEPS = [
  { multiplier: 1_103_515_245, shift: 15 },
  { multiplier: 747_796_405, shift: 13 },
];

const CREATE_TABLE = `
  CREATE TABLE pending_sf_sync (
    id bigint PRIMARY KEY,
    name text,
    email text,
    phone text,
    external_id text,
    sync_status text NOT NULL DEFAULT 'READY',
    sf_id text,
    sync_error text
  )`;

/** Names as people have them: with what CSV and SQL must quote. */
const FIRST_NAMES = [
  'Ada',
  'Bengt',
  'Chloé',
  'Dmitri',
  'Zoë',
  'Hanako',
  'Íñigo',
  'Jürgen',
  'Kofi',
  'Mary Ann',
  'Nguyễn',
];
const LAST_NAMES = [
  'Lovelace',
  "O'Brien",
  'Müller, Dr.',
  'Smith "Smitty"',
  'García-López',
  '山田',
  'van der Berg',
  'Иванов',
  'Łukasiewicz',
  'de la Cruz',
  'Ng',
  'Smith & Sons',
  'Ångström',
];

/**
 * Makes the table `pending_sf_sync` anew, in the schema of the connection, and fills it. Same rows and seed, same content.
 *
 * A duplicate has the external id of the plain row before it in small letters: Salesforce compares them whatever the
 * capitals, so it is refused; a write-back by external id still finds one row each. A row that meets a lock or an Apex governor fault
 * has `-LOCK-` or `-APEX-` in its external id, which is what the sandbox org goes by.
 */
export async function seedPendingSync(
  db: Queryable,
  { rows = DEFAULT_ROWS, seed = 1 }: SeedOptions = {},
): Promise<ExpectedOutcome> {
  await db.query('DROP TABLE IF EXISTS pending_sf_sync');
  await db.query(CREATE_TABLE);
  await db.query(insertStatement(), [rows, seed, FIRST_NAMES, LAST_NAMES]);
  await db.query('CREATE INDEX ON pending_sf_sync (external_id)');
  await db.query('ANALYZE pending_sf_sync');
  return expectedOutcome({ rows, seed });
}

/** How a seeded table must come out of a load that inserts Contacts into an empty sandbox org. */
export function expectedOutcome({ rows = DEFAULT_ROWS, seed = 1 }: SeedOptions = {}): ExpectedOutcome {
  const kinds: Record<RowKind, number> = {
    plain: 0,
    'without name': 0,
    'invalid e-mail': 0,
    duplicate: 0,
    lock: 0,
    apex: 0,
  };
  let before: RowKind | undefined;
  for (let id = 1; id <= rows; id += 1) {
    const kind = kindOf(id, seed);
    kinds[kind === 'duplicate' && before !== 'plain' ? 'plain' : kind] += 1;
    before = kind;
  }
  const permanent = kinds['without name'] + kinds['invalid e-mail'] + kinds.duplicate;
  return { rows, kinds, loaded: kinds.plain, healed: kinds.lock + kinds.apex, permanent };
}

function kindOf(id: number, seed: number): RowKind {
  const percent = mixed(id, seed) % 100;
  let upTo = 0;
  for (const [kind, share] of SHARES) {
    upTo += share;
    if (percent < upTo) return kind;
  }
  return 'plain';
}

/** The same arithmetic as `mixedSql`: 31 bits, so that no product leaves PostgreSQL's bigint. */
function mixed(id: number, seed: number): number {
  let value = (id + Math.imul(seed, 1_000_003)) & MASK;
  for (const { multiplier, shift } of STEPS) {
    value = Math.imul(value, multiplier) & MASK;
    value ^= value >>> shift;
  }
  return value;
}

function mixedSql(id: string, seed: string): string {
  let value = `((${id} + ${seed}::bigint * 1000003) & ${MASK})`;
  for (const { multiplier, shift } of STEPS) {
    const multiplied = `((${value} * ${multiplier}) & ${MASK})`;
    value = `(${multiplied} # (${multiplied} >> ${shift}))`;
  }
  return value;
}

function kindSql(percent: string): string {
  let upTo = 0;
  const cases = SHARES.map(([kind, share]) => {
    upTo += share;
    return `WHEN ${percent} < ${upTo} THEN '${kind}'`;
  });
  return `CASE ${cases.join(' ')} ELSE 'plain' END`;
}

/** $1 rows, $2 seed, $3 first names, $4 last names. */
function insertStatement(): string {
  return `
    WITH drawn AS (
      SELECT id, ${mixedSql('id', '$2')} AS number FROM generate_series(1, $1::bigint) AS id
    ), judged AS (
      SELECT id, number, ${kindSql('number % 100')} AS kind FROM drawn
    ), paired AS (
      SELECT id, number,
             CASE WHEN kind = 'duplicate' AND lag(kind) OVER (ORDER BY id) IS DISTINCT FROM 'plain'
                  THEN 'plain' ELSE kind END AS kind
      FROM judged
    )
    INSERT INTO pending_sf_sync (id, name, email, phone, external_id)
    SELECT id,
           CASE WHEN kind <> 'without name'
                THEN ($3::text[])[1 + number % cardinality($3::text[])] || ' '
                     || ($4::text[])[1 + number / 100 % cardinality($4::text[])] END,
           CASE WHEN kind = 'invalid e-mail' THEN 'row' || id || '.example.com'
                ELSE 'row' || id || '@example.com' END,
           '+49 30 ' || lpad((number % 10000000)::text, 7, '0'),
           CASE WHEN kind = 'duplicate' THEN 'c-' || lpad((id - 1)::text, 8, '0')
                ELSE 'C-' || lpad(id::text, 8, '0')
                     || CASE kind WHEN 'lock' THEN '-LOCK-1' WHEN 'apex' THEN '-APEX-1' ELSE '' END END
    FROM paired
    ORDER BY id`;
}
