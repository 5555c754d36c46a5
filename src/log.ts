/** Where background work says what a person should know. Never a secret, never the content of a record. */
export interface Logger {
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export const silentLogger: Logger = { info: () => {}, warn: () => {}, error: () => {} };
