import type { EditorComms, NodeStatus } from './editor-comms.ts';

interface Step {
  id: string;
  name: string;
  text: string;
  printed: string;
  printedAt: number;
}

/** In a log, each step speaks at most once a second. */
const LINE_EVERY_MS = 1000;
const REDRAW_EVERY_MS = 200;

/**
 * Shows the statuses of the flow's nodes while it works: in a terminal a table that changes in place, else a line for each
 * change.
 */
export class Progress {
  readonly #steps: Step[];
  readonly #out: NodeJS.WriteStream;
  readonly #comms: EditorComms;
  readonly #began = performance.now();
  readonly #timer: NodeJS.Timeout;
  #drawn = 0;

  constructor(steps: { id: string; name: string }[], comms: EditorComms, out: NodeJS.WriteStream) {
    this.#steps = steps.map((step) => ({
      ...step,
      text: '',
      printed: '',
      printedAt: Number.NEGATIVE_INFINITY,
    }));
    this.#out = out;
    this.#comms = comms;
    comms.on('status', this.#onStatus);
    this.#timer = setInterval(() => this.#show(false), REDRAW_EVERY_MS);
  }

  /** Shows the last state and no more after it. */
  stop(): void {
    clearInterval(this.#timer);
    this.#comms.off('status', this.#onStatus);
    this.#show(true);
  }

  readonly #onStatus = ({ nodeId, text }: NodeStatus): void => {
    const step = this.#steps.find(({ id }) => id === nodeId);
    if (step !== undefined && text !== undefined) step.text = text;
  };

  #show(last: boolean): void {
    if (this.#out.isTTY) this.#draw();
    else this.#print(last);
  }

  #draw(): void {
    const width = Math.max(...this.#steps.map(({ name }) => name.length));
    const room = (this.#out.columns ?? 80) - width - 5;
    const lines = this.#steps.map(({ name, text }) => `  ${name.padEnd(width)}  ${text.slice(0, room)}`);
    const back = this.#drawn === 0 ? '' : `\x1b[${this.#drawn}A\x1b[J`;
    this.#out.write(`${back}${lines.join('\n')}\n`);
    this.#drawn = lines.length;
  }

  #print(last: boolean): void {
    const now = performance.now();
    for (const step of this.#steps) {
      const due = last || now - step.printedAt >= LINE_EVERY_MS;
      if (step.text === step.printed || !due) continue;
      const seconds = ((now - this.#began) / 1000).toFixed(1).padStart(6);
      this.#out.write(`${seconds} s  ${step.name}: ${step.text}\n`);
      step.printed = step.text;
      step.printedAt = now;
    }
  }
}
