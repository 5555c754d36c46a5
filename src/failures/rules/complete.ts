import type { ParsedError } from '../parse-error.ts';
import type { Verdict } from '../verdict.ts';
import { findStatusCode } from './status-codes.ts';
import { AUTOMATION_CODES, findTextRule } from './text-rules.ts';

const AUTOMATION = new Set(AUTOMATION_CODES);

/** One verdict object a rule: they are handed out by the million. */
const BY_TABLE = new Map<string, Verdict | undefined>();
const BY_TEXT = new Map<string, Verdict>();
const BY_INNER_CODE = new Map<string, Verdict>();

function remember<T>(cache: Map<string, T>, key: string, make: () => T): T {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = make();
  cache.set(key, made);
  return made;
}

function byTable(code: string): Verdict | undefined {
  const known = BY_TABLE.get(code);
  if (known) return known;
  const entry = findStatusCode(code);
  if (!entry) return undefined;
  const verdict = {
    errorCategory: entry.category,
    retryable: entry.retry === 'yes',
    rule: `code ${entry.code}`,
  };
  BY_TABLE.set(code, verdict);
  return verdict;
}

function byText(code: string, message: string): Verdict | undefined {
  const rule = findTextRule(code, message);
  if (!rule) return undefined;
  return remember(BY_TEXT, rule.name, () => ({
    errorCategory: rule.category,
    retryable: rule.retryable,
    rule: `text: ${rule.name}`,
  }));
}

/**
 * The first code inside the message that says something of its own. Codes of automation only wrap another one, and a
 * conditional one would only send us back to the text.
 */
function byInnerCode(error: ParsedError): Verdict | undefined {
  for (const code of error.innerCodes) {
    const verdict = AUTOMATION.has(code) ? undefined : (byText(code, error.errorMessage) ?? byTable(code));
    if (verdict && (verdict.errorCategory !== 'CONDITIONAL' || verdict.retryable)) {
      return remember(BY_INNER_CODE, `${code} ${verdict.rule}`, () => ({
        ...verdict,
        rule: `inner ${verdict.rule}`,
      }));
    }
  }
  return undefined;
}

function judgeOne(error: ParsedError): Verdict | undefined {
  const { errorCode, errorMessage } = error;
  const inner = AUTOMATION.has(errorCode) ? byInnerCode(error) : undefined;
  return inner ?? byText(errorCode, errorMessage) ?? byTable(errorCode);
}

function unknown(code: string): Verdict {
  return { errorCategory: 'OTHER', retryable: false, rule: `unknown code ${code}`, unknownCode: code };
}

/**
 * The `complete` rule set. A record with several faults can pass later only if all of them can: the first that cannot
 * decides, else the first.
 */
export function judgeComplete(error: ParsedError): Verdict {
  const first = judgeOne(error) ?? unknown(error.errorCode);
  if (!first.retryable) return first;
  for (const other of error.further) {
    const verdict = judgeOne(other) ?? unknown(other.errorCode);
    if (!verdict.retryable) return verdict;
  }
  return first;
}

/**
 * Whether the record failed only because of those saved with it, so that alone it can pass: what `auto` asks of a
 * Collections answer, whichever rules classify the failure. An inner code that decides (a lock, a validation) says no.
 */
export function aloneCures(error: ParsedError): boolean {
  return [error, ...error.further].every((one) => {
    const inner = AUTOMATION.has(one.errorCode) ? byInnerCode(one) : undefined;
    return inner === undefined && findTextRule(one.errorCode, one.errorMessage)?.aloneCures === true;
  });
}
