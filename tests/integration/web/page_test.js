// The page in real Chromium against fake replicas: what a person sees when replicas are honest, lie, are silent.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { FakeCluster } from '../../unit/web/fakes.js';
import { openBrowser } from './browser.js';
import { serveSite } from './site.js';

const SITE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../src/web');
let browser;
let site;
let cluster;
let page;
let complaints;

before(async () => { browser = await openBrowser(); });
after(() => browser.close());

beforeEach(async () => {
  cluster = await FakeCluster.start();
  site = await serveSite(SITE, () => cluster.document);
  page = await browser.context.newPage();
  complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
});
afterEach(async () => {
  await page.close();
  await site.close();
  await cluster.close();
  assert.deepEqual(complaints, []);
});

function link({ pin = cluster.document.digest, client = 'alice', query = '' } = {}) {
  const key = Buffer.from(cluster.clientKeys[client].pem).toString('base64url');
  return `${site.url}/page/?retry=300&patience=1500&settle=600${query}#pin=${pin}&key=${key}`;
}

async function open(options) {
  await page.goto(link(options));
  await page.waitForSelector('body[data-ready]');
}

async function call(procedure, values) {
  const form = page.locator(`form[data-procedure="${procedure}"]`);
  for (const [name, value] of Object.entries(values)) await form.locator(`[name="${name}"]`).fill(String(value));
  await form.locator('button').click();
}

const badge = () => page.locator('#answer .bft-badge');
const alarm = () => page.locator('#answer .bft-alarm');
const failure = () => page.locator('#answer .bft-failed');
const result = (text) => page.locator('#answer .bft-result', { hasText: text }).waitFor();
const settled = (count) => page.waitForSelector(`#answer .bft-badge[data-confirmed="${count}"]`);

async function accounts() {
  await call('create_account', { branch: 1, account: 1, owner: 'ann', opening: '100.00' });
  await settled(3);
  await call('create_account', { branch: 2, account: 1, owner: 'bob', opening: '0.00' });
  await result('210.00');
  await settled(3);
}

const pay = () => call('send_payment', { branch: 1, account: 1, to_branch: 2, to_account: 1, amount: '12.50', memo: 'tea' });

/** No result and no page: only what went wrong. */
async function nothingIsShown() {
  assert.equal(await page.locator('#answer .bft-result').count(), 0);
  assert.equal(await page.locator('#answer iframe').count(), 0);
  assert.equal(await badge().count(), 0);
}

test('an honest cluster: confirmed by all, with order number', async () => {
  await open();
  assert.equal(new URL(page.url()).hash, '', 'pin and key left the address');
  await accounts();
  await pay();
  await result('87.50');
  await settled(3);
  assert.match(await badge().textContent(), /confirmed by 3 of 3 host\d \([\d.]+ ms\), .*Order number \d+\/0/);
  assert.equal(await alarm().count(), 0);
  await page.waitForSelector('#hosts tr:nth-child(3)');
  assert.match(await page.locator('#hosts').textContent(), /host1ready1: view 0/);
});

test('one replica lies: confirmed by the others, and it is named with both signed replies', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'lie');
  await pay();
  await alarm().waitFor();
  assert.match(await page.locator('#answer .bft-result').textContent(), /87\.50/);
  assert.equal(await badge().getAttribute('data-confirmed'), '2');
  assert.match(await alarm().textContent(), /host2 differs in rdig/);
  const evidence = await page.locator('#answer .bft-alarm pre').allTextContents();
  assert.equal(evidence.length, 2);
  const [truth, lie] = evidence.map((text) => JSON.parse(text));
  assert.equal(truth.signatures.length, 2);
  assert.equal(lie.host, 'host2');
  assert.ok(lie.signature.signature);
});

test('one replica is silent: confirmed by the others, and it is named', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'honest', 'silent');
  await pay();
  await page.waitForSelector('#answer .bft-badge .bft-silent');
  await settled(2);
  assert.match(await badge().textContent(), /Silent: host3/);
  assert.equal(await alarm().count(), 0);
});

test('two disagree with each other, the third is silent: no result', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'lie', 'silent');
  await pay();
  await failure().waitFor();
  await nothingIsShown();
  assert.match(await failure().textContent(), /Not confirmed.*2 equal answers of 3/);
  assert.match(await alarm().textContent(), /host1 says.*host2 says/);
});

test('all three disagree: no result, and all replies are shown', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'lie', 'lie2');
  await pay();
  await failure().waitFor();
  await nothingIsShown();
  assert.equal(await failure().getAttribute('data-kind'), 'disagreement');
  assert.equal(await page.locator('#answer .bft-alarm pre').count(), 3);
});

test('fewer than f+1: never a result, and a clear message', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'down', 'silent');
  await pay();
  await page.waitForSelector('#answer .bft-pending');
  await nothingIsShown();
  await failure().waitFor();
  await nothingIsShown();
  assert.match(await failure().textContent(), /may or may not have been executed/);
});

