import assert from 'node:assert/strict';
import { closeBrowser, type Editor, openEditor } from '../support/browser.ts';
import { control, enter, openSections } from './support/form.ts';
import { startWorld, VERSIONS, type World } from './support/world.ts';

const NEW_SECRETS = {
  clientSecret: 'secret-typed-in-the-form',
  password: 'password-typed-in-the-form',
  privateKey:
    '-----BEGIN PRIVATE KEY-----\nline-one-of-the-key\nline-two-of-the-key\n-----END PRIVATE KEY-----',
  refreshToken: 'refresh-token-typed-in-the-form',
  accessToken: 'access-token-typed-in-the-form',
};

for (const version of VERSIONS) {
  describe(`secrets in Node-RED ${version}`, function () {
    this.timeout(60_000);
    let world: World;
    let editor: Editor;
    const answers: { url: string; text: Promise<string> }[] = [];

    before(async () => {
      world = await startWorld(version);
      await world.deploy();
      editor = await openEditor(world.nodeRed.url);
      editor.page.on('response', (response) => {
        answers.push({ url: response.url(), text: response.text().catch(() => '') });
      });
      await editor.load();
    });
    after(async () => {
      await closeBrowser();
      await world.stop();
    });

    async function typeSecret(flow: string, label: string, value: string): Promise<void> {
      await enter(editor, { label: 'Sign in with', value: flow, property: 'authFlow' });
      await enter(editor, { label, value, property: '' });
    }

    it('are taken from the form and kept', async () => {
      await editor.edit('conn2');
      await openSections(editor);
      await typeSecret('client-credentials', 'Consumer secret', NEW_SECRETS.clientSecret);
      await typeSecret('password', 'Password', NEW_SECRETS.password);
      await typeSecret('jwt-bearer', 'Private key', NEW_SECRETS.privateKey);
      await typeSecret('refresh-token', 'Refresh token', NEW_SECRETS.refreshToken);
      await typeSecret('access-token', 'Access token', NEW_SECRETS.accessToken);
      await enter(editor, {
        label: 'Instance URL',
        value: 'https://x.my.salesforce.com',
        property: 'instanceUrl',
      });
      await editor.ok();
      await editor.deploy();
      await editor.load();

      await editor.edit('conn2');
      assert.equal(await control(editor, 'Access token').inputValue(), '__PWRD__');
      await enter(editor, { label: 'Sign in with', value: 'jwt-bearer', property: 'authFlow' });
      assert.equal(await control(editor, 'Private key').inputValue(), '');
      assert.match(
        (await control(editor, 'Private key').getAttribute('placeholder')) ?? '',
        /A key is stored/,
      );
      await editor.cancel();
    });

    it('stay where they are when a form is saved again', async () => {
      await editor.edit('conn');
      await enter(editor, { label: 'Name', value: 'renamed', property: 'name' });
      await editor.ok();
      await editor.deploy();
      await editor.edit('conn');
      await editor.dialog.getByRole('button', { name: 'Test connection' }).click();
      await editor.dialog.getByText('Sandbox Org').waitFor();
      await editor.cancel();
    });

    it('come back to the browser in no answer whatever', async () => {
      await editor.edit('db');
      await editor.dialog.getByRole('button', { name: 'Test connection' }).click();
      await editor.dialog.getByText('editor_test').first().waitFor();
      await editor.cancel();
      const secrets = [...world.secrets, ...Object.values(NEW_SECRETS), 'line-two-of-the-key'];
      assert.ok(answers.length > 50, `${answers.length} answers seen`);
      for (const { url, text } of answers) {
        const body = await text;
        for (const secret of secrets)
          assert.ok(!body.includes(secret), `${url} holds ${secret.slice(0, 12)}…`);
      }
    });
  });
}
