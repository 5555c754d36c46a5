import type { JobSpec } from '../job.ts';
import type { JobFile } from './job-files.ts';
import type { FileClaims } from './run-claims.ts';

export interface QueuedFile {
  file: JobFile;
  spec: JobSpec;
  claims: FileClaims;
}

/** Files of a run that wait for their upload, one at a time. A file is gone once its upload has ended, well or not. */
export class UploadQueue {
  readonly #upload: (queued: QueuedFile) => Promise<void>;
  readonly #waiting: QueuedFile[] = [];
  #uploading: Promise<void> = Promise.resolve();

  /** When `upload` rejects, nothing more is uploaded. */
  constructor(upload: (queued: QueuedFile) => Promise<void>) {
    this.#upload = upload;
  }

  /** Resolves when all files so far are uploaded; rejects with what stopped that. */
  get uploaded(): Promise<void> {
    return this.#uploading;
  }

  add(queued: QueuedFile): void {
    this.#waiting.push(queued);
    if (this.#waiting.length === 1) this.#uploading = this.#uploading.then(() => this.#uploadAll());
    // A failure reaches whoever waits for `uploaded`; nothing is lost by not listening here.
    this.#uploading.catch(() => {});
  }

  /** Waits for the upload under way, and gives up what is left. */
  async discard(): Promise<void> {
    // Why that failed is the reason of the giving up, or of less weight.
    await this.#uploading.catch(() => {});
    for (const { file } of this.#waiting.splice(0)) await file.remove();
  }

  async #uploadAll(): Promise<void> {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      try {
        await this.#upload(next);
      } finally {
        await next.file.remove();
      }
      this.#waiting.shift();
    }
  }
}
