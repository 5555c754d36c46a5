import type { Locator } from 'playwright-core';
import type { Editor } from '../../support/browser.ts';

/** One field as a person meets it: by its label. */
export interface FieldEntry {
  label: string;
  /** What is entered; a boolean for a check box. Options are given by their value. */
  value: string | boolean;
  /** The property that it ends in. */
  property: string;
  /** Not among the properties: shown again, or kept from the browser. */
  credential?: 'text' | 'secret';
  /** A typed input: the label of the type that is chosen first. */
  type?: string;
}

/** Sections are opened by the keyboard, as a person without a mouse does. */
export async function openSections(editor: Editor): Promise<void> {
  for (const summary of await editor.dialog.locator('.sf-bulk-form details:not([open]) > summary').all()) {
    await summary.focus();
    await summary.press('Enter');
  }
}

/** While a field is wrong, Node-RED 5 makes the reason its name, which begins with the label. */
export function control(editor: Editor, label: string): Locator {
  const name = new RegExp(`^\\s*${label.replace(/[^\w ]/g, '\\$&')}\\s*(:|$)`);
  const controls = editor.page.locator('input, select, textarea').locator('visible=true');
  return editor.dialog.getByLabel(name).and(controls).first();
}

export async function enter(editor: Editor, { label, value, type }: FieldEntry): Promise<void> {
  if (type !== undefined) await chooseType(editor, label, type);
  const field = control(editor, label);
  const tag = await field.evaluate((element) => (element as unknown as { tagName: string }).tagName);
  if (typeof value === 'boolean') await field.setChecked(value);
  else if (tag === 'SELECT') await field.selectOption(value);
  else await field.fill(value);
}

async function chooseType(editor: Editor, label: string, type: string): Promise<void> {
  await editor.dialog.getByRole('button', { name: `Kind of value: ${label}`, exact: true }).click();
  await editor.page.locator('.red-ui-typedInput-options:visible').getByText(type, { exact: true }).click();
}

export async function shown(editor: Editor, { label, value }: FieldEntry): Promise<string | boolean> {
  const field = control(editor, label);
  return typeof value === 'boolean' ? field.isChecked() : field.inputValue();
}
