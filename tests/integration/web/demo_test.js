// `deploy/demo-web.sh` as a person uses it: open its link in Chromium, watch the cluster, make a payment and an order by
// hand, kill a host from the terminal, and see that nothing bad happens. BFT_BUILD names the built programs.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { openBrowser } from './browser.js';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const run = promisify(execFile);
const complaints = [];
let demo;
let dir;
let link;
let browser;
let page;

before(async () => {
  demo = spawn(path.join(ROOT, 'deploy/demo-web.sh'), ['--warehouses', '2', '--clients', '1'],
    { env: { BFT_READY_SECONDS: '120', ...process.env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const ended = new Promise((_, reject) => demo.once('exit', (code) => reject(new Error(`the demo ended with ${code}:\n${text}`))));
  ended.catch(() => {});
  const said = new Promise((resolve) => {
    for (const stream of [demo.stdout, demo.stderr]) stream.on('data', (chunk) => {
      text += chunk;
      if (/Ctrl-C stops/.test(text)) resolve();
    });
  });
  await Promise.race([said, ended]);
  [, link] = /(http:\/\/\S+#pin=\S+)/.exec(text);
  [, dir] = /a new cluster in (\S+)/.exec(text);
  browser = await openBrowser();
  page = await browser.context.newPage();
  page.setDefaultTimeout(90000);
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(link);
  await page.waitForSelector('body[data-ready="yes"]');
}, { timeout: 600000 });
after(async () => {
  await browser?.close();
  const ended = new Promise((resolve) => demo.once('exit', resolve));
  demo.kill('SIGTERM');
  await ended;
}, { timeout: 120000 });

const cluster = (command, host) => run(path.join(ROOT, 'deploy/cluster.sh'), [command, dir, host], { env: { ...process.env }, timeout: 240000 });
const row = (host) => page.locator(`#hosts tr[data-host="${host}"]`);

async function call(procedure, values) {
  const form = page.locator(`form[data-procedure="${procedure}"]`);
  for (const [name, value] of Object.entries(values)) await form.locator(`[name="${name}"]`).fill(String(value));
  await form.locator('button').click();
}

/** The badge of the newest answer says that so many confirmed it. */
const confirmed = (...counts) => page.waitForSelector(counts.map((count) => `#answer .bft-badge[data-confirmed="${count}"]`).join(','));

test('the cluster is seen live: groups, views and who leads, rates, the time of each stage', async () => {
  for (const host of ['host1', 'host2', 'host3']) {
    await row(host).filter({ hasText: /ready.*1: view \d+ \(primary\d\).*2: view \d+/s }).waitFor();
    await row(host).filter({ hasText: /[1-9]\d*\/s/ }).waitFor();
    for (const stage of ['receive', 'order', 'commit', 'execute', 'vote'])
      await row(host).filter({ hasText: new RegExp(`${stage} \\d+\\.\\d`) }).waitFor();
  }
});

test('a New-Order and a payment by hand', async () => {
  await call('new_order', { w_id: 1, d_id: 1, c_id: 1, lines: '[[1, 1, 5], [2, 2, 3]]' });
  await page.locator('#answer iframe').waitFor();
  await confirmed(3);
  await call('payment', { w_id: 1, d_id: 1, c_w_id: 2, c_d_id: 1, c_id: 1, c_last: '', amount: '10.00' });
  await page.locator('#answer .bft-result').waitFor();
  await confirmed(3);
  assert.equal(await page.locator('#answer .bft-alarm').count(), 0);
  await row('host1').filter({ hasText: /reply \d+\.\d/ }).waitFor();
});

test('a host is killed from the terminal: its row says so, answers are confirmed by the others', async () => {
  await cluster('kill-host', 'host2');
  await row('host2').filter({ hasText: 'does not answer' }).waitFor();
  await call('stock_level', { w_id: 1, d_id: 1, threshold: 15 });
  await page.locator('#answer .bft-silent', { hasText: 'host2' }).waitFor();
  await confirmed(2);
  await call('new_order', { w_id: 2, d_id: 1, c_id: 1, lines: '[[1, 2, 5]]' });
  await page.locator('#answer iframe').waitFor();
  await confirmed(2);
  for (const host of ['host1', 'host3']) await row(host).filter({ hasText: /ready.*[1-9]\d*\/s/s }).waitFor();
});

test('it comes back and takes part again; nobody disagrees', async () => {
  await cluster('start-host', 'host2');
  await row('host2').filter({ hasText: 'ready' }).waitFor();
  let last;
  for (let tries = 0; tries < 40 && last !== '3'; ++tries) {
    await call('order_status', { w_id: 1, d_id: 1, c_id: 1, c_last: '' });
    const badge = page.locator('#answer .bft-badge[data-confirmed]');
    await badge.waitFor();
    last = await page.waitForSelector('#answer .bft-badge[data-confirmed="3"]', { timeout: 4000 }).then(() => '3', () => undefined);
  }
  assert.equal(last, '3');
  assert.equal(await page.locator('#hosts tr.differs').count(), 0);
  assert.deepEqual(complaints, []);
});
