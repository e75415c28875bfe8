// The client of a bftnode cluster for browsers and Node 20: sends each request to all replicas of its group, believes
// what f+1 of them say and sign equally, and names those that said something else or nothing. No dependencies.
//
//     const manifest = await Manifest.open(document, pinnedDigest);
//     const key = await loadOrCreateKey(new IndexedDbKeyStore(), 'me');
//     const client = await BftClient.open({ manifest, key });
//     const paid = await client.call('send_payment', [1, 7, 2, 9, '12.50', 'tea']);

import { FormatError, toBase64Url, toHex, toU64 } from './bytes.js';
import { prepareCall } from './call.js';
import { EventFeed } from './feed.js';
import { sign, supportsEd25519 } from './keys.js';
import { Manifest } from './manifest.js';
import { merkleTree } from './merkle.js';
import { makeReceipt, SignatureCache } from './receipt.js';
import { Sequences } from './sequence.js';
import { bundleDigest, Tally } from './tally.js';
import { exchange } from './transport.js';
import { decodeResult, encodeCall, encodeRequest, requestDigest } from './values.js';

export { FormatError, useSha256 } from './bytes.js';
export { EventFeed } from './feed.js';
export { generateKey, importKey, IndexedDbKeyStore, loadOrCreateKey, MemoryKeyStore, supportsEd25519 } from './keys.js';
export { Manifest, manifestDigest } from './manifest.js';
export { verifyReceipt } from './receipt.js';

const BUNDLE_MAX = 256;

/**
 * There is no result to show. `kind`: 'refused' (f+1 replicas refuse it: not executed), 'disagreement' (all have spoken,
 * no f+1 equally), 'timeout' (too few have spoken), 'stale_manifest' (f+1 replicas work in another configuration). Only
 * 'refused' says what happened. `report`: who said what.
 */
export class NotConfirmed extends Error {
  name = 'NotConfirmed';

  constructor(kind, message, report, reason) {
    super(message);
    Object.assign(this, { kind, report, reason });
  }
}

function list(entries) {
  return entries.length === 0 ? 'nobody' : entries.map(({ host }) => host).join(', ');
}

const SETTINGS = {
  retryAfterMs: 3000, // then doubling, with jitter
  retryMaxMs: 24000,
  giveUpAfterMs: 60000, // 0: never
  settleMs: 2000, // after f+1 equal answers, how long the others may take before they count as silent
  bundleIntervalMs: 0, // requests that arrive within this time share one signature
  confirm: 'answers', // or 'events': without results, for very many calls
};

export class BftClient {
  #queue = [];
  #flushing;
  #open = new Set();
  #byId = new Map(); // events: `home/cseq` -> request
  #inFlight = new Set();
  #again = [];
  #closed = false;
  #feed;

  /** `key` is of loadOrCreateKey() or importKey(), and the manifest must know it. */
  static async open({ manifest, key, fetch: fetchFn = globalThis.fetch.bind(globalThis), onTrouble, ...settings }) {
    const known = manifest.clientByKey(key.publicKey);
    if (!known) throw new Error(`the cluster does not know this key; its operator has to add ${toHex(key.publicKey)}`);
    const unknown = Object.keys(settings).find((name) => !(name in SETTINGS));
    if (unknown) throw new Error(`BftClient has no setting '${unknown}'`);
    const alg = (await supportsEd25519()) ? 'ed25519' : 'p256';
    const client = new BftClient();
    Object.assign(client, SETTINGS, settings, { manifest, key, fetchFn, alg, name: known.name, id: toU64(known.id),
      cache: new SignatureCache(), sequences: new Sequences(`bftnode ${manifest.digest} ${known.id}`) });
    if (client.confirm === 'events') client.#listen(onTrouble);
    return client;
  }

  /** Resolves when enough event streams are up; at once where none are used. */
  async ready() {
    await this.#feed?.connected(this.manifest.quorum);
  }

