// The votes on one request: f+1 equal signed answers of distinct positions of one group are the truth, because
// at most f of them lie. A partition may have moved since the manifest was made: a correct replica answers only for what
// its group owned then, and answers of different groups are never equal. Nothing below that is ever handed out.

import { FormatError, digestOf, equalBytes, fromBase64Url, fromHex, toHex, toU64, u64 } from './bytes.js';
import { answerDigest, leafIsSigned, pageDigest, refusalDigest, repliesDigest, resultDigest } from './receipt.js';
import { merkleFold } from './merkle.js';

const COMPARED = ['outcome', 'code', 'slot', 'index', 'ts_ms', 'rdig', 'page'];
const OVER_QUOTA = 'refused: over_quota'; // no final word: it has room later

export class Tally {
  /** `request`: {client, home, cseq, rd (hex), group, raw (base64url)}. */
  constructor(manifest, request, cache, needsResult) {
    this.manifest = manifest;
    this.request = request;
    this.cache = cache;
    this.needsResult = needsResult;
    this.members = manifest.groups.get(request.group);
    this.votes = new Map(); // position -> vote
    this.failures = new Map(); // position -> why there is no vote
  }

  /** A replica's whole entry: Answer or Refused of docs/openapi.yaml. Returns the vote. */
  async reply(position, entry, ms, status = 200) {
    let vote;
    try {
      vote = entry.refusal === undefined ? await this.#readAnswer(position, entry) : await this.#readRefusal(position, entry);
    } catch (error) {
      vote = { kind: 'bad', why: error instanceof FormatError ? error.message : `not an answer: ${error.message}` };
    }
    return this.#add(position, { ...vote, status, ms, entry });
  }

  /** What a signed event says; its signature has been verified, and is no receipt's part by itself. */
  event(group, place, transaction, digest, ms) {
    this.#isMine(transaction);
    const position = this.members.indexOf(this.manifest.member(group, place)?.name);
    if (position < 0) return undefined;
    return this.#add(position, { kind: 'answer', digest, answer: transaction, ms, group, position: place });
  }

  failed(position, why) {
    if (!this.votes.has(position)) this.failures.set(position, why);
  }

