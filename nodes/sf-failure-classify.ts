/** Says of each failed record what its error means and whether a retry can help. */
import { systemClock } from '../src/clock.ts';
import { ERROR_CATEGORIES, type FailedRow, type Failure } from '../src/failure.ts';
import { type Classifier, createClassifier, RULE_SETS } from '../src/failures/classify.ts';
import { registerClassifyAdmin } from './shared/admin/classify-admin.ts';
import { readBatch } from './shared/batches.ts';
import { type ConfigReader, readConfig } from './shared/config.ts';
import { RateMeter } from './shared/rate-meter.ts';
import type { Node, NodeConfig, Red } from './shared/red.ts';
import { refuseRecords } from './shared/reset.ts';
import { type Input, onInput } from './shared/runner.ts';
import { SequenceSplitter } from './shared/sequence-splitter.ts';
import { StatusLine } from './shared/status.ts';
import { loadError, text, useCatalogue } from './shared/texts.ts';

export default function (RED: Red): void {
  useCatalogue(RED);
  registerClassifyAdmin(RED);

  function SfFailureClassify(this: Node, config: NodeConfig): void {
    RED.nodes.createNode(this, config);
    const status = new StatusLine(this, systemClock);
    const meter = new RateMeter(systemClock, 'failures');
    const splitter = new SequenceSplitter(2, (messages) => this.send(messages));
    const warnOfUnknown = (code: string) => this.warn(text('warning.unknownCode', { code }));
    onInput(this, {
      settings: readConfig(RED, this, config, (properties) => readClassifier(properties, warnOfUnknown)),
      status,
      handle: async (input) => {
        const sorted = classify(input);
        meter.add(sorted[0].length + sorted[1].length);
        status.done(() => meter.text());
        input.send(splitter.split(input.message, sorted));
      },
      reset: ({ message }) => {
        refuseRecords(message);
        splitter.clear();
      },
      close: () => splitter.clear(),
    });
  }

  RED.nodes.registerType('sf-failure-classify', SfFailureClassify);
}

/** The html's defaults: ruleSet, rules [{match, value, category, retryable}]. */
function readClassifier(properties: ConfigReader, onUnknownCode: (code: string) => void): Classifier {
  const rules = properties.list('rules', (rule) => ({
    match: rule.oneOf('match', ['code', 'contains', 'regex'], 'contains'),
    value: rule.text('value'),
    category: rule.oneOf('category', ERROR_CATEGORIES, 'OTHER'),
    retryable: rule.boolean('retryable', false),
  }));
  return createClassifier({
    ruleSet: properties.oneOf('ruleSet', RULE_SETS, 'complete'),
    rules,
    onUnknownCode,
  });
}

/** Retryable failures, then permanent ones. */
function classify({ message, settings }: Input<Classifier>): [Failure[], Failure[]] {
  const at = new Date().toISOString();
  const sorted: [Failure[], Failure[]] = [[], []];
  for (const row of readBatch<FailedRow>(message).rows) {
    if (typeof row.sf__Error !== 'string') throw loadError('RECORD_INVALID', 'noFailedRow');
    const failure = settings.classify(row, at);
    sorted[failure.retryable ? 0 : 1].push(failure);
  }
  return sorted;
}
