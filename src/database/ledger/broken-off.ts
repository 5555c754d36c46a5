import { LoadError } from '../../errors.ts';
import type { LoadKey } from './job-ledger.ts';

/** The holder of a load finds that another process took it over. */
export function brokenOff({ loadName }: LoadKey): LoadError {
  return new LoadError(
    'LOAD_BROKEN_OFF',
    `Load "${loadName}" was taken over by another process, so this one writes nothing more. Look there for its receipt.`,
  );
}
