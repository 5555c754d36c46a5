import { LoadError } from '../../src/errors.ts';
import { asTranslated, text, type Values } from './texts.ts';

/** Broken off because Node-RED stops or deploys, not because anything went wrong: the same again will do. */
export class StoppedByDeploy extends LoadError {
  /** With the text `error.<key>` of the catalogue. */
  constructor(key: string, values: Values) {
    super('LOAD_BROKEN_OFF', text(`error.${key}`, values));
    this.name = 'StoppedByDeploy';
    asTranslated(this);
  }
}
