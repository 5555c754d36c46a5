import type { Locator, Page } from 'playwright-core';

/** The editor's list of debug messages, as a person reads it. */
export class DebugSidebar {
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
  }

  /** Messages of the debug node of that name, oldest first; without a name all of them. */
  from(node?: string): Locator {
    const messages = this.#page.locator('.red-ui-debug-msg');
    if (node === undefined) return messages;
    return messages.filter({
      has: this.#page.locator('.red-ui-debug-msg-name').getByText(`node: ${node}`, { exact: true }),
    });
  }

  async waitFor(node: string, timeout: number): Promise<Locator> {
    const message = this.from(node).first();
    await message.waitFor({ timeout });
    return message;
  }

  /** Opens an object, as a click on its arrow does, and reads its properties. It then is at the top of the list. */
  async read(message: Locator): Promise<Record<string, string>> {
    await message.scrollIntoViewIfNeeded();
    const lines = message.locator('.red-ui-debug-msg-object-entry:visible');
    if ((await lines.count()) === 0) await message.locator('.red-ui-debug-msg-object-handle').first().click();
    await lines.first().waitFor();
    const values: Record<string, string> = {};
    for (const line of await lines.allInnerTexts()) {
      const [, name, value] = /^\s*(\w+):\s*([\s\S]*?)\s*$/.exec(line) ?? [];
      if (name !== undefined && value !== undefined) values[name] = value;
    }
    await message.evaluate((element: { scrollIntoView(): void }) => element.scrollIntoView());
    return values;
  }
}
