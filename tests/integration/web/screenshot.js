// Uses the page of `deploy/demo.sh --web --app payment` as a person would, and takes a picture of it.
// Usage: node screenshot.js LINK PICTURE.png
import { openBrowser } from './browser.js';

const [link, picture] = process.argv.slice(2);
const browser = await openBrowser();
const page = await browser.context.newPage();
await page.goto(link);
await page.waitForSelector('body[data-ready="yes"]');
const call = async (procedure, values) => {
  const form = page.locator(`form[data-procedure="${procedure}"]`);
  for (const [name, value] of Object.entries(values)) await form.locator(`[name="${name}"]`).fill(String(value));
  await form.locator('button').click();
  await page.waitForSelector('#answer .bft-badge[data-confirmed="3"]');
};
await call('create_account', { branch: 1, account: 1, owner: 'ann', opening: '100.00' });
await call('create_account', { branch: 2, account: 1, owner: 'bob', opening: '0.00' });
await call('send_payment', { branch: 1, account: 1, to_branch: 2, to_account: 1, amount: '12.50', memo: 'tea' });
await page.locator('#answer iframe').waitFor();
await page.waitForSelector('#hosts tr');
await page.screenshot({ path: picture });
await browser.close();