  /**
   * Runs a procedure. Resolves to a confirmation, rejects with FormatError (nothing was sent) or NotConfirmed.
   * A confirmation: {outcome: 'ok' | 'aborted' | 'duplicate', code, sets, html, slot, index, time, group, request,
   * latencyMs, attempts, confirmedBy, differed, silent, receipt() (not for events), settled: promise of the last report}.
   */
  call(procedure, args) {
    return this.#submit(procedure, args, false);
  }

  /** The same, and the replicas render the result as a page: `html` of the confirmation. */
  page(procedure, args) {
    return this.#submit(procedure, args, true);
  }

  /** Ends every call that is outstanding. */
  close() {
    this.#closed = true;
    this.#feed?.close();
    for (const request of [...this.#open]) this.#fail(request, 'timeout', 'the client was closed');
    for (const exchange_ of this.#inFlight) exchange_.abort();
  }

  async #submit(procedure, args, page) {
    if (this.#closed) throw new Error('the client is closed');
    if (page && this.confirm === 'events') throw new FormatError('commit events bring no pages');
    const call = prepareCall(this.manifest, procedure, args);
    const started = performance.now();
    const { cseq, ackLow } = await this.sequences.take(call.home);
    const { promise, resolve, reject } = withResolvers();
    const request = { ...call, client: this.id, cseq, page, started, attempts: 0, resolve, reject };
    this.#open.add(request);
    try {
      const op = encodeCall(procedure, call.values);
      request.rawBytes = encodeRequest({ client: this.id, home: call.home, cseq, ackLow, parts: call.parts, readOnly: call.readOnly, op });
      request.raw = toBase64Url(request.rawBytes);
      request.rdBytes = await requestDigest(request.rawBytes);
      request.rd = toHex(request.rdBytes);
      request.tally = new Tally(this.manifest, request, this.cache, this.confirm === 'answers');
      this.#byId.set(`${call.home}/${cseq}`, request);
      this.#queue.push(request);
      this.#flushing ??= setTimeout(() => this.#flush(), this.bundleIntervalMs);
      if (this.giveUpAfterMs > 0) request.giveUp = setTimeout(() => this.#giveUp(request), this.giveUpAfterMs);
    } catch (error) {
      this.#finish(request);
      throw error;
    }
    return promise;
  }

  /** Signs what has gathered, and sends it, group by group. */
  async #flush() {
    const requests = this.#queue.splice(0, BUNDLE_MAX);
    this.#flushing = this.#queue.length > 0 ? setTimeout(() => this.#flush(), 0) : undefined;
    try {
      const { root, paths } = await merkleTree(requests.map((request) => request.rdBytes));
      const signature = toBase64Url(await sign(this.key, await bundleDigest(this.manifest.digestBytes, this.id, root)));
      requests.forEach((request, i) => {
        request.signed = { raw: request.raw, signature };
        if (requests.length > 1)
          Object.assign(request.signed, { bundle_index: i, bundle_count: requests.length, bundle_path: paths[i].map(toHex) });
      });
    } catch (error) {
      for (const request of requests) this.#fail(request, 'timeout', `not sent, it could not be signed: ${error.message}`);
      return;
    }
    this.#send(requests);
  }

  /** Group by group: one exchange with a replica carries many requests; a page comes alone. */
  #send(requests) {
    const lists = new Map();
    for (const request of requests) {
      const name = request.page ? request : request.group;
      if (lists.get(name)?.length < BUNDLE_MAX) lists.get(name).push(request);
      else {
        if (lists.has(name)) this.#attempt(lists.get(name));
        lists.set(name, [request]);
      }
    }
    for (const together of lists.values()) this.#attempt(together);
  }

  /** What becomes due at about the same time is sent again together. */
  #sendAgain(request) {
    if (this.#again.push(request) === 1) setTimeout(() => this.#send(this.#again.splice(0)), 10);
  }

  /** Requests of one group to each replica that has not answered all of them; again later, to those that still have not. */
  #attempt(requests) {
    requests = requests.filter((request) => this.#open.has(request));
    if (requests.length === 0) return;
    const patience = Math.min(this.retryAfterMs * 2 ** requests[0].attempts, this.retryMaxMs) * (0.8 + 0.4 * Math.random());
    for (const request of requests) {
      ++request.attempts;
      request.retry = setTimeout(() => this.#sendAgain(request), patience);
    }
    this.manifest.groups.get(requests[0].group).forEach((_, position) => {
      const asked = requests.filter((request) => request.tally.missing().includes(position));
      if (asked.length > 0) this.#ask(position, asked, patience + this.settleMs);
    });
  }

  #url(host, request) {
    const query = new URLSearchParams();
    // The first attempt of a client that listens to events wants no answer; a later one does.
    if (this.confirm === 'events' && request.attempts <= 1) query.set('wait', '0');
    if (this.alg !== 'ed25519') query.set('signature', this.alg);
    const path = request.page ? `/v1/pages/${encodeURIComponent(request.procedure)}` : '/v1/transactions';
    return `${host.http}${path}${query.size > 0 ? `?${query}` : ''}`;
  }

  async #ask(position, requests, timeoutMs) {
    const host = this.manifest.member(requests[0].group, position);
    const everyone = (why) => requests.forEach((request) => request.tally.failed(position, why));
    if (!host.http) return everyone('has no web address in the manifest');
    const single = requests.length === 1;
    const body = JSON.stringify(single ? requests[0].signed : { transactions: requests.map((request) => request.signed) });
    let answer;
    try {
      answer = await exchange(this.fetchFn, this.#url(host, requests[0]), body, { timeoutMs, inFlight: this.#inFlight });
    } catch (error) {
      return everyone(error.message);
    }
    if (answer.body?.accepted !== undefined && answer.status === 202) return undefined;
    const entries = single ? [answer.body] : answer.body?.answers;
    if (!Array.isArray(entries) || entries.length !== requests.length) {
      const text = answer.body?.error?.text;
      return everyone(typeof text === 'string' ? `says: ${text.slice(0, 300)}` : 'answered with something else than answers');
    }
    await Promise.all(requests.map((request, i) => this.#answered(request, position, entries[i], answer.status)));
    return undefined;
  }

  async #answered(request, position, entry, status) {
    const { tally } = request;
    const word = entry?.answer !== undefined || entry?.refusal !== undefined;
    // An error of the server's own is no word about the transaction.
    if (!word && typeof entry?.error?.text === 'string') tally.failed(position, `says: ${entry.error.text.slice(0, 300)}`);
    else await tally.reply(position, entry, performance.now() - request.started, status);
    this.#judge(request);
  }

  #listen(onTrouble) {
    this.#feed = new EventFeed(this.manifest, {
      fetch: this.fetchFn, cache: this.cache, client: this.id.toString(), alg: this.alg, onTrouble,
      onCommit: (group, position, transaction, digest) => {
        const request = this.#byId.get(`${transaction.home}/${transaction.cseq}`);
        if (!request) return;
        try {
          request.tally.event(group, position, transaction, digest, performance.now() - request.started);
        } catch (error) {
          onTrouble?.(this.manifest.member(group, position)?.name, error.message);
        }
        this.#judge(request);
      },
    });
  }

