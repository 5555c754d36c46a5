import { followDeploys } from './deploys.ts';
import type { Red } from './red.ts';

/** Whether messages sent now reach anyone: between `flows:stopping` and `flows:started` some receivers do not exist. */
export interface FlowsRunning {
  readonly running: boolean;
  stop(): void;
}

/** Follows deploys, full and partial; `onStarted` is called each time that flows are up. */
export function whileFlowsRun(RED: Red, onStarted: () => void): FlowsRunning {
  let running = false;
  followDeploys(RED);
  const started = () => {
    running = true;
    onStarted();
  };
  const stopping = () => {
    running = false;
  };
  RED.events.on('flows:started', started);
  RED.events.on('flows:stopping', stopping);
  return {
    get running() {
      return running;
    },
    stop: () => {
      RED.events.off('flows:started', started);
      RED.events.off('flows:stopping', stopping);
    },
  };
}
