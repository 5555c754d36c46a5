import type { SourceRecord } from '../record.ts';
import { restValue } from './rest-value.ts';

/** The part of a field's describe that turns CSV into JSON. */
export interface DescribedField {
  name: string;
  type: string;
  relationshipName?: string | null;
  referenceTo?: readonly string[] | null;
}

export interface DescribedObject {
  fields: readonly DescribedField[];
}

/** A record for REST: its own Id apart, because a URL or a key of its own carries it. */
export interface RestRecord {
  id: string | undefined;
  fields: Record<string, unknown>;
}

/** `Account.Ext__c`, or `Lead:Who.Email` where the lookup is polymorphic (reference §4). */
const RELATIONSHIP_COLUMN = /^(?:(\w+):)?(\w+)\.(\w+)$/;

interface Column {
  /** Writes the value of this column into the JSON record. */
  write(fields: Map<string, unknown>, value: unknown): void;
}

interface Fields {
  byName: Map<string, DescribedField>;
  byRelationship: Map<string, DescribedField>;
}

function indexFields(object: DescribedObject): Fields {
  const byName = new Map<string, DescribedField>();
  const byRelationship = new Map<string, DescribedField>();
  for (const field of object.fields) {
    byName.set(field.name.toLowerCase(), field);
    if (field.relationshipName) byRelationship.set(field.relationshipName.toLowerCase(), field);
  }
  return { byName, byRelationship };
}

/** A parent named by a field of its own. Clearing it clears the lookup, which goes by the lookup's own name. */
function relationshipColumn(parts: RegExpExecArray, fields: Fields): Column {
  const [, type, relationship = '', key = ''] = parts;
  const lookup = fields.byRelationship.get(relationship.toLowerCase());
  const name = lookup?.relationshipName ?? relationship;
  return {
    write: (record, given) => {
      const value = restValue(given, 'string');
      if (value === undefined) return;
      if (value === null) {
        record.set(lookup?.name ?? name, null);
        return;
      }
      record.set(name, { ...(type === undefined ? {} : { attributes: { type } }), [key]: value });
    },
  };
}

function plainColumn(name: string, fields: Fields): Column {
  const field = fields.byName.get(name.toLowerCase());
  return {
    write: (record, given) => {
      const value = restValue(given, field?.type ?? 'string');
      if (value !== undefined) record.set(field?.name ?? name, value);
    },
  };
}

/**
 * Turns records as they were uploaded (CSV: all text) into records as REST takes them. Columns are known by name, whatever
 * their capitals; one that describe does not know goes as it is, for Salesforce to judge.
 */
export class RestRecords {
  readonly #fields: Fields;
  readonly #columns = new Map<string, Column>();

  constructor(object: DescribedObject) {
    this.#fields = indexFields(object);
  }

  toRest(record: SourceRecord): RestRecord {
    const fields = new Map<string, unknown>();
    let id: string | undefined;
    for (const [name, value] of Object.entries(record)) {
      if (name.startsWith('sf__') || name === 'attributes') continue;
      if (name.toLowerCase() === 'id') id = idOf(value);
      else this.#column(name).write(fields, value);
    }
    return { id, fields: Object.fromEntries(fields) };
  }

  #column(name: string): Column {
    const known = this.#columns.get(name);
    if (known) return known;
    const parts = RELATIONSHIP_COLUMN.exec(name);
    const column = parts ? relationshipColumn(parts, this.#fields) : plainColumn(name, this.#fields);
    this.#columns.set(name, column);
    return column;
  }
}

function idOf(value: unknown): string | undefined {
  const id = restValue(value, 'id');
  return id === undefined || id === null ? undefined : String(id);
}