test('a forged signature does not count, and its sender is named', async () => {
  await open();
  await accounts();
  cluster.behave('forged', 'honest', 'honest');
  await pay();
  await alarm().waitFor();
  assert.match(await alarm().textContent(), /host1 the signature is not good/);
  assert.doesNotMatch(await badge().textContent(), /host1/);
  cluster.behave('forged', 'forged', 'honest');
  await pay();
  await failure().waitFor();
  await nothingIsShown();
});

test('a stale manifest is told from lies', async () => {
  await open();
  await accounts();
  cluster.behave('stale', 'stale', 'honest');
  await pay();
  await failure().waitFor();
  await nothingIsShown();
  assert.equal(await failure().getAttribute('data-kind'), 'stale_manifest');
});

test('a manifest that is not the pinned one is refused before anything is sent', async () => {
  await page.goto(link({ pin: '0'.repeat(64) }));
  await page.waitForSelector('body[data-ready="failed"]');
  assert.match(await page.locator('#trouble').textContent(), /pinned is 0000/);
  assert.equal(await page.locator('form').count(), 0);
});

test('P-256 keys, kept by the browser over a reload and not extractable', async () => {
  await open({ client: 'bob' });
  await accounts();
  await page.goto(`${site.url}/page/`);
  await page.waitForSelector('body[data-ready="yes"]');
  assert.match(await page.locator('#me').textContent(), /client bob \(p256/);
  await pay();
  await settled(3);
  const extractable = await page.evaluate(() => new Promise((resolve) => {
    indexedDB.open('bftnode-keys').onsuccess = (event) => {
      event.target.result.transaction('keys').objectStore('keys').get('client').onsuccess = async (got) => {
        const { privateKey } = got.target.result;
        resolve([privateKey.extractable, await crypto.subtle.exportKey('pkcs8', privateKey).then(() => 'exported', () => 'refused')]);
      };
    };
  }));
  assert.deepEqual(extractable, [false, 'refused']);
});

test('two tabs with one key do not get in each other\'s way', async () => {
  await open();
  const second = await browser.context.newPage();
  await second.goto(link());
  await second.waitForSelector('body[data-ready="yes"]');
  cluster.behave('slow', 'slow', 'slow');
  const form = (tab, account) => tab.locator('form[data-procedure="create_account"]').locator('[name="account"]').fill(String(account))
    .then(() => tab.locator('form[data-procedure="create_account"] button').click());
  await Promise.all([form(page, 11), form(second, 12)]);
  await Promise.all([page, second].map((tab) => tab.waitForSelector('#answer .bft-badge[data-confirmed="3"]')));
  await second.close();
  assert.equal(cluster.ledger.accounts.size, 2);
});

test('receipts: saved, and checked offline', async () => {
  await open();
  await accounts();
  await pay();
  await result('87.50');
  await settled(3);
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#answer .bft-receipt').click()]);
  const receipt = JSON.parse(fs.readFileSync(await download.path(), 'utf8'));
  await page.context().setOffline(true);
  const check = async (content) => {
    await page.locator('#receipt').setInputFiles({ name: 'receipt.json', mimeType: 'application/json', buffer: Buffer.from(content) });
    return page.locator('#checked [data-valid]');
  };
  await (await check(JSON.stringify(receipt))).waitFor();
  assert.match(await page.locator('#checked').textContent(), /A good receipt, signed by host\d, host\d, host\d.*send_payment\(1, 1, 2, 1, "12.50", "tea"\).*87\.50/);
  receipt.answer.slot = '7';
  await check(JSON.stringify(receipt));
  await page.waitForSelector('#checked [data-valid="false"]');
  assert.match(await page.locator('#checked').textContent(), /Not a good receipt. .*0 of the 2 replicas/);
  await check('no json');
  await page.locator('#checked', { hasText: 'not a receipt' }).waitFor();
  await page.context().setOffline(false);
});

test('a confirmed page is shown without scripts; one that was changed is not', async () => {
  cluster.pages = ['send_payment'];
  await open();
  await accounts();
  cluster.behave('honest', 'changed-page', 'honest');
  await pay();
  await alarm().waitFor();
  assert.match(await alarm().textContent(), /host2 the page is not the one that it signed/);
  const frame = page.locator('#answer iframe');
  assert.equal(await frame.getAttribute('sandbox'), '');
  assert.match(await frame.getAttribute('srcdoc'), /<h1>send_payment<\/h1><p>slot/);
  cluster.behave('changed-page', 'changed-page', 'honest');
  await pay();
  await failure().waitFor();
  await nothingIsShown();
});

test('what becomes known of an earlier call does not replace a later result', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'honest', 'silent');
  await pay();
  await result('87.50');
  cluster.behave();
  await call('create_account', { branch: 3, account: 1, owner: 'eve', opening: '3.00' });
  await result('313.00');
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1000)));
  assert.match(await page.locator('#answer .bft-result').textContent(), /^313\.00/);
  assert.doesNotMatch(await badge().textContent(), /Silent/);
});

test('arguments that do not fit are said, and nothing is sent', async () => {
  await open();
  await call('send_payment', { amount: '1.005' });
  await failure().waitFor();
  assert.match(await failure().textContent(), /Not sent.*2 digits/);
  assert.equal(cluster.replicas[0].requests, 0);
});
