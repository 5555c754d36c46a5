import {
  bool,
  compound,
  currency,
  date,
  dateTime,
  double,
  email,
  externalId,
  int,
  longText,
  percent,
  phone,
  picklist,
  reference,
  text,
  url,
} from './fields.ts';
import { marksOn } from './marks.ts';
import type { ObjectModel } from './types.ts';

const INDUSTRIES = [
  'Agriculture',
  'Banking',
  'Construction',
  'Education',
  'Energy',
  'Retail',
  'Technology',
  'Other',
];

export const ACCOUNT: ObjectModel = {
  name: 'Account',
  label: 'Account',
  labelPlural: 'Accounts',
  keyPrefix: '001',
  fields: [
    text('Name', 255, { required: true, label: 'Account Name' }),
    externalId('External_Id__c'),
    picklist('Type', ['Prospect', 'Customer - Direct', 'Customer - Channel', 'Partner', 'Other']),
    picklist('Industry', INDUSTRIES),
    picklist('Rating', ['Hot', 'Warm', 'Cold'], { restricted: true }),
    reference('ParentId', ['Account']),
    text('AccountNumber', 40),
    text('BillingStreet', 255),
    text('BillingCity', 40),
    text('BillingPostalCode', 20),
    text('BillingCountry', 80),
    text('ShippingCity', 40),
    phone('Phone'),
    url('Website'),
    int('NumberOfEmployees'),
    currency('AnnualRevenue'),
    longText('Description'),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
  marks: marksOn('External_Id__c', 'Account'),
};

/** As on a real org: LastName is required, Name is compound and cannot be written, and there is no Email__c. */
export const CONTACT: ObjectModel = {
  name: 'Contact',
  label: 'Contact',
  labelPlural: 'Contacts',
  keyPrefix: '003',
  fields: [
    text('LastName', 80, { required: true, label: 'Last Name' }),
    text('FirstName', 40, { label: 'First Name' }),
    picklist('Salutation', ['Mr.', 'Ms.', 'Mrs.', 'Dr.', 'Prof.', 'Mx.']),
    compound('Name', { label: 'Full Name' }),
    externalId('External_Id__c'),
    email('Email'),
    phone('Phone'),
    phone('MobilePhone'),
    reference('AccountId', ['Account'], { locksParent: true, label: 'Account ID' }),
    reference('ReportsToId', ['Contact']),
    text('Title', 128),
    text('Department', 80),
    text('MailingCity', 40),
    text('MailingCountry', 80),
    date('Birthdate'),
    dateTime('Last_Visit__c'),
    bool('DoNotCall'),
    bool('HasOptedOutOfEmail', { label: 'Email Opt Out' }),
    double('Score__c'),
    currency('Credit_Limit__c'),
    int('Visits__c'),
    picklist('Level__c', ['Primary', 'Secondary', 'Tertiary'], { restricted: true }),
    longText('Description'),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
  validationRules: [
    {
      name: 'Birthdate_In_The_Past',
      when: [{ field: 'Birthdate', is: 'after-today' }],
      message: 'Birthdate cannot be in the future.',
      errorField: 'Birthdate',
    },
  ],
  duplicateRules: [
    {
      name: 'Standard_Contact_Duplicate_Rule',
      fields: ['FirstName', 'LastName', 'Email'],
      message: 'Use one of these records?',
    },
  ],
  marks: marksOn('External_Id__c', 'Contact'),
};

export const LEAD: ObjectModel = {
  name: 'Lead',
  label: 'Lead',
  labelPlural: 'Leads',
  keyPrefix: '00Q',
  fields: [
    text('LastName', 80, { required: true, label: 'Last Name' }),
    text('FirstName', 40, { label: 'First Name' }),
    compound('Name', { label: 'Full Name' }),
    text('Company', 255, { required: true }),
    externalId('External_Id__c'),
    email('Email', { idLookup: true }),
    phone('Phone'),
    picklist('Status', ['Open - Not Contacted', 'Working - Contacted', 'Closed - Converted'], {
      defaultValue: 'Open - Not Contacted',
      restricted: true,
    }),
    picklist('LeadSource', ['Web', 'Phone Inquiry', 'Partner Referral', 'Other']),
    currency('AnnualRevenue'),
    int('NumberOfEmployees'),
    bool('HasOptedOutOfEmail', { label: 'Email Opt Out' }),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
  marks: marksOn('External_Id__c', 'Lead'),
  assignmentRules: [{ id: '01Q000000000001AAA', active: true, ownerId: '005ak0000000002AAA' }],
};

/** With the external id field in lower case, as on the org whose answers were recorded. */
export const OPPORTUNITY: ObjectModel = {
  name: 'Opportunity',
  label: 'Opportunity',
  labelPlural: 'Opportunities',
  keyPrefix: '006',
  fields: [
    text('Name', 120, { required: true, label: 'Name' }),
    picklist(
      'StageName',
      ['Prospecting', 'Qualification', 'Negotiation/Review', 'Closed Won', 'Closed Lost'],
      {
        required: true,
        label: 'Stage',
      },
    ),
    date('CloseDate', { required: true, label: 'Close Date' }),
    externalId('external_id__c'),
    currency('Amount'),
    percent('Probability'),
    reference('AccountId', ['Account'], { locksParent: true, label: 'Account ID' }),
    text('NextStep', 255),
    longText('Description'),
    reference('OwnerId', ['User'], { defaultValue: '$user' }),
  ],
  marks: marksOn('external_id__c', 'Opportunity'),
};
