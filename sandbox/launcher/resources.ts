/** What must be closed at the end, in the opposite order of its opening, whatever happens in between. */
export class Resources {
  readonly #open: { name: string; close: () => unknown }[] = [];

  add(name: string, close: () => unknown): void {
    this.#open.push({ name, close });
  }

  /** One that cannot be closed is reported and does not keep the others open. */
  async close(report: (text: string) => void): Promise<void> {
    for (let next = this.#open.pop(); next; next = this.#open.pop()) {
      try {
        await next.close();
      } catch (error) {
        report(`${next.name} could not be closed: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
}

/** What a shell reports of a program that the signal ended: 128 and its number. */
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const;

/**
 * Aborted by the first Ctrl-C, by a service manager's request to end, or when nobody reads the output any more. A second
 * signal ends this process at once; what it started then ends by itself.
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(1);
      controller.abort(new Interrupted(name));
    });
  }
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      controller.abort(new Interrupted('SIGPIPE'));
    });
  }
  return controller.signal;
}

export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: keyof typeof EXIT_CODES) {
    super(`Ended by ${signal}.`);
    this.exitCode = EXIT_CODES[signal];
  }
}

/** Rejects when the signal is aborted; the promise itself goes on unheard. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => {});
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
