import type { Json } from '../json.ts';
import type { OrgModel } from '../model/model.ts';
import type { Field, FieldType, ObjectModel } from '../model/types.ts';

const SOAP_TYPES: Partial<Record<FieldType, string>> = {
  id: 'tns:ID',
  reference: 'tns:ID',
  boolean: 'xsd:boolean',
  int: 'xsd:int',
  double: 'xsd:double',
  currency: 'xsd:double',
  percent: 'xsd:double',
  date: 'xsd:date',
  datetime: 'xsd:dateTime',
};

const isNumber = (field: Field): boolean => SOAP_TYPES[field.type] === 'xsd:double';

/** GET sobjects: all objects. */
export function describeGlobal(model: OrgModel, version: string): Json {
  return {
    encoding: 'UTF-8',
    maxBatchSize: 200,
    sobjects: model.all().map((object) => describeHead(object, version)),
  };
}

/** GET sobjects/X: the object's head and what was changed last. */
export function describeBasic(object: ObjectModel, version: string): Json {
  return { objectDescribe: describeHead(object, version), recentItems: [] };
}

/** GET sobjects/X/describe. */
export function describeObject(model: OrgModel, object: ObjectModel, version: string): Json {
  return {
    ...describeHead(object, version),
    actionOverrides: [],
    childRelationships: childRelationships(model, object),
    compactLayoutable: true,
    fields: model.fieldsOf(object).map(describeField),
    namedLayoutInfos: [],
    networkScopeFieldName: null,
    recordTypeInfos: [],
    searchLayoutable: true,
    supportedScopes: [],
  };
}

function describeHead(object: ObjectModel, version: string): { [key: string]: Json } {
  const isWritable = object.writable !== false;
  const base = `/services/data/v${version}/sobjects/${object.name}`;
  return {
    activateable: false,
    createable: isWritable,
    custom: object.custom === true,
    customSetting: false,
    deepCloneable: false,
    deletable: isWritable,
    deprecatedAndHidden: false,
    feedEnabled: false,
    hasSubtypes: false,
    isInterface: false,
    isSubtype: false,
    keyPrefix: object.keyPrefix,
    label: object.label,
    labelPlural: object.labelPlural,
    layoutable: isWritable,
    mergeable: false,
    mruEnabled: isWritable,
    name: object.name,
    queryable: true,
    replicateable: true,
    retrieveable: true,
    searchable: isWritable,
    triggerable: isWritable,
    undeletable: isWritable,
    updateable: isWritable,
    urls: { describe: `${base}/describe`, rowTemplate: `${base}/{ID}`, sobject: base },
  };
}

function childRelationships(model: OrgModel, object: ObjectModel): Json {
  return model.all().flatMap((child) =>
    child.fields
      .filter((field) => field.referenceTo?.includes(object.name))
      .map((field) => ({
        cascadeDelete: false,
        childSObject: child.name,
        deprecatedAndHidden: false,
        field: field.name,
        relationshipName: child.labelPlural.replaceAll(' ', ''),
        restrictedDelete: false,
      })),
  );
}

function describeField(field: Field): { [key: string]: Json } {
  const isWritable = field.readOnly !== true;
  const type = field.type === 'compound' ? 'string' : field.type;
  return {
    aggregatable: true,
    autoNumber: false,
    byteLength: (field.length ?? 0) * 3,
    calculated: false,
    calculatedFormula: null,
    cascadeDelete: false,
    caseSensitive: field.caseSensitive === true,
    compoundFieldName: null,
    controllerName: null,
    createable: isWritable,
    custom: field.name.endsWith('__c'),
    defaultValue: field.defaultValue?.startsWith('$') ? null : (field.defaultValue ?? null),
    defaultValueFormula: null,
    defaultedOnCreate: field.defaultValue !== undefined,
    dependentPicklist: false,
    deprecatedAndHidden: false,
    digits: field.type === 'int' ? 9 : 0,
    displayLocationInDecimal: false,
    encrypted: false,
    externalId: field.externalId === true,
    extraTypeInfo: null,
    filterable: field.type !== 'textarea',
    filteredLookupInfo: null,
    groupable: !isNumber(field),
    highScaleNumber: false,
    htmlFormatted: false,
    idLookup: field.idLookup === true,
    inlineHelpText: null,
    label: field.label,
    length: field.length ?? 0,
    mask: null,
    maskType: null,
    name: field.name,
    nameField: field.name === 'Name' || field.name === 'Subject',
    namePointing: (field.referenceTo?.length ?? 0) > 1,
    nillable: field.required !== true && field.type !== 'boolean' && field.type !== 'id',
    permissionable: field.required !== true,
    picklistValues: (field.picklist ?? []).map((value) => ({
      active: true,
      defaultValue: value === field.defaultValue,
      label: value,
      validFor: null,
      value,
    })),
    polymorphicForeignKey: (field.referenceTo?.length ?? 0) > 1,
    precision: isNumber(field) ? 18 : 0,
    queryByDistance: false,
    referenceTargetField: null,
    referenceTo: [...(field.referenceTo ?? [])],
    relationshipName: field.relationshipName ?? null,
    relationshipOrder: null,
    restrictedDelete: false,
    restrictedPicklist: field.restricted === true,
    scale: isNumber(field) ? 2 : 0,
    searchPrefilterable: false,
    soapType: SOAP_TYPES[field.type] ?? 'xsd:string',
    sortable: field.type !== 'textarea',
    type,
    unique: field.unique === true,
    updateable: isWritable,
    writeRequiresMasterRead: false,
  };
}
