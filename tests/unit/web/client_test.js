// bft-client.js against replicas that are honest, lie, are silent, forge and disagree.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';

import { BftClient, FormatError, importKey, fetchManifest, Manifest, MemoryKeyStore, loadOrCreateKey, verifyReceipt } from '../../../src/web/client/bft-client.js';
import { stageMeans } from '../../../src/web/page/live.js';
import { FakeCluster } from './fakes.js';

let cluster;
let client;
const ANSWER = [[[1, '12.50', '87.50', 'now']]];
const PAY = [1, 1, 2, 1, '12.5', 'tea'];

async function open(settings = {}, name = 'alice') {
  const manifest = await Manifest.open(structuredClone(cluster.document), cluster.document.digest);
  const key = await importKey(cluster.clientKeys[name].pem, cluster.clientKeys[name].publicKey);
  client = await BftClient.open({ manifest, key, retryAfterMs: 300, giveUpAfterMs: 20000, settleMs: 2000, ...settings });
  return client;
}

/** Two accounts, before anybody misbehaves. */
async function accounts() {
  await client.call('create_account', [1, 1, 'ann', '100.00']);
  await client.call('create_account', { branch: 2, account: 1, owner: 'bob', opening: 0 });
}

async function refusedBy(promise, kind) {
  const error = await promise.then((value) => assert.fail(`confirmed: ${JSON.stringify(value)}`), (e) => e);
  assert.equal(error.name, 'NotConfirmed', error.stack);
  assert.equal(error.kind, kind, error.message);
  return error;
}

beforeEach(async () => { cluster = await FakeCluster.start(); });
afterEach(async () => {
  client?.close();
  await cluster.close();
});

test('an honest cluster: confirmed by all', async () => {
  await open();
  await accounts();
  const paid = await client.call('send_payment', PAY);
  assert.equal(paid.outcome, 'ok');
  assert.deepEqual(paid.sets, ANSWER);
  assert.equal(paid.attempts, 1);
  assert.ok(paid.confirmedBy.length >= 2);
  assert.match(paid.slot, /^\d+$/);
  const report = await paid.settled;
  assert.deepEqual(report.confirmedBy.map(({ host }) => host).sort(), ['host1', 'host2', 'host3']);
  assert.deepEqual([report.differed, report.silent], [[], []]);
});

test('an abort by rule is an answer, too', async () => {
  await open();
  await accounts();
  const paid = await client.call('send_payment', [1, 1, 2, 1, '100.01', '']);
  assert.deepEqual([paid.outcome, paid.code, paid.sets], ['aborted', 132003, []]);
});

test('P-256 keys', async () => {
  await open({}, 'bob');
  await accounts();
  assert.deepEqual((await client.call('send_payment', PAY)).sets, ANSWER);
});

test('a client that cannot check Ed25519 asks for P-256 signatures', async () => {
  await open({}, 'bob');
  client.alg = 'p256';
  const made = await client.call('create_account', [1, 1, 'ann', '1.00']);
  assert.ok(made.receipt().signatures.every(({ alg }) => alg === 'p256'));
  assert.equal((await verifyReceipt(client.manifest, made.receipt())).valid, true);
});

for (const [behaviour, why] of [['lie', /differs in rdig/], ['lie-order', /differs in slot/], ['lie-code', /differs in outcome, code, rdig/],
  ['changed-result', /result is not the one that it signed/], ['forged', /signature is not good/], ['other-host', /signature is not good/],
  ['other-position', /another position/], ['stale', /another cluster or configuration/], ['refuse', /refuses: bad_arguments/]]) {
  test(`one replica: ${behaviour}. Confirmed by the others, and it is named`, async () => {
    await open();
    await accounts();
    cluster.behave('honest', behaviour);
    const paid = await client.call('send_payment', PAY);
    assert.deepEqual(paid.sets, ANSWER);
    const report = await paid.settled;
    assert.deepEqual(report.confirmedBy.map(({ host }) => host).sort(), ['host1', 'host3']);
    assert.equal(report.differed.length, 1);
    assert.equal(report.differed[0].host, 'host2');
    assert.match(report.differed[0].why, why);
    assert.ok(report.differed[0].reply, 'its reply is the evidence');
  });
}

