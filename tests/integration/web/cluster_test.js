// The page in real Chromium against a real cluster: TPMs, MariaDB, daemons. BFT_BUILD names the built programs.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { openBrowser } from './browser.js';
import { serveSite } from './site.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const run = promisify(execFile);
const dir = fs.mkdtempSync('/tmp/bft-cw.');
let browser;
let site;
let page;
let manifest;
const complaints = [];

const cluster = (command, words = [], env = {}) => run(path.join(ROOT, 'deploy/cluster.sh'), [command, dir, ...words],
  { env: { BFT_READY_SECONDS: '120', ...process.env, ...env }, timeout: 240000 });

before(async () => {
  site = await serveSite(path.join(ROOT, 'src/web'), () => manifest);
  browser = await openBrowser();
  page = await browser.context.newPage();
  page.setDefaultTimeout(60000);
  await page.goto(`${site.url}/page/style.css`);
  const own = await page.evaluate(async () => {
    const { IndexedDbKeyStore, loadOrCreateKey } = await import('/client/bft-client.js');
    const { publicKey } = await loadOrCreateKey(new IndexedDbKeyStore(), 'client');
    return [...publicKey].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  });
  await cluster('init', ['--app', path.join(ROOT, 'config/apps/payment'), '--groups', '2', '--partitions', '4', '--http', 'plain', '--origins', site.url, '--clients', 'web', '--web-clients', '1', '--client-keys', `browser=${own}`]);
  await cluster('start');
  manifest = JSON.parse(fs.readFileSync(path.join(dir, 'manifest.json')));
  page.on('pageerror', (error) => complaints.push(error.message));
});
after(async () => {
  await browser?.close();
  await site.close();
  await cluster('stop').catch((error) => console.error(error.stderr));
  if (!process.env.BFT_KEEP) fs.rmSync(dir, { recursive: true });
});

/** As client `name` with its key in the link; without: with the key that this browser made or was given before. */
async function open(name) {
  const key = name && fs.readFileSync(path.join(dir, 'clients', name, 'client.key')).toString('base64url');
  await page.goto(`${site.url}/page/index.html?retry=2000&patience=8000&settle=3000#pin=${manifest.digest}${key ? `&key=${key}` : ''}`);
  await page.waitForSelector('body[data-ready="yes"]');
}

async function call(procedure, values) {
  const form = page.locator(`form[data-procedure="${procedure}"]`);
  for (const [name, value] of Object.entries(values)) await form.locator(`[name="${name}"]`).fill(String(value));
  await form.locator('button').click();
}

const pay = (amount) => call('send_payment', { branch: 1, account: 1, to_branch: 2, to_account: 1, amount, memo: 'tea' });
const confirmed = (count) => page.waitForSelector(`#answer .bft-badge[data-confirmed="${count}"]`);
/** The confirmed page shows the amount: not that of a call before. */
const shown = (text) => page.locator(`#answer iframe[srcdoc*="${text}"]`).waitFor();
const alarm = () => page.locator('#answer .bft-alarm');

async function restart(host, lies) {
  await cluster('kill-daemons', [host]);
  await cluster('start-host', [host], lies ? { [`BFT_NODE_ARGS_${host}`]: `--insecure-misbehave=${lies}` } : {});
  const { http } = manifest.hosts.find(({ name }) => name === host);
  for (const end = Date.now() + 60000; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (await fetch(`${http}/readyz`).then(({ ok }) => ok, () => false)) return;
    assert.ok(Date.now() < end, `${host} is not ready`);
  }
}

test('a key that the browser made itself, and that nobody else ever had', async () => {
  await open();
  assert.match(await page.locator('#me').textContent(), /client browser \(/);
  await call('query_account', { branch: 1, account: 1 });
  await page.locator('#answer .bft-badge[data-confirmed="3"]').waitFor();
});

test('an honest cluster: results and pages confirmed by all three', async () => {
  await open('web');
  await call('create_account', { branch: 1, account: 1, owner: 'ann', opening: '100.00' });
  await page.locator('#answer .bft-result', { hasText: '11100.00' }).waitFor();
  await confirmed(3);
  await call('create_account', { branch: 2, account: 1, owner: 'bob', opening: '0.00' });
  await page.locator('#answer .bft-result', { hasText: '210.00' }).waitFor();
  await confirmed(3);
  await pay('12.50');
  await shown('Paid 12.50');
  await confirmed(3);
  assert.equal(await alarm().count(), 0);
  assert.match(await page.locator('#answer iframe').getAttribute('srcdoc'), /which now holds 87\.50/);
  await page.locator('#hosts tr[data-host="host3"]', { hasText: 'ready' }).waitFor();
});

test('P-256', async () => {
  await open('web1');
  assert.match(await page.locator('#me').textContent(), /p256/);
  await pay('1.00');
  await shown('Paid 1.00');
  await confirmed(3);
});

for (const [lies, why] of [['wrong-reply', /host2 differs in/], ['wrong-page', /host2 differs in page/], ['forged-signature', /host2 the signature is not good/]]) {
  test(`one host lies (${lies}): confirmed by the others, and it is named`, async () => {
    await restart('host2', lies);
    const amount = `2.0${lies.length % 10}`;
    await pay(amount);
    await shown(`Paid ${amount}`);
    await alarm().waitFor();
    assert.match(await alarm().textContent(), why);
    assert.equal(await page.locator('#answer .bft-badge').getAttribute('data-confirmed'), '2');
    await restart('host2');
  });
}

test('one host is dead: confirmed by the others, and it is named', async () => {
  await cluster('kill-host', ['host3']);
  await pay('3.00');
  await shown('Paid 3.00');
  await page.locator('#answer .bft-silent', { hasText: 'host3' }).waitFor();
  await confirmed(2);
});

test('fewer than f+1: no page and a clear message; afterwards the payment has happened once or not at all', async () => {
  await cluster('kill-host', ['host2']);
  await pay('4.00');
  await page.locator('#answer .bft-failed', { hasText: 'may or may not have been executed' }).waitFor();
  assert.equal(await page.locator('#answer iframe, #answer .bft-result, #answer .bft-badge').count(), 0);
  for (const host of ['host2', 'host3']) await cluster('start-host', [host]);
  await pay('5.00');
  await shown('Paid 5.00');
  const { stdout } = await cluster('sockets');
  const check = await run(path.join(ROOT, 'config/apps/payment/check.sh'), ['--wait', '60', ...stdout.trim().split('\n')]);
  assert.match(check.stdout, /5 all 3 databases hold the same rows +holds/);
  assert.deepEqual(complaints, []);
});