  #add(position, vote) {
    vote = { position, host: this.members[position], ...vote };
    const before = this.votes.get(position);
    // The first valid word counts; one that adds the result to the same word may come later.
    const better = !before || before.kind === 'bad' || before.digest === OVER_QUOTA ||
      (before.digest === vote.digest && before.result === undefined && vote.result !== undefined);
    if (better) this.votes.set(position, vote);
    else if (before.digest !== vote.digest && vote.kind !== 'bad') before.changed = vote;
    this.failures.delete(position);
    return vote;
  }

  #isMine(answer) {
    const { client, home, cseq, rd } = this.request;
    if (toU64(answer.client) !== client || answer.home !== home || toU64(answer.cseq) !== BigInt(cseq) || answer.rd !== rd)
      throw new FormatError('an answer to another request');
  }

  async #checkSigned(position, entry, leaf) {
    const host = this.manifest.member(entry.group, entry.position)?.name;
    if (host === undefined || host !== this.members[position]) throw new FormatError('speaks for another position');
    if (entry.cluster !== this.manifest.digest) {
      const error = new FormatError('speaks of another cluster or configuration than the pinned manifest');
      throw Object.assign(error, { otherCluster: entry.cluster });
    }
    if (!(await leafIsSigned(this.manifest, entry.group, entry.position, leaf, entry.signature, this.cache)))
      throw new FormatError('the signature is not good');
  }

  async #readAnswer(position, entry) {
    const { answer } = entry;
    const leaf = await answerDigest(entry.group, answer);
    const other = await this.#otherCluster(position, entry, leaf);
    if (other) return other;
    await this.#checkSigned(position, entry, leaf);
    this.#isMine(answer);
    const vote = { kind: 'answer', digest: toHex(leaf), answer, signature: entry.signature, group: entry.group,
      position: entry.position };
    if (entry.result !== undefined) {
      vote.result = fromBase64Url(entry.result);
      if (!equalBytes(await resultDigest(answer, vote.result), fromHex(answer.rdig, 32)))
        throw new FormatError('the result is not the one that it signed');
    }
    if (this.request.page) {
      if (typeof entry.html !== 'string' || toHex(await pageDigest(entry.html)) !== answer.page)
        throw new FormatError('the page is not the one that it signed');
      vote.html = entry.html;
    }
    return vote;
  }

  async #readRefusal(position, entry) {
    const leaf = await refusalDigest(entry.group, entry.refusal);
    const other = await this.#otherCluster(position, entry, leaf);
    if (other) return other;
    await this.#checkSigned(position, entry, leaf);
    this.#isMine(entry.refusal);
    const text = typeof entry.error?.text === 'string' ? entry.error.text.slice(0, 500) : '';
    return { kind: 'refusal', digest: `refused: ${entry.refusal.reason}`, reason: entry.refusal.reason, text, signature: entry.signature };
  }

  /** A replica of a pinned key that signs for another configuration shows that the pinned manifest is stale. */
  async #otherCluster(position, entry, leaf) {
    if (entry.cluster === this.manifest.digest || entry.position !== position) return undefined;
    const { signature } = entry;
    const root = await merkleFold(leaf, signature.bundle_index, signature.bundle_count,
      signature.bundle_path.map((d) => fromHex(d, 32)));
    const digest = await repliesDigest(fromHex(entry.cluster, 32), entry.group, entry.position, root);
    const key = this.manifest.hosts.get(this.members[position]).keys[signature.alg];
    if (!key || !(await this.cache.verify(key, fromBase64Url(signature.signature), digest))) return undefined;
    return { kind: 'other_cluster', digest: `cluster ${entry.cluster}`, cluster: entry.cluster, signature,
      why: 'speaks of another cluster or configuration than the pinned manifest' };
  }

  #largest(kind) {
    const equal = new Map();
    for (const vote of this.votes.values()) {
      if (vote.kind !== kind) continue;
      if (!equal.has(vote.digest)) equal.set(vote.digest, []);
      equal.get(vote.digest).push(vote);
    }
    return [...equal.values()].sort((a, b) => b.length - a.length)[0] ?? [];
  }

  /**
   * {state: 'confirmed', votes} | {state: 'refused', reason, text} | {state: 'stale_manifest'} |
   * {state: 'disagreement'}: everyone has spoken | {state: 'open'}
   */
  verdict() {
    const equal = this.#largest('answer');
    if (equal.length >= this.manifest.quorum) {
      if (!this.needsResult || equal.some((vote) => vote.result !== undefined)) return { state: 'confirmed', votes: equal };
      return { state: 'open' };
    }
    const refused = this.#largest('refusal');
    if (refused.length >= this.manifest.quorum && refused[0].reason !== 'over_quota')
      return { state: 'refused', reason: refused[0].reason, text: refused[0].text };
    if (this.#largest('other_cluster').length >= this.manifest.quorum) return { state: 'stale_manifest' };
    const spoken = [...this.votes.values()].filter((vote) => vote.kind === 'answer');
    if (spoken.length === this.members.length) return { state: 'disagreement' };
    return { state: 'open' };
  }

  /** Positions that have not said anything that counts. */
  missing() {
    return this.members.map((_, position) => position).filter((position) => {
      const vote = this.votes.get(position);
      return !vote || vote.kind === 'bad' || (vote.kind === 'refusal' && vote.reason === 'over_quota') ||
        (this.needsResult && vote.kind === 'answer' && vote.result === undefined);
    });
  }

  /** Who confirmed, who said something else and in what, who said nothing, seen from `accepted` (votes; or none). */
  report(accepted = []) {
    const truth = accepted[0];
    const confirmedBy = accepted.map(({ host, ms }) => ({ host, ms: Math.round(ms * 10) / 10 }));
    const differed = [];
    for (const vote of this.votes.values()) {
      if (vote.changed) differed.push({ host: vote.host, why: 'said two different things', reply: vote.changed.entry });
      if (accepted.includes(vote) || (vote.kind === 'refusal' && vote.reason === 'over_quota' && truth)) continue;
      if (truth && vote.kind === 'answer' && vote.digest === truth.digest) {
        confirmedBy.push({ host: vote.host, ms: Math.round(vote.ms * 10) / 10 });
        continue;
      }
      differed.push({ host: vote.host, why: this.#why(vote, truth), reply: vote.entry });
    }
    const silent = this.members.filter((_, position) => !this.votes.has(position))
      .map((host) => ({ host, why: this.failures.get(this.members.indexOf(host)) ?? 'has not answered' }));
    return { confirmedBy, differed, silent, needed: this.manifest.quorum, of: this.members.length };
  }

  #why(vote, truth) {
    if (vote.kind === 'refusal') return `refuses: ${vote.reason}`;
    if (vote.kind !== 'answer') return vote.why;
    if (!truth) return `says slot ${vote.answer.slot}, ${vote.answer.outcome}, result ${vote.answer.rdig.slice(0, 12)}`;
    const fields = COMPARED.filter((field) => vote.answer[field] !== truth.answer[field]);
    return `differs in ${fields.join(', ')}`;
  }
}

/** What the client signs: one signature over a bundle of requests. */
export function bundleDigest(cluster, client, root) {
  return digestOf('bundle', cluster, u64(client), root);
}