for (const [behaviour, why] of [['silent', /not/], ['down', /not reachable/], ['garbage', /no JSON/], ['huge', /more than/], ['error', /too busy/], ['impolite', /slow down/]]) {
  test(`one replica: ${behaviour}. Confirmed by the others, and it counts as silent`, async () => {
    await open({ settleMs: 200 });
    await accounts();
    cluster.behave('honest', 'honest', behaviour);
    const paid = await client.call('send_payment', PAY);
    assert.deepEqual(paid.sets, ANSWER);
    const report = await paid.settled;
    assert.deepEqual(report.confirmedBy.map(({ host }) => host).sort(), ['host1', 'host2']);
    assert.deepEqual(report.silent.map(({ host }) => host), ['host3']);
    if (behaviour !== 'silent') assert.match(report.silent[0].why, why);
  });
}

test('all three say something else: no result, and every signed reply is there', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'lie', 'lie2');
  const error = await refusedBy(client.call('send_payment', PAY), 'disagreement');
  assert.equal(error.report.differed.length, 3);
  assert.ok(error.report.differed.every(({ reply }) => reply.signature.signature));
});

test('two disagree and one is silent: no result', async () => {
  await open({ giveUpAfterMs: 700 });
  await accounts();
  cluster.behave('honest', 'lie', 'silent');
  const error = await refusedBy(client.call('send_payment', PAY), 'timeout');
  assert.match(error.message, /2 equal answers of 3 replicas are needed/);
  assert.deepEqual(error.report.silent.map(({ host }) => host), ['host3']);
  assert.equal(error.report.differed.length, 2);
});

test('fewer than f+1 answer: no result', async () => {
  await open({ giveUpAfterMs: 700 });
  cluster.behave('honest', 'down', 'silent');
  const error = await refusedBy(client.call('create_account', [1, 1, 'ann', '1.00']), 'timeout');
  assert.match(error.message, /may or may not have been executed/);
});

test('two replicas with the same lie are more than f: the limit of what f+1 can do', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'lie', 'lie');
  assert.equal((await client.call('send_payment', PAY)).sets[0][0][2], '1000000.00');
});

test('one liar cannot vote twice', async () => {
  await open({ giveUpAfterMs: 1500 });
  await accounts();
  cluster.behave('twice', 'silent', 'silent');
  const error = await refusedBy(client.call('send_payment', PAY), 'timeout');
  assert.ok(error.report.differed.some(({ host }) => host === 'host1'));
});

test('f+1 refusals are final, and nothing was executed', async () => {
  await open();
  cluster.behave('refuse', 'refuse', 'honest');
  const error = await refusedBy(client.call('create_account', [1, 1, 'ann', '1.00']), 'refused');
  assert.equal(error.reason, 'bad_arguments');
});

test('a stale manifest is told from lies', async () => {
  await open();
  cluster.behave('stale', 'stale', 'honest');
  await refusedBy(client.call('create_account', [1, 1, 'ann', '1.00']), 'stale_manifest');
});

test('it sends again to those that have not answered, and the payment happens once', async () => {
  await open();
  await accounts();
  cluster.behave('silent', 'silent', 'honest');
  const paying = client.call('send_payment', PAY);
  setTimeout(() => cluster.behave('honest', 'honest', 'honest'), 200);
  const paid = await paying;
  assert.ok(paid.attempts > 1);
  assert.deepEqual(paid.sets, ANSWER);
  assert.equal(cluster.ledger.accounts.get('1-1').cents, 8750);
});

test('over quota is asked again', async () => {
  await open();
  cluster.behave('refuse-quota', 'refuse-quota', 'refuse-quota');
  const making = client.call('create_account', [1, 1, 'ann', '1.00']);
  setTimeout(() => cluster.behave(), 200);
  assert.equal((await making).outcome, 'ok');
});

test('a page is confirmed like a result', async () => {
  await open();
  await accounts();
  cluster.behave('honest', 'changed-page', 'honest');
  const page = await client.page('send_payment', PAY);
  assert.match(page.html, /<h1>send_payment<\/h1>/);
  assert.match((await page.settled).differed[0].why, /page is not the one/);
  const checked = await verifyReceipt(client.manifest, page.receipt());
  assert.equal(checked.html, page.html);
  const changed = { ...page.receipt(), html: page.html.replace('slot', 'Slot') };
  assert.equal((await verifyReceipt(client.manifest, changed)).valid, false);
});

