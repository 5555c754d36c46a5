import { createRequire } from 'node:module';
import { useCatalogue } from '../../nodes/shared/texts.ts';
import { REPOSITORY } from './node-red-package.ts';

/** Node-RED's own reader of catalogues, as far as tests need it (`@node-red/util/lib/i18n.js`). */
interface I18n {
  init(settings: { lang: string }): void;
  registerMessageCatalog(namespace: string, directory: string, file: string): Promise<void>;
  _(key: string, values?: Record<string, unknown>): string;
  i: { changeLanguage(language: string): Promise<unknown> };
}

const { i18n }: { i18n: I18n } = createRequire(import.meta.url)('@node-red/util');

/** The texts of the nodes as Node-RED's loader finds them; English until a test asks for another language. */
export const catalogue = {
  _: i18n._,

  async speak(language: string): Promise<void> {
    await i18n.i.changeLanguage(language);
  },
};

i18n.init({ lang: 'en-US' });
await i18n.registerMessageCatalog(
  'node-red-contrib-salesforce-bulk/sf-bulk-forms',
  `${REPOSITORY}/nodes/locales`,
  'sf-bulk-forms.json',
);
useCatalogue(catalogue);
