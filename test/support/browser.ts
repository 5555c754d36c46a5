import chromium from '@sparticuz/chromium';
import { type Browser, type Locator, type Page, chromium as playwright } from 'playwright-core';

/**
 * A real browser on Node-RED's editor. The browser is the one inside `@sparticuz/chromium`, which needs no package of the
 * system. Its own flags are not used: they are made for functions in a cloud, and its `--single-process` ends the browser
 * when a page is closed.
 */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let launching: Promise<Browser> | undefined;

/** One browser for all tests of a process. `closeBrowser` when the last of them is through. */
export function browser(): Promise<Browser> {
  launching ??= launch();
  return launching;
}

async function launch(): Promise<Browser> {
  const executablePath = await chromium.executablePath();
  return playwright.launch({ executablePath, headless: true, args: FLAGS });
}

export async function closeBrowser(): Promise<void> {
  const open = launching;
  launching = undefined;
  await (await open)?.close();
}

export interface EditorOptions {
  /** One of the package's languages; default en-US. */
  language?: string;
  theme?: Theme;
  viewport?: { width: number; height: number };
}

const CONFIG_DIALOG = ['#node-config-dialog-ok', 'node-config-input-'] as const;

export type Theme = 'light' | 'dark';

/**
 * What the editor itself complains about when it has no internet, a notice of Chromium that means nothing, and Chromium's own
 * line for an answer of our endpoints that says no: the form shows that one. The code editor of Node-RED 4.1 throws when
 * it is closed, in the core's function node too.
 */
const NOISE = [
  /catalogue\.nodered\.org|catalogue\.json/,
  /ResizeObserver loop/,
  /ERR_INTERNET|ERR_NAME_NOT/,
  /Failed to load resource.*\/sf-bulk\//,
  /(Model|TextModelPart) is disposed/,
];

/** Opens the editor and waits until the palette and the flows are there. */
export async function openEditor(url: string, options: EditorOptions = {}): Promise<Editor> {
  const context = await (await browser()).newContext({
    viewport: options.viewport ?? { width: 1400, height: 1000 },
  });
  const page = await context.newPage();
  await page.addInitScript(
    (language) => localStorage.setItem('editor-language', language),
    options.language ?? 'en-US',
  );
  const editor = new Editor(page, url, options.theme ?? 'light');
  await editor.load();
  return editor;
}

export class Editor {
  readonly page: Page;
  /** Errors of the page and its console since it was opened, without the known noise. */
  readonly errors: string[] = [];
  readonly #url: string;
  readonly #theme: Theme;

  constructor(page: Page, url: string, theme: Theme) {
    this.page = page;
    this.#url = url;
    this.#theme = theme;
    page.on('pageerror', (error) => this.#note(`${error.message}\n${error.stack ?? ''}`));
    page.on('console', (message) => {
      if (message.type() === 'error') this.#note(`${message.text()} (${message.location().url})`);
      // The editor logs what a form throws, instead of failing.
      if (/^(oneditprepare|oneditsave|oneditcancel|Validation error)/.test(message.text()))
        this.#note(message.text());
    });
  }

  #note(text: string): void {
    if (!NOISE.some((pattern) => pattern.test(text))) this.errors.push(text);
  }

  async load(): Promise<void> {
    await this.page.goto(this.#url);
    await this.page.waitForFunction(() => {
      const { RED } = globalThis as unknown as Partial<EditorGlobals>;
      return Boolean(RED?.nodes?.getType('sync-writeback'));
    });
    await this.page.locator('#red-ui-loading-progress').waitFor({ state: 'hidden' });
    if (this.#theme === 'dark')
      await this.page.evaluate("document.documentElement.classList.add('nr-theme-dark')");
  }

  /** The dialog on top; its fields are named by their labels. */
  get dialog(): Locator {
    return this.page.locator('.red-ui-tray').last();
  }

  /** Opens the dialog of a node, or of a config node. */
  async edit(id: string): Promise<Locator> {
    const isConfig = await this.page.evaluate((nodeId) => {
      const { RED } = globalThis as unknown as EditorGlobals;
      const node = RED.nodes.node(nodeId);
      const config = node._def.category === 'config';
      if (config) RED.editor.editConfig('', node.type, nodeId);
      else RED.editor.edit(node);
      return config;
    }, id);
    await this.dialogOpened(isConfig ? 'config' : 'node');
    return this.dialog;
  }

  /** Waits until the dialog of a node, or of a config node above it, is whole and at rest. */
  async dialogOpened(kind: 'node' | 'config' = 'node'): Promise<void> {
    const [button, fields] = kind === 'node' ? ['#node-dialog-ok', 'node-input-'] : CONFIG_DIALOG;
    await this.page.locator(button).waitFor();
    // The form comes after the credentials. One of ours says when it is filled and checked; those of other nodes do not.
    const body = this.dialog.locator('.red-ui-tray-body');
    await body.locator(`[id^="${fields}"]`).first().waitFor({ state: 'attached' });
    await this.dialog.locator('.sf-bulk-form:not(.sf-bulk-ready)').waitFor({ state: 'detached' });
    await this.#traysAtRest();
  }

  async ok(): Promise<void> {
    await this.#close('ok');
  }

  async cancel(): Promise<void> {
    await this.#close('cancel');
  }

  /** The dialog below, if there is one, comes back as a new element. */
  async #close(how: 'ok' | 'cancel'): Promise<void> {
    const button = this.dialog.locator(`#node-dialog-${how}, #node-config-dialog-${how}`);
    const pressed = await button.elementHandle();
    await button.click();
    await pressed?.waitForElementState('hidden');
    await this.#traysAtRest();
  }

  /** Trays slide: one that is still moving catches no clicks. */
  async #traysAtRest(): Promise<void> {
    await this.page.waitForFunction(() => {
      const { document } = globalThis as unknown as EditorGlobals;
      const trays = Array.from(document.querySelectorAll('.red-ui-tray'));
      return trays.every((tray) => tray.getAnimations().length === 0);
    });
  }

  /** What the editor knows of a node: its properties as the next deploy would send them. */
  node(id: string): Promise<Record<string, unknown>> {
    return this.page.evaluate((nodeId) => {
      const { RED } = globalThis as unknown as EditorGlobals;
      const node = RED.nodes.node(nodeId);
      const shown: Record<string, unknown> = { valid: node.valid, validationErrors: node.validationErrors };
      for (const name of Object.keys(node._def.defaults)) shown[name] = node[name];
      return shown;
    }, id);
  }

  async deploy(): Promise<void> {
    const button = this.page.locator('#red-ui-header-button-deploy');
    const answered = this.page.waitForResponse(
      (answer) => answer.url().endsWith('/flows') && answer.request().method() === 'POST',
    );
    await button.click();
    const confirm = this.page
      .locator('#red-ui-deploy-dialog-confirm-deploy-deploy, .red-ui-notification button.primary')
      .first();
    await Promise.race([answered, confirm.click({ timeout: 5000 }).catch(() => undefined)]);
    await answered;
  }

  async close(): Promise<void> {
    await this.page.context().close();
  }
}

interface EditorGlobals {
  document: { querySelectorAll(selector: string): Iterable<{ getAnimations(): unknown[] }> };
  RED: {
    nodes: { node(id: string): EditorNode; getType(type: string): unknown };
    editor: { edit(node: EditorNode): void; editConfig(name: string, type: string, id: string): void };
  };
}

interface EditorNode {
  type: string;
  valid: boolean;
  validationErrors: unknown;
  _def: { category: string; defaults: Record<string, unknown> };
  [property: string]: unknown;
}
