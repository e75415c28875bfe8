// Commit events of all hosts, as server-sent events read with fetch (which Node has, too). Signed: each event is one
// replica's word, and f+1 of them are the truth.

import { FormatError, toHex } from './bytes.js';
import { merkleTree } from './merkle.js';
import { answerDigest, rootIsSigned } from './receipt.js';

const LINE_MAX = 8 * 1024 * 1024;
const QUIET_MS = 30000;

/** The `data:` lines of a response's body; ends when the stream ends or was quiet for too long. */
async function* dataLines(response, abort) {
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  let rest = '';
  let quiet = setTimeout(abort, QUIET_MS);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(quiet);
      quiet = setTimeout(abort, QUIET_MS);
      rest += decoder.decode(value, { stream: true });
      const lines = rest.split('\n');
      rest = lines.pop();
      if (rest.length > LINE_MAX) throw new FormatError('an event without an end');
      for (const line of lines) if (line.startsWith('data:')) yield line.slice(5);
    }
  } finally {
    clearTimeout(quiet);
    reader.cancel().catch(() => {});
  }
}

export class EventFeed {
  #closed = false;
  #aborts = new Set();
  #connected = new Set();
  #waiting = [];

  /**
   * `onCommit(group, position, transaction)`: verified words, of `client` only when it is given. `onRaw(host, event)`:
   * everything, for those who only watch (`signed: false`).
   */
  constructor(manifest, { fetch: fetchFn, cache, client, signed = true, alg = 'ed25519', onCommit, onRaw, onTrouble }) {
    Object.assign(this, { manifest, fetchFn, cache, client, signed, alg, onCommit, onRaw, onTrouble });
    for (const host of manifest.hosts.values()) if (host.http) this.#run(host);
  }

  /** Resolves when `count` hosts (all, if not given) send events. */
  connected(count = [...this.manifest.hosts.values()].filter((host) => host.http).length) {
    return new Promise((resolve) => {
      this.#waiting.push({ count, resolve });
      this.#wake();
    });
  }

  close() {
    this.#closed = true;
    for (const abort of this.#aborts) abort.abort();
  }

  #wake() {
    this.#waiting = this.#waiting.filter(({ count, resolve }) => this.#connected.size < count || resolve());
  }

  async #run(host) {
    const query = new URLSearchParams();
    if (this.client !== undefined) query.set('client', this.client);
    if (this.signed) query.set('signed', '1');
    if (this.signed && this.alg !== 'ed25519') query.set('signature', this.alg);
    for (let pause = 200; !this.#closed; pause = Math.min(2 * pause, 5000)) {
      const abort = new AbortController();
      this.#aborts.add(abort);
      try {
        const response = await this.fetchFn(`${host.http}/v1/events?${query}`, {
          signal: abort.signal, headers: { accept: 'text/event-stream' }, cache: 'no-store', credentials: 'omit', redirect: 'error',
        });
        if (response.status !== 200) throw new FormatError(`events: status ${response.status}`);
        for await (const line of dataLines(response, () => abort.abort())) {
          await this.#event(host, line);
          pause = 200;
        }
      } catch (error) {
        if (!this.#closed) this.onTrouble?.(host.name, error.message);
      }
      abort.abort();
      this.#aborts.delete(abort);
      this.#connected.delete(host.name);
      if (!this.#closed) await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  async #event(host, line) {
    const event = JSON.parse(line);
    if (event.type === 'hello') {
      this.#connected.add(host.name);
      this.#wake();
    }
    this.onRaw?.(host.name, event);
    if (event.type !== 'commits' || !this.onCommit) return;
    if (event.cluster !== this.manifest.digest) throw new FormatError('events of another cluster or configuration');
    if (this.manifest.member(event.group, event.position)?.name !== host.name)
      throw new FormatError('events for another host\'s position');
    const digests = await Promise.all(event.transactions.map((t) => answerDigest(event.group, t)));
    const { root } = await merkleTree(digests);
    if (!(await rootIsSigned(this.manifest, event.group, event.position, root, event.signature, this.cache)))
      throw new FormatError('an event whose signature is not good');
    event.transactions.forEach((t, i) => this.onCommit(event.group, event.position, t, toHex(digests[i])));
  }
}
