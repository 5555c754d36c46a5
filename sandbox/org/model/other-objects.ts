import {
  bool,
  currency,
  date,
  dateTime,
  double,
  email,
  externalId,
  longText,
  picklist,
  reference,
  text,
} from './fields.ts';
import { marksOn } from './marks.ts';
import type { ObjectModel } from './types.ts';

export const CASE: ObjectModel = {
  name: 'Case',
  label: 'Case',
  labelPlural: 'Cases',
  keyPrefix: '500',
  fields: [
    text('Subject', 255),
    externalId('External_Id__c'),
    picklist('Status', ['New', 'Working', 'Escalated', 'Closed'], { defaultValue: 'New', restricted: true }),
    picklist('Origin', ['Phone', 'Email', 'Web']),
    picklist('Priority', ['High', 'Medium', 'Low'], { defaultValue: 'Medium' }),
    reference('AccountId', ['Account'], { locksParent: true, label: 'Account ID' }),
    reference('ContactId', ['Contact']),
    longText('Description'),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
  marks: marksOn('External_Id__c', 'Case'),
  assignmentRules: [
    { id: '01Q000000000002AAA', active: true, ownerId: '005ak0000000002AAA' },
    { id: '01Q000000000003AAA', active: false, ownerId: '005ak0000000003AAA' },
  ],
};

/** Who and What are polymorphic: columns are written `Lead:Who.Email`. */
export const TASK: ObjectModel = {
  name: 'Task',
  label: 'Task',
  labelPlural: 'Tasks',
  keyPrefix: '00T',
  fields: [
    text('Subject', 255),
    externalId('External_Id__c'),
    reference('WhoId', ['Contact', 'Lead'], { label: 'Name ID' }),
    reference('WhatId', ['Account', 'Opportunity', 'Case'], { label: 'Related To ID' }),
    date('ActivityDate'),
    picklist('Status', ['Not Started', 'In Progress', 'Completed'], { defaultValue: 'Not Started' }),
    picklist('Priority', ['High', 'Normal', 'Low'], { defaultValue: 'Normal' }),
    longText('Description'),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
};

/** No unique field at all: a record that is loaded twice is there twice, and the audit shows it. */
export const LOAD_TEST: ObjectModel = {
  name: 'Load_Test__c',
  label: 'Load Test',
  labelPlural: 'Load Tests',
  keyPrefix: 'a00',
  custom: true,
  fields: [
    text('Name', 80),
    text('Key__c', 80),
    double('Value__c'),
    longText('Payload__c'),
    reference('Account__c', ['Account'], { locksParent: true }),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
  marks: marksOn('Key__c', 'Load_Test__c'),
};

export const PRODUCT: ObjectModel = {
  name: 'Product2',
  label: 'Product',
  labelPlural: 'Products',
  keyPrefix: '01t',
  fields: [
    text('Name', 255, { required: true, label: 'Product Name' }),
    text('ProductCode', 255),
    externalId('External_Id__c'),
    bool('IsActive', { label: 'Active' }),
    longText('Description', 4000),
  ],
};

export const CAMPAIGN: ObjectModel = {
  name: 'Campaign',
  label: 'Campaign',
  labelPlural: 'Campaigns',
  keyPrefix: '701',
  fields: [
    text('Name', 80, { required: true, label: 'Campaign Name' }),
    bool('IsActive', { label: 'Active' }),
    date('StartDate'),
    date('EndDate'),
    currency('BudgetedCost'),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
};

/** Two external ids, one of them not unique: an upsert by it can meet several records. */
export const INVOICE: ObjectModel = {
  name: 'Invoice__c',
  label: 'Invoice',
  labelPlural: 'Invoices',
  keyPrefix: 'a01',
  custom: true,
  fields: [
    text('Name', 80, { label: 'Invoice Number' }),
    externalId('Number__c', { required: true }),
    text('Legacy_Key__c', 40, { externalId: true, idLookup: true }),
    reference('Account__c', ['Account'], { locksParent: true }),
    currency('Amount__c'),
    date('Due__c'),
    dateTime('Paid_At__c'),
    picklist('State__c', ['Draft', 'Sent', 'Paid'], { restricted: true, defaultValue: 'Draft' }),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
};

export const USER: ObjectModel = {
  name: 'User',
  label: 'User',
  labelPlural: 'Users',
  keyPrefix: '005',
  bulk: false,
  writable: false,
  fields: [
    text('Username', 80, { required: true, idLookup: true }),
    text('Name', 121),
    email('Email', { idLookup: true }),
    bool('IsActive', { defaultValue: 'true' }),
  ],
};

export const ORGANIZATION: ObjectModel = {
  name: 'Organization',
  label: 'Organization',
  labelPlural: 'Organizations',
  keyPrefix: '00D',
  bulk: false,
  writable: false,
  fields: [
    text('Name', 80),
    text('OrganizationType', 40),
    bool('IsSandbox'),
    text('InstanceName', 20),
    text('NamespacePrefix', 15),
    dateTime('TrialExpirationDate'),
  ],
};
