// Sequence numbers of one client, by home partition (docs/http.md): never used twice, and those in use within one window.

const WINDOW = 256;

export class Sequences {
  #homes = new Map();
  #outstanding = 0;
  #release;
  #locked;

  /**
   * `lockName`: two tabs with one key would get in each other's window. Where the browser has locks, one of them waits
   * until the other has nothing outstanding; undefined: this client is the key's only user.
   */
  constructor(lockName) {
    this.lockName = lockName;
  }

  /** Resolves to {cseq, ackLow} of `home`, in the order of the calls; finish() must follow. */
  async take(home) {
    ++this.#outstanding;
    await this.#lock();
    let state = this.#homes.get(home);
    if (!state) this.#homes.set(home, (state = { next: undefined, open: new Set(), waiting: [] }));
    // The clock only says where to begin: what was used before a reload, or by another tab, lies below.
    if (state.open.size === 0) state.next = Math.max(state.next ?? 0, Date.now() * 1000);
    // Again after waking up: somebody who came meanwhile may have taken the place.
    while (state.next - this.#low(state) >= WINDOW) await new Promise((resolve) => state.waiting.push(resolve));
    const cseq = state.next++;
    state.open.add(cseq);
    return { cseq, ackLow: this.#low(state) };
  }

  finish(home, cseq) {
    const state = this.#homes.get(home);
    state.open.delete(cseq);
    for (let room = WINDOW - (state.next - this.#low(state)); room > 0 && state.waiting.length > 0; --room)
      state.waiting.shift()();
    if (--this.#outstanding === 0) {
      this.#release?.();
      this.#release = this.#locked = undefined;
    }
  }

  /** The smallest in use: a Set keeps the order of insertion, which is that of the numbers. */
  #low(state) {
    return state.open.size === 0 ? state.next : state.open.values().next().value;
  }

  #lock() {
    const locks = globalThis.navigator?.locks;
    if (!this.lockName || !locks) return undefined;
    this.#locked ??= new Promise((resolve) => {
      locks.request(this.lockName, () => new Promise((release) => {
        this.#release = release;
        resolve();
      }));
    });
    return this.#locked;
  }
}
