import { isDelimiter, isLineEnding } from '../csv/dialect.ts';
import type { Operation } from '../data/save.ts';
import { bulkError } from '../http/reply.ts';
import type { JsonObject } from '../json.ts';
import type { OrgModel } from '../model/model.ts';
import type { ObjectModel } from '../model/types.ts';
import type { Settings } from '../options.ts';
import type { Job } from './job.ts';

const OPERATIONS: readonly string[] = ['insert', 'update', 'upsert', 'delete', 'hardDelete'];
const isOperation = (value: unknown): value is Operation =>
  typeof value === 'string' && OPERATIONS.includes(value);

/** The properties that a create call may have (reference §1.1). */
const KEYS: readonly string[] = [
  'object',
  'operation',
  'externalIdFieldName',
  'contentType',
  'lineEnding',
  'columnDelimiter',
  'assignmentRuleId',
];

/** What a create call says of its job. */
export type CreateRequest = Pick<
  Job,
  | 'object'
  | 'operation'
  | 'externalIdField'
  | 'externalIdFieldName'
  | 'lineEnding'
  | 'columnDelimiter'
  | 'assignmentRuleId'
>;

/** Throws the org's refusal of a body that it does not take. */
export function readCreateRequest(body: JsonObject, model: OrgModel, settings: Settings): CreateRequest {
  const unknown = Object.keys(body).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) {
    throw bulkError(400, 'JSON_PARSER_ERROR', `Unrecognized field "${unknown}"`);
  }
  const { operation, lineEnding = 'LF', columnDelimiter = 'COMMA', contentType = 'CSV' } = body;
  if (!isOperation(operation)) {
    throw invalidJob(`Unsupported operation: ${String(operation)}`);
  }
  if (!isLineEnding(lineEnding) || !isDelimiter(columnDelimiter) || contentType !== 'CSV') {
    throw invalidJob('Unsupported contentType, lineEnding or columnDelimiter');
  }
  const object = objectOf(body.object, model);
  if (operation === 'hardDelete' && !settings.hardDelete) {
    const message = 'FeatureNotEnabled : hardDelete operation is not enabled for this user';
    throw bulkError(400, 'FEATURENOTENABLED', message);
  }
  return {
    ...externalIdOf(body.externalIdFieldName, object, operation, model),
    object,
    operation,
    lineEnding,
    columnDelimiter,
    assignmentRuleId: assignmentRuleOf(body.assignmentRuleId, object),
  };
}

function objectOf(name: unknown, model: OrgModel): ObjectModel {
  if (typeof name !== 'string' || name === '') {
    throw invalidJob('An object is required');
  }
  const object = model.find(name);
  if (!object || object.bulk === false) {
    const message = `InvalidEntity : Entity '${name}' is not supported by the Bulk API`;
    throw bulkError(400, 'INVALIDENTITY', message);
  }
  return object;
}

function externalIdOf(
  name: unknown,
  object: ObjectModel,
  operation: Operation,
  model: OrgModel,
): Pick<Job, 'externalIdField' | 'externalIdFieldName'> {
  if (operation !== 'upsert') {
    return { externalIdField: undefined, externalIdFieldName: undefined };
  }
  if (typeof name !== 'string' || name === '') {
    throw invalidJob(
      `External ID was blank for ${object.name}. An External ID must be specified for upsert.`,
    );
  }
  const field = model.findField(object, name);
  if (!field || !(field.externalId || field.idLookup)) {
    throw invalidJob(`Field name provided, ${name} does not match an External ID for ${object.name}`);
  }
  return { externalIdField: field, externalIdFieldName: name };
}

function assignmentRuleOf(id: unknown, object: ObjectModel): string | undefined {
  if (id === undefined || id === null || id === '') {
    return undefined;
  }
  const rule = object.assignmentRules?.find((each) => each.id === id || each.id.slice(0, 15) === id);
  if (!rule) {
    throw invalidJob(`Invalid assignment rule id: ${String(id)}`);
  }
  return rule.id;
}

function invalidJob(message: string) {
  return bulkError(400, 'INVALIDJOB', `InvalidJob : ${message}`);
}