test('many calls share signatures and requests, and keep within the window', async () => {
  await open({ bundleIntervalMs: 5, retryAfterMs: 20000, giveUpAfterMs: 60000 });
  const names = Array.from({ length: 600 }, (_, i) => i + 1);
  const made = await Promise.all(names.map((n) => client.call('create_account', [1, n, `n${n}`, '1.00'])));
  assert.ok(made.every(({ outcome }) => outcome === 'ok'));
  assert.equal(new Set(made.map(({ request }) => request.cseq)).size, 600);
  assert.equal(cluster.ledger.balances(), 60000);
  assert.ok(cluster.replicas[0].requests < 60, `${cluster.replicas[0].requests} requests`);
  assert.equal((await verifyReceipt(client.manifest, made[77].receipt())).valid, true);
});

test('by commit events: f+1 signed ones', async () => {
  const trouble = [];
  await open({ confirm: 'events', bundleIntervalMs: 2, onTrouble: (host, why) => trouble.push(`${host}: ${why}`) });
  await client.ready();
  cluster.behave('honest', 'forged', 'honest');
  const made = await Promise.all([1, 2, 3].map((n) => client.call('create_account', [1, n, 'x', '1.00'])));
  assert.ok(made.every(({ outcome, sets }) => outcome === 'ok' && sets === undefined));
  assert.ok(made.every(({ confirmedBy }) => confirmedBy.every(({ host }) => host !== 'host2')));
  // The others' events suffice: the forged one may come later.
  for (let i = 0; i < 100 && !trouble.length; ++i) await new Promise((wake) => setTimeout(wake, 10));
  assert.match(trouble.join(), /host2: an event whose signature is not good/);
});

test('what is wrong before anything is sent', async () => {
  await open();
  for (const [procedure, args, why] of [['nothing', [], /no procedure/], ['query_account', [1], /takes 2/], ['query_account', [1, 'x'], /no whole number/],
    ['query_account', [0, 1], /not from 1/], ['query_account', [9, 1], /partition 9 does not exist/], ['query_account', { branch: 1, acount: 1 }, /no parameter 'acount'/],
    ['send_payment', [1, 1, 2, 1, '1.005', ''], /2 digits/], ['send_payment', [1, 1, 2, 1, '12345678901.00', ''], /too many digits/],
    ['create_account', [1, 1, 'x'.repeat(41), '1'], /more than 40/], ['new_order', [1, 1, 1, [[1, 2]]], /a row has 3/]]) {
    await assert.rejects(client.call(procedure, args), (error) => error instanceof FormatError && why.test(error.message), `${procedure} ${why}`);
  }
  assert.equal(cluster.replicas[0].requests, 0);
});

test('the home is the first partition named, and rows name some, too', async () => {
  await open();
  const order = await client.call('new_order', [3, 1, 1, [[7, 3, 1], [8, 1, 2]]]);
  assert.equal(order.request.home, 3);
  assert.equal(order.sets[0][0][2], 2);
});

