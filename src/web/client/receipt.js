// What replicas sign, and receipts: f+1 replicas' word on one transaction, which anyone can check without a network.

import { FormatError, ZERO_DIGEST, digestOf, equalBytes, fromBase64Url, fromHex, sized, textBytes, toHex, toU64, u32, u64, u8 } from './bytes.js';
import { verify } from './keys.js';
import { merkleFold } from './merkle.js';
import { decodeCall, decodeRequest, decodeResult, requestDigest } from './values.js';

const OUTCOMES = { ok: 1, aborted: 2, duplicate: 3 };
export const REFUSALS = ['', 'malformed', 'unknown_partition', 'unknown_procedure', 'bad_arguments', 'wrong_partitions',
  'bad_signature', 'over_quota', 'stale'];

function outcomeNumber(outcome) {
  const number = OUTCOMES[outcome];
  if (number === undefined) throw new FormatError('an outcome that does not exist');
  return u8(number);
}

/** `answer` is a Transaction of docs/openapi.yaml, from a peer: throws FormatError when it is not. */
export function answerDigest(group, answer) {
  return digestOf('answer', u32(group), u64(answer.slot), u32(answer.index), u64(answer.client), u32(answer.home),
    u64(answer.cseq), fromHex(answer.rd, 32), u64(answer.ts_ms), outcomeNumber(answer.outcome), u32(answer.code),
    fromHex(answer.rdig, 32), answer.page === undefined ? ZERO_DIGEST : fromHex(answer.page, 32));
}

export function refusalDigest(group, refusal) {
  const reason = REFUSALS.indexOf(refusal.reason);
  if (reason < 1) throw new FormatError('a reason that does not exist');
  return digestOf('refusal', u32(group), u64(refusal.client), u32(refusal.home), u64(refusal.cseq),
    fromHex(refusal.rd, 32), u32(reason));
}

export function resultDigest(answer, result) {
  return digestOf('result', outcomeNumber(answer.outcome), u32(answer.code), sized(result));
}

export function pageDigest(html) {
  return digestOf('page', sized(textBytes(html)));
}

export function repliesDigest(cluster, group, position, root) {
  return digestOf('replies', cluster, u32(group), u32(position), root);
}

/** Remembers what was verified: a bundle's signature is the same for all of its leaves. */
export class SignatureCache {
  #verified = new Map();

  constructor(size = 4096) {
    this.size = size;
  }

  verify(publicKey, signature, digest) {
    const name = `${toHex(digest)}${toHex(signature)}${toHex(publicKey)}`;
    let result = this.#verified.get(name);
    if (!result) {
      if (this.#verified.size >= this.size) this.#verified.delete(this.#verified.keys().next().value);
      result = verify(publicKey, signature, digest);
      this.#verified.set(name, result);
    }
    return result;
  }
}

/** The key of `host` that made a signature of kind `alg`. */
function hostKey(host, alg) {
  const key = alg === 'ed25519' || alg === 'p256' ? host.keys[alg] : undefined;
  if (!key) throw new FormatError(`${host.name} has no key of that kind`);
  return key;
}

/** Did the host that the manifest places at (group, position) sign a bundle that holds `leaf`? Throws FormatError. */
export async function leafIsSigned(manifest, group, position, leaf, signature, cache = { verify }) {
  const host = manifest.member(group, position);
  if (!host) throw new FormatError('the manifest has nobody at that position');
  const path = signature.bundle_path;
  if (!Array.isArray(path) || path.length > 64) throw new FormatError('not a path');
  const root = await merkleFold(leaf, signature.bundle_index, signature.bundle_count, path.map((d) => fromHex(d, 32)));
  const digest = await repliesDigest(manifest.digestBytes, group, position, root);
  return cache.verify(hostKey(host, signature.alg), fromBase64Url(signature.signature), digest);
}

/** The same for all leaves of a commit event. */
export async function rootIsSigned(manifest, group, position, root, signature, cache = { verify }) {
  const host = manifest.member(group, position);
  if (!host) throw new FormatError('the manifest has nobody at that position');
  const digest = await repliesDigest(manifest.digestBytes, group, position, root);
  return cache.verify(hostKey(host, signature.alg), fromBase64Url(signature.signature), digest);
}

/** Answers of equal digests (as Confirmation of bft-client.js has them) as one document. */
export function makeReceipt(manifest, { group, answer, request, result, html, votes }) {
  return {
    version: 1,
    cluster: manifest.digest,
    group,
    request,
    answer,
    ...(result === undefined ? {} : { result }),
    ...(html === undefined ? {} : { html }),
    signatures: votes.map(({ position, host, signature }) => ({ position, host, ...signature })),
  };
}

async function checkParts(receipt) {
  const problems = [];
  const { answer } = receipt;
  const out = { problems };
  if (receipt.request !== undefined) {
    const raw = fromBase64Url(receipt.request);
    if (toHex(await requestDigest(raw)) !== answer.rd) problems.push('the request is not the one that was answered');
    else {
      const content = decodeRequest(raw);
      const same = content.client === toU64(answer.client) && content.home === answer.home && content.cseq === toU64(answer.cseq);
      if (!same) problems.push('the request has another identifier than the answer');
      out.call = decodeCall(content.op);
    }
  }
  if (receipt.result !== undefined) {
    const result = fromBase64Url(receipt.result);
    if (!equalBytes(await resultDigest(answer, result), fromHex(answer.rdig, 32))) problems.push('the result is not the one that was signed');
    else out.sets = decodeResult(result);
  }
  if (receipt.html !== undefined) {
    if (toHex(await pageDigest(receipt.html)) !== answer.page) problems.push('the page is not the one that was signed');
    else out.html = receipt.html;
  }
  return out;
}

/**
 * Checks a receipt against a manifest whose digest the caller has pinned. Never throws on a bad receipt:
 * {valid, hosts: who signed, problems: sentences, call, sets, html: only what the signatures cover}.
 */
export async function verifyReceipt(manifest, receipt) {
  const hosts = [];
  let parts = { problems: [] };
  try {
    if (receipt.version !== 1) throw new FormatError('a receipt of another version');
    if (receipt.cluster !== manifest.digest) throw new FormatError('a receipt of another cluster or configuration');
    // Partitions move: a correct replica signs only answers for what its group owned then.
    if (!manifest.owners.has(receipt.answer.home)) throw new FormatError('there is no such partition');
    if (!manifest.groups.has(receipt.group)) throw new FormatError('there is no such group');
    const leaf = await answerDigest(receipt.group, receipt.answer);
    parts = await checkParts(receipt);
    for (const signature of receipt.signatures.slice(0, 256)) {
      let good = false;
      try {
        good = await leafIsSigned(manifest, receipt.group, signature.position, leaf, signature);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
      const name = manifest.member(receipt.group, signature.position)?.name;
      if (!good) parts.problems.push(`the signature of position ${signature.position} is not good`);
      else if (!hosts.includes(name)) hosts.push(name);
    }
  } catch (error) {
    parts.problems.push(error instanceof FormatError ? error.message : `not a receipt: ${error.message}`);
  }
  const { problems, ...content } = parts;
  const enough = hosts.length >= manifest.quorum;
  if (!enough) problems.push(`${hosts.length} of the ${manifest.quorum} replicas that are needed have signed`);
  const fatal = problems.some((p) => !p.startsWith('the signature of position'));
  const valid = enough && !fatal;
  return { valid, hosts, problems, ...(valid ? content : {}) };
}
