import assert from 'node:assert/strict';
import { type NodeRed, type NodeRedVersion, startNodeRed } from '../support/node-red.ts';

const TAB = { id: 'tab', type: 'tab', label: 'language' };

/** A node without any setting that could be wrong, one that lacks its connection, and a Catch that shows what it says. */
const FLOW = [
  TAB,
  inject('rows', '[{"sf__Id":"","sf__Error":"UNABLE_TO_LOCK_ROW:unable:--"}]', 'classify'),
  inject('none', '[1]', 'classify'),
  { id: 'classify', type: 'sf-failure-classify', z: 'tab', ruleSet: 'complete', rules: [], wires: [[], []] },
  { id: 'poll', type: 'sf-bulk-poll', z: 'tab', wires: [[], []] },
  { id: 'catch', type: 'catch', z: 'tab', scope: null, wires: [['errors']] },
  { id: 'errors', type: 'debug', z: 'tab', active: true, tosidebar: true, complete: 'error', wires: [] },
];

interface Words {
  counted: string;
  refusal: string;
  problem: string;
}

const WORDS: Record<string, Words> = {
  'en-US': {
    counted: '1 failure',
    refusal: 'msg.payload[0] is a number; it must be a record, that is, an object.',
    problem: 'CONFIG_INVALID: sf-bulk-poll: connection is missing: choose…',
  },
  de: {
    counted: '1 Fehler',
    refusal: 'msg.payload[0] ist ein Wert vom Typ number; es muss ein Datensatz sein, also ein Objekt.',
    problem: 'CONFIG_INVALID: sf-bulk-poll: connection fehlt: Wählen Sie …',
  },
  ja: {
    counted: '失敗 1',
    refusal: 'msg.payload[0] が number 型の値です。レコード、つまりオブジェクトでなければなりません。',
    problem: 'CONFIG_INVALID: sf-bulk-poll: connection がありません。sf-connecti…',
  },
};

for (const [version, lang] of [
  ['5', 'en-US'],
  ['5', 'de'],
  ['5', 'ja'],
  ['4', 'de'],
] satisfies [NodeRedVersion, string][]) {
  describe(`a Node-RED ${version} that speaks ${lang}`, () => {
    const words = WORDS[lang] as Words;
    let nodeRed: NodeRed;

    before(async () => {
      nodeRed = await startNodeRed({ version, packages: ['linked'], settings: { lang } });
      await nodeRed.deploy(FLOW);
    });
    after(() => nodeRed.stop());

    it('says in it what a node does', async () => {
      await nodeRed.inject('rows');
      await nodeRed.waitForStatus('classify', ({ text }) => text?.startsWith(words.counted) ?? false);
    });

    it('says in it what is wrong with the settings of a node', async () => {
      await nodeRed.waitForStatus('poll', ({ text }) => text === words.problem);
    });

    it('says in it what is wrong with a message, to the Catch node too, with the same code', async () => {
      await nodeRed.inject('none');
      const caught = await nodeRed.waitForDebug(({ nodeId }) => nodeId === 'errors');
      const { code, message } = caught.value as { code: string; message: string };
      assert.deepEqual([code, message], ['RECORD_INVALID', `LoadError: ${words.refusal}`]);
    });
  });
}

function inject(id: string, payload: string, to: string) {
  return {
    id,
    type: 'inject',
    z: 'tab',
    props: [{ p: 'payload' }],
    payload,
    payloadType: 'json',
    wires: [[to]],
  };
}