test('receipts are checked offline', async () => {
  await open();
  await accounts();
  const paid = await client.call('send_payment', PAY);
  await paid.settled;
  const receipt = JSON.parse(JSON.stringify(paid.receipt()));
  const { manifest } = client;
  const good = await verifyReceipt(manifest, receipt);
  assert.deepEqual([good.valid, good.hosts.length, good.problems], [true, 3, []]);
  assert.deepEqual(good.call, { procedure: 'send_payment', args: [1, 1, 2, 1, '12.50', 'tea'] });
  assert.deepEqual(good.sets, ANSWER);

  const bad = async (change, why) => {
    const copy = structuredClone(receipt);
    change(copy);
    const checked = await verifyReceipt(manifest, copy);
    assert.equal(checked.valid, false, String(why));
    assert.equal(checked.sets, undefined);
    assert.match(checked.problems.join('; '), why);
  };
  await bad((r) => { r.answer.slot = '1'; }, /0 of the 2 replicas/);
  await bad((r) => { r.answer.code = 7; }, /0 of the 2/);
  await bad((r) => { r.result = 'AQAAAAA'; }, /result is not the one/);
  await bad((r) => { r.request = r.request.slice(0, -4) + 'AAAA'; }, /request is not the one/);
  await bad((r) => { r.signatures.length = 1; }, /1 of the 2/);
  await bad((r) => { r.signatures = [r.signatures[0], r.signatures[0], r.signatures[0]]; }, /1 of the 2/);
  await bad((r) => { r.signatures.forEach((s) => { s.position = r.signatures[0].position; }); }, /1 of the 2/);
  await bad((r) => { r.cluster = '0'.repeat(64); }, /another cluster/);
  await bad((r) => { r.group = 2; }, /no such group/);
  await bad((r) => { r.version = 2; }, /another version/);
  await bad((r) => { delete r.signatures; }, /not a receipt/);
  await bad((r) => { r.answer = null; }, /not a receipt/);
  await bad((r) => { r.signatures[0].bundle_count = 2; r.signatures.length = 1; }, /0 of the 2/);
  await bad((r) => { r.signatures.forEach((s) => { s.alg = 'none'; }); }, /0 of the 2/);
  // One bad signature beside f+1 good ones is said, and does no harm.
  const one = structuredClone(receipt);
  one.signatures[2].signature = one.signatures[1].signature;
  const checked = await verifyReceipt(manifest, one);
  assert.deepEqual([checked.valid, checked.problems.length], [true, 1]);
});

test('manifests: digest, pin, f+1 equal', async () => {
  const { document } = cluster;
  await assert.rejects(Manifest.open({ ...document, f: 0 }, document.digest), /digest that it names/);
  await assert.rejects(Manifest.open(document, '0'.repeat(64)), /pinned/);
  await assert.rejects(Manifest.open({}, document.digest), /no manifest/);
  const urls = cluster.replicas.map(({ url }) => url);
  cluster.behave('down', 'honest', 'honest');
  assert.equal((await fetchManifest(urls, document.digest)).digest, document.digest);
  cluster.behave('down', 'down', 'honest');
  await assert.rejects(fetchManifest(urls, document.digest), /no f\+1/);
});

test('a key of its own has to be known to the cluster', async () => {
  const store = new MemoryKeyStore();
  const key = await loadOrCreateKey(store, 'me');
  assert.equal(await loadOrCreateKey(store, 'me'), key);
  assert.equal(key.privateKey.extractable, false);
  const manifest = await Manifest.open(cluster.document, cluster.document.digest);
  await assert.rejects(BftClient.open({ manifest, key }), /does not know this key/);
  cluster.enrol('me', Buffer.from(key.publicKey).toString('hex'));
  client = await BftClient.open({ manifest: await Manifest.open(cluster.document, cluster.document.digest), key });
  assert.equal((await client.call('create_account', [1, 1, 'ann', '1.00'])).outcome, 'ok');
  await assert.rejects(importKey(cluster.clientKeys.alice.pem, cluster.document.hosts[0].key), /does not belong/);
});

test('f = 2: three equal answers of five are needed', async () => {
  await cluster.close();
  cluster = await FakeCluster.start({ f: 2 });
  await open({ giveUpAfterMs: 3000, settleMs: 200 });
  cluster.behave('honest', 'lie', 'silent', 'honest', 'honest');
  const made = await client.call('create_account', [1, 1, 'ann', '1.00']);
  assert.equal(made.confirmedBy.length, 3);
  cluster.behave('honest', 'lie', 'silent', 'honest', 'down');
  await refusedBy(client.call('create_account', [1, 2, 'ann', '1.00']), 'timeout');
});

test('the page shows the mean of each stage since it looked last', () => {
  const first = { order: { count: 10, sum_us: 50_000 }, vote: { count: 1, sum_us: 2000 } };
  assert.deepEqual(stageMeans(undefined, first), { order: 5, vote: 2 });
  const later = { order: { count: 12, sum_us: 52_000 }, vote: { count: 1, sum_us: 2000 } };
  assert.deepEqual(stageMeans(first, later, { order: 5, vote: 2 }), { order: 1, vote: 2 }, 'nothing new: what was known');
  const restarted = { order: { count: 1, sum_us: 7000 } };
  assert.deepEqual(stageMeans(later, restarted, { order: 1, vote: 2 }), { order: 7, vote: 2 });
  assert.deepEqual(stageMeans(undefined, undefined), {}, 'a daemon that does not say');
});