  #judge(request) {
    if (!this.#open.has(request)) {
      request.progress?.();
      return;
    }
    const verdict = request.tally.verdict();
    if (verdict.state === 'confirmed') this.#confirm(request, verdict.votes);
    else if (verdict.state === 'refused' && verdict.reason === 'stale')
      this.#fail(request, 'timeout', 'the replicas have forgotten this request: it may or may not have been executed', 'stale');
    else if (verdict.state === 'refused')
      this.#fail(request, 'refused', `refused by ${this.manifest.quorum} replicas: ${verdict.text || verdict.reason}`, verdict.reason);
    else if (verdict.state === 'stale_manifest')
      this.#fail(request, 'stale_manifest', 'the cluster works in another configuration than the pinned manifest: get the new one from its operator');
    else if (verdict.state === 'disagreement')
      this.#fail(request, 'disagreement', `all ${request.tally.members.length} replicas have answered, and no ${this.manifest.quorum} of them the same`);
  }

  #confirm(request, votes) {
    const { tally } = request;
    const { answer } = votes[0];
    const full = votes.find((vote) => vote.result !== undefined);
    const signed = () => [...tally.votes.values()].filter((vote) => vote.digest === votes[0].digest && vote.signature);
    let sets;
    try {
      sets = full && decodeResult(full.result);
    } catch (error) {
      // Only replicas of another version could agree on this.
      this.#fail(request, 'disagreement', `the replicas agree on a result that cannot be read: ${error.message}`);
      return;
    }
    const confirmation = {
      outcome: answer.outcome,
      code: answer.code,
      sets,
      html: votes.find((vote) => vote.html !== undefined)?.html,
      slot: answer.slot,
      index: answer.index,
      time: new Date(Number(answer.ts_ms)),
      group: votes[0].group,
      request: { client: this.id.toString(), home: request.home, cseq: String(request.cseq) },
      latencyMs: performance.now() - request.started,
      attempts: request.attempts,
      ...tally.report(votes),
      receipt: () => makeReceipt(this.manifest, { group: votes[0].group, answer, request: request.raw,
        result: full && toBase64Url(full.result), html: request.page ? full.html : undefined,
        votes: signed() }),
      settled: this.#settled(request, votes),
    };
    this.#finish(request);
    request.resolve(confirmation);
  }

  /** The report when everybody has spoken, or had the time to. */
  #settled(request, votes) {
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        request.progress = undefined;
        this.#byId.delete(`${request.home}/${request.cseq}`);
        resolve(request.tally.report(votes));
      };
      const timer = setTimeout(end, this.settleMs);
      timer.unref?.();
      request.progress = () => request.tally.votes.size === request.tally.members.length && end();
      request.progress();
    });
  }

  #giveUp(request) {
    const report = request.tally.report();
    const { differed, silent, needed, of } = report;
    const said = differed.length === 0 ? '' : ` Answers that do not agree or cannot be verified: ${list(differed)}.`;
    this.#fail(request, 'timeout', `not confirmed: ${needed} equal answers of ${of} replicas are needed.${said} No answer: ` +
      `${list(silent)}. The transaction may or may not have been executed`);
  }

  #fail(request, kind, message, reason) {
    if (!this.#open.has(request)) return;
    this.#finish(request);
    this.#byId.delete(`${request.home}/${request.cseq}`);
    request.reject(new NotConfirmed(kind, message, request.tally?.report(), reason));
  }

  #finish(request) {
    clearTimeout(request.retry);
    clearTimeout(request.giveUp);
    if (this.#open.delete(request)) this.sequences.finish(request.home, request.cseq);
  }
}

function withResolvers() {
  const out = {};
  out.promise = new Promise((resolve, reject) => Object.assign(out, { resolve, reject }));
  return out;
}

/** Fetches the manifest of a cluster whose digest is pinned, from whichever of `urls` has it; f+1 must say the same. */
export async function fetchManifest(urls, pinned, fetchFn = globalThis.fetch.bind(globalThis)) {
  const texts = new Map();
  const answers = await Promise.allSettled(urls.map((url) => exchange(fetchFn, `${url}/v1/manifest`, undefined, { timeoutMs: 10000 })));
  for (const answer of answers) {
    if (answer.status !== 'fulfilled' || answer.value.status !== 200) continue;
    const text = JSON.stringify(answer.value.body);
    texts.set(text, (texts.get(text) ?? 0) + 1);
  }
  for (const [text, count] of texts) {
    let manifest;
    try {
      manifest = await Manifest.open(JSON.parse(text), pinned);
    } catch (error) {
      if (error instanceof FormatError) continue;
      throw error;
    }
    if (count >= manifest.quorum) return manifest;
  }
  throw new Error(`no f+1 of ${urls.length} hosts gave the manifest of cluster ${pinned.slice(0, 16)}...`);
}
