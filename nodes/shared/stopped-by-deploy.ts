import { LoadError } from '../../src/errors.ts';

/** Broken off because Node-RED stops or deploys, not because anything went wrong: the same again will do. */
export class StoppedByDeploy extends LoadError {
  constructor(message: string) {
    super('LOAD_BROKEN_OFF', message);
    this.name = 'StoppedByDeploy';
  }
}
