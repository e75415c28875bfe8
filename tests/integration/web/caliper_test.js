// Hyperledger Caliper, launched as a user would, with our connector against fake replicas.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { FakeCluster } from '../../unit/web/fakes.js';
import { openBrowser } from './browser.js';

const CALIPER = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../bench/caliper');
let cluster;
let work;

before(async () => {
  cluster = await FakeCluster.start({ clients: { caliper1: 'ed25519', caliper2: 'p256' } });
  work = fs.mkdtempSync(path.join(os.tmpdir(), 'bft-caliper-'));
  fs.writeFileSync(path.join(work, 'manifest.json'), JSON.stringify(cluster.document));
  for (const [name, key] of Object.entries(cluster.clientKeys)) {
    fs.mkdirSync(path.join(work, 'clients', name), { recursive: true });
    fs.writeFileSync(path.join(work, 'clients', name, 'client.key'), key.pem);
  }
});
after(async () => {
  await cluster.close();
  fs.rmSync(work, { recursive: true });
});

/** run.js with a short benchmark; the fakes run in this process, so it must not block. */
function run(name, ...more) {
  const out = path.join(work, name);
  const child = spawn(process.execPath, [path.join(CALIPER, 'run.js'), '--benchmark', path.join(CALIPER, 'benchmarks/local.yaml'), '--out', out,
    '--accounts', '60', '--branches', '3', '--seconds', '4', '--from', '1', '--window', '2', '--tps', '100', ...more]);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { text += chunk; });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, text, out })));
}

/** As a person without a network sees it: nothing is asked for, no script fails, the figures are there. */
async function readableOffline(report) {
  const browser = await openBrowser();
  try {
    await browser.context.setOffline(true);
    const page = await browser.context.newPage();
    const asked = [];
    const complaints = [];
    page.on('request', (request) => asked.push(request.url()));
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.goto(pathToFileURL(report).href, { waitUntil: 'load' });
    assert.deepEqual(asked.filter((url) => !url.startsWith('file:') && !url.startsWith('data:')), []);
    assert.deepEqual(complaints, []);
    const rows = await page.locator('table', { hasText: 'AuditChain' }).last().innerText();
    assert.match(rows, /CreateAccount[\s\S]*SendPayment[\s\S]*AuditChain[^\n]*2998/);
    assert.ok(await page.locator('table', { hasText: 'AuditChain' }).last().isVisible());
    assert.ok(await page.getByText('Summary of performance metrics').first().isVisible());
  } finally {
    await browser.close();
  }
}

test('direct mode: f+1 signed commit events, percentiles, a report that needs no internet', async () => {
  cluster.behave('honest', 'forged', 'honest');
  const { code, text, out } = await run('direct', '--cluster', work);
  assert.equal(code, 0, text);
  const { rounds } = JSON.parse(fs.readFileSync(path.join(out, 'summary.json')));
  assert.deepEqual(rounds.map(({ label }) => label), ['CreateAccount', 'SendPayment']);
  assert.equal(rounds[0].succeeded, 60);
  // 200 on a machine that is not busy with something else.
  assert.ok(rounds[1].windowed && rounds[1].measured > 30 && rounds[1].measured < 400, JSON.stringify(rounds[1]));
  assert.ok(rounds[1].p50 > 0 && rounds[1].p99 >= rounds[1].p50);
  assert.equal(cluster.ledger.balances(), 60 * 100000000);
  const report = fs.readFileSync(path.join(out, 'report.html'), 'utf8');
  assert.match(report, /Percentiles.*AuditChain.*2998/s);
  assert.doesNotMatch(report, /(src|href)="?https?:/);
  await readableOffline(path.join(out, 'report.html'));
});

test('gateway mode', async () => {
  let calls = 0;
  const gateway = http.createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      ++calls;
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ outcome: 'ok', code: 0, result_sets: [] }));
    });
  });
  await new Promise((resolve) => gateway.listen(0, '127.0.0.1', resolve));
  const { code, text } = await run('gateway', '--gateway', `http://127.0.0.1:${gateway.address().port}`);
  gateway.closeAllConnections();
  gateway.close();
  assert.equal(code, 0, text);
  assert.ok(calls > 300);
});

test('failed transactions fail the run, whatever Caliper\'s exit status is', async () => {
  const { code, text } = await run('nobody', '--gateway', 'http://127.0.0.1:1');
  assert.notEqual(code, 0);
  assert.match(text, /CreateAccount: 60 transactions failed/);
});

test('a cluster that is not the pinned one: failed rounds are seen', async () => {
  const other = path.join(work, 'other.json');
  fs.writeFileSync(other, JSON.stringify({ ...cluster.document, f: 0 }));
  const { code, text } = await run('pin', '--cluster', work, '--manifest', other);
  assert.notEqual(code, 0);
  assert.match(text, /did not say "Failed rounds: 0"|rounds have figures/);
});
