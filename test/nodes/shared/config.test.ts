import assert from 'node:assert/strict';
import { type ConfigReader, readConfig, type Validated } from '../../../nodes/shared/config.ts';
import type { Node } from '../../../nodes/shared/red.ts';
import { nodeHelper } from '../../support/node-helper.ts';

/** As it is written in a form. */
const variable = (name: string) => `\${${name}}`;

describe('the settings of a node', () => {
  nodeHelper.use();

  /** Reads them as a node made by the runtime does, after its own replacing of variables. */
  async function read<S>(
    config: object,
    reader: (properties: ConfigReader, node: Node) => S,
    { credentials = {}, others = [] }: { credentials?: object; others?: object[] } = {},
  ): Promise<Validated<S>> {
    let result: Validated<S> | undefined;
    const probe = nodeHelper.type('probe', (RED, node, saved) => {
      result = readConfig(RED, node, saved, (properties) => reader(properties, node));
    });
    const withCredentials = (RED: Parameters<typeof probe>[0]) => {
      const { registerType } = RED.nodes;
      RED.nodes.registerType = (type, make) =>
        registerType(type, make, { credentials: { secret: { type: 'password' } } });
      probe(RED);
      RED.nodes.registerType = registerType;
    };
    const flow = [...others, { id: 'n', type: 'probe', name: 'mine', wires: [], ...config }];
    await nodeHelper.load([nodeHelper.type('other', () => {}), withCredentials], flow, { n: credentials });
    assert.ok(result);
    return result;
  }

  function problem(result: Validated<unknown>): string {
    assert.ok(!result.ok);
    assert.equal(result.error.code, 'CONFIG_INVALID');
    return result.error.message;
  }

  it('have their types, whatever form or file they come from', async () => {
    const config = {
      object: ' Contact ',
      size: '5000',
      ratio: '0.5',
      on: 'true',
      off: false,
      mode: 'serial',
      rows: [{ from: 'a', to: 'b' }],
    };
    const result = await read(config, (properties) => ({
      object: properties.text('object'),
      size: properties.integer('size', { min: 1, max: 10_000 }),
      ratio: properties.number('ratio', { min: 0 }),
      on: properties.boolean('on', false),
      off: properties.boolean('off', true),
      mode: properties.oneOf('mode', ['parallel', 'serial']),
      rows: properties.list('rows', (row) => ({ from: row.text('from'), to: row.text('to') })),
    }));
    assert.deepEqual(result, {
      ok: true,
      value: { ...config, object: 'Contact', size: 5000, ratio: 0.5, on: true },
    });
  });

  it('have defaults where nothing is given', async () => {
    const result = await read({ empty: '', nothing: null }, (properties) => [
      properties.optionalText('empty'),
      properties.optionalText('absent', 'x'),
      properties.integer('empty', { default: 7 }),
      properties.number('nothing', { default: 0.5 }),
      properties.boolean('absent', true),
      properties.oneOf('empty', ['a', 'b'], 'b'),
      properties.list('absent', () => 1),
      properties.optionalNode('absent', 'other'),
      properties.optionalSecret('secret'),
    ]);
    assert.deepEqual(result, { ok: true, value: ['', 'x', 7, 0.5, true, 'b', [], undefined, undefined] });
  });

  it('that are wrong are all named in one error', async () => {
    const config = {
      size: 'many',
      mode: 'fast',
      rows: [{ from: 'a' }, 'x'],
      limit: '0',
      big: 1e9,
      part: '1.5',
      flag: 'yes',
      table: 7.5,
    };
    const result = await read(config, (properties) => {
      properties.text('object');
      properties.integer('size', { min: 1, max: 10 });
      properties.integer('limit', { min: 1 });
      properties.integer('big', { max: 10 });
      properties.integer('part', {});
      properties.boolean('flag', true);
      properties.oneOf('mode', ['parallel', 'serial']);
      properties.list('rows', (row) => row.text('to'));
      properties.list('table', (row) => row.text('to'));
      properties.node('connection', 'sf-connection');
      properties.secret('secret');
    });
    assert.equal(
      problem(result),
      'probe "mine": object is missing; size must be a whole number from 1 to 10, not "many"; ' +
        'limit must be a whole number of at least 1, not "0"; big must be a whole number of at most 10, not 1000000000; ' +
        'part must be a whole number, not "1.5"; flag must be true or false, not "yes"; ' +
        'mode must be one of parallel, serial, not "fast"; rows[0].to is missing; rows[1] must be an object; ' +
        'table must be a list; connection is missing: choose a sf-connection; secret is missing.',
    );
  });

  it('take environment variables, and name the one that is not set', async () => {
    process.env.SF_TEST_SIZE = '12';
    try {
      const config = {
        size: variable('SF_TEST_SIZE'),
        object: variable('SF_TEST_UNSET'),
        old: '$(SF_TEST_OLD)',
        part: `https://${variable('HOST')}/`,
        node: variable('SF_TEST_NODE'),
      };
      const result = await read(config, (properties) => {
        assert.equal(properties.integer('size', { min: 1 }), 12);
        assert.equal(properties.text('part'), `https://${variable('HOST')}/`);
        properties.text('object');
        properties.optionalText('old');
        properties.optionalNode('node', 'other');
      });
      assert.equal(
        problem(result),
        'probe "mine": object names the environment variable SF_TEST_UNSET, which is not set; ' +
          'old names the environment variable SF_TEST_OLD, which is not set; ' +
          'node names the environment variable SF_TEST_NODE, which is not set.',
      );
    } finally {
      delete process.env.SF_TEST_SIZE;
    }
  });

  it('never show a secret', async () => {
    const { value } = (await read({}, (properties) => properties.secret('secret'), {
      credentials: { secret: 'hunter2' },
    })) as { value: string };
    assert.equal(value, 'hunter2');
  });

  it('name a secret whose variable is not set', async () => {
    const result = await read({}, (properties) => properties.secret('secret'), {
      credentials: { secret: variable('SF_TEST_UNSET') },
    });
    assert.match(problem(result), /secret names the environment variable SF_TEST_UNSET/);
  });

  it('refer to nodes that are there and of the right type', async () => {
    const others = [
      { id: 'o', type: 'other' },
      { id: 'disabled', type: 'other', d: true },
    ];
    const config = { good: 'o', wrong: 'o', gone: 'gone', disabled: 'disabled' };
    const result = await read(
      config,
      (properties) => {
        assert.equal(properties.node('good', 'other').id, 'o');
        properties.node('wrong', 'sf-connection');
        properties.node('gone', 'other');
        properties.optionalNode('disabled', 'other');
      },
      { others },
    );
    assert.equal(
      problem(result),
      'probe "mine": wrong must be a sf-connection; the node that it names is a other; ' +
        'gone must be a other; the node that it names is disabled or no longer there; ' +
        'disabled must be a other; the node that it names is disabled or no longer there.',
    );
  });

  it('that a node itself finds wrong are named like the others', async () => {
    const result = await read({}, (properties) => properties.problem('sql', 'and table exclude each other'));
    assert.equal(problem(result), 'probe "mine": sql and table exclude each other.');
  });

  it('that a node chokes on are named like the others', async () => {
    const thrown = await read({}, () => {
      throw new Error('rule 3 is no regular expression');
    });
    assert.equal(problem(thrown), 'probe "mine": rule 3 is no regular expression.');
  });

  it('end in one full stop, whatever was thrown', async () => {
    const thrown = await read({}, () => {
      throw new Error('"a.b.c" is no name of a table.');
    });
    assert.equal(problem(thrown), 'probe "mine": "a.b.c" is no name of a table.');
  });

  it('do not tell what a node made of the stand-in for what is wrong', async () => {
    const thrown = await read({}, (properties) => {
      const { info } = properties.node<Node & { info: { name: string } }>('database', 'sync-database');
      return info.name;
    });
    assert.equal(problem(thrown), 'probe "mine": database is missing: choose a sync-database.');
  });

  describe('with typed inputs', () => {
    const TYPES = ['str', 'num', 'json', 'msg', 'env', 'jsonata'] as const;
    const message = { payload: { limit: 3 } };

    for (const [value, type, expected] of [
      ['a', 'str', 'a'],
      ['12', 'num', 12],
      ['[1, "b"]', 'json', [1, 'b']],
      [[1, 2], 'json', [1, 2]],
      ['payload.limit', 'msg', 3],
      ['payload.none', 'msg', undefined],
      ['$sum([payload.limit, 4])', 'jsonata', 7],
      ['', 'jsonata', undefined],
      ['', 'num', undefined],
    ] as const) {
      it(`evaluates ${JSON.stringify(value)} as ${type}`, async () => {
        const result = await read({ limit: value, limitType: type }, (properties) =>
          properties.typedInput('limit', TYPES, 'str'),
        );
        assert.ok(result.ok);
        assert.deepEqual(await result.value.evaluate(message), expected);
      });
    }

    for (const [value, type, text] of [
      ['[1', 'json', /limit is not valid JSON/],
      ['$sum(', 'jsonata', /limit is not valid JSONata/],
      ['x', 'num', /limit must be a number/],
      ['x', 'date', /limitType must be one of str/],
    ] as const) {
      it(`refuses ${JSON.stringify(value)} as ${type} at once`, async () => {
        const result = await read({ limit: value, limitType: type }, (properties) =>
          properties.typedInput('limit', TYPES, 'str'),
        );
        assert.match(problem(result), text);
      });
    }

    it('says what failed when a message does not fit', async () => {
      const result = await read({ limit: '$toMillis(payload)', limitType: 'jsonata' }, (properties) =>
        properties.typedInput('limit', TYPES, 'str'),
      );
      assert.ok(result.ok);
      await assert.rejects(result.value.evaluate({ payload: {} }), {
        code: 'CONFIG_INVALID',
        message: /^limit could not be evaluated as jsonata: /,
      });
    });
  });
});
