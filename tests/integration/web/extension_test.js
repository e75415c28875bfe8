// The plug-in in real Chromium: a form of some site goes to all replicas, after the person agreed.
import assert from 'node:assert/strict';
import http from 'node:http';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { FakeCluster } from '../../unit/web/fakes.js';
import { openBrowser } from './browser.js';

const EXTENSION = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../src/web');
const FORM = `<!doctype html><title>shop</title><form data-bft-procedure="create_account" action="/legacy">
  <input name="branch" value="1"><input name="account" value="5"><input name="owner" value="eve"><input name="opening" value="7.00">
  <button>Go</button></form>`;
let browser;
let cluster;
let shop;

before(async () => {
  cluster = await FakeCluster.start();
  shop = http.createServer((request, response) => response.setHeader('content-type', 'text/html').end(FORM));
  await new Promise((resolve) => shop.listen(0, '127.0.0.1', resolve));
  browser = await openBrowser({ extension: EXTENSION });
});
after(async () => {
  await browser?.close();
  shop.close();
  await cluster.close();
});

async function extensionId() {
  const [worker] = browser.context.serviceWorkers();
  return new URL((worker ?? await browser.context.waitForEvent('serviceworker', { timeout: 15000 })).url()).host;
}

async function submit() {
  const page = await browser.context.newPage();
  await page.goto(`http://127.0.0.1:${shop.address().port}/`);
  const [opened] = await Promise.all([browser.context.waitForEvent('page'), page.locator('button').click()]);
  assert.ok(!page.url().includes('/legacy'), 'the form did not go to the one server');
  await page.close();
  return opened;
}

test('without a pinned cluster it says so', async () => {
  await extensionId();
  const call = await submit();
  await call.locator('.bft-failed', { hasText: 'no cluster is pinned yet' }).waitFor();
  await call.close();
});

test('the options pin a cluster and import a key', async () => {
  const options = await browser.context.newPage();
  await options.goto(`chrome-extension://${await extensionId()}/extension/options.html`);
  const fill = async (pin) => {
    await options.locator('[name="manifest"]').setInputFiles({ name: 'manifest.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(cluster.document)) });
    await options.locator('[name="key"]').setInputFiles({ name: 'client.key', mimeType: 'text/plain', buffer: Buffer.from(cluster.clientKeys.alice.pem) });
    await options.locator('[name="pin"]').fill(pin);
    await options.locator('button').click();
  };
  await fill('0'.repeat(64));
  await options.locator('#trouble', { hasText: 'pinned is 0000' }).waitFor();
  await fill(cluster.document.digest);
  await options.locator('#state', { hasText: 'You are client alice' }).waitFor();
  await options.close();
});

test('a form of a site is sent after the person agreed, and the answer is confirmed', async () => {
  cluster.behave('honest', 'lie', 'honest');
  const call = await submit();
  assert.match(call.url(), /^chrome-extension:/);
  await call.locator('#send:enabled').waitFor();
  assert.match(await call.locator('#from').textContent(), /^http:\/\/127\.0\.0\.1:\d+ asks for create_account/);
  assert.equal(cluster.ledger.accounts.size, 0, 'nothing is sent before');
  await call.locator('#send').click();
  await call.locator('.bft-badge[data-confirmed="2"]').waitFor();
  await call.locator('.bft-alarm', { hasText: 'host2 differs' }).waitFor();
  assert.equal(cluster.ledger.accounts.get('1-5').cents, 700);
  await call.close();
});

test('events that a script made up are not taken for a submitted form', async () => {
  const page = await browser.context.newPage();
  await page.goto(`http://127.0.0.1:${shop.address().port}/`);
  const before_ = browser.context.pages().length;
  await page.evaluate(() => document.querySelector('form').dispatchEvent(new Event('submit', { cancelable: true, bubbles: true })));
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)));
  assert.equal(browser.context.pages().length, before_);
  await page.close();
});
