// Signing keys in WebCrypto, and where a client keeps its own. Private keys are not extractable: a script that gets
// into the page may use them while it is there, and cannot take them away.

import { FormatError, fromHex, toHex } from './bytes.js';

const ALGORITHMS = {
  ed25519: { import: { name: 'Ed25519' }, sign: { name: 'Ed25519' } },
  p256: { import: { name: 'ECDSA', namedCurve: 'P-256' }, sign: { name: 'ECDSA', hash: 'SHA-256' } },
};

/** The kind of a public key follows from its bytes (docs/http.md). */
export function algorithmOf(publicKey) {
  if (publicKey.length === 32) return 'ed25519';
  if (publicKey.length === 65 && publicKey[0] === 4) return 'p256';
  throw new FormatError('neither an Ed25519 nor a P-256 public key');
}

let ed25519Support;

/** Does this browser know Ed25519? */
export function supportsEd25519() {
  ed25519Support ??= crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify']).then(() => true, () => false);
  return ed25519Support;
}

export async function generateKey(alg) {
  const chosen = alg ?? ((await supportsEd25519()) ? 'ed25519' : 'p256');
  const pair = await crypto.subtle.generateKey(ALGORITHMS[chosen].import, false, ['sign', 'verify']);
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  return { alg: chosen, publicKey, privateKey: pair.privateKey };
}

function pemBytes(pem) {
  const body = /-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/.exec(pem);
  if (!body) throw new FormatError('no PEM private key (PKCS #8)');
  return Uint8Array.from(atob(body[1].replaceAll(/\s/g, '')), (c) => c.charCodeAt(0));
}

/** The key of `clients/NAME/client.key` for the public key that the manifest has for it; from then on it stays here. */
export async function importKey(pem, publicKeyHex) {
  const publicKey = fromHex(publicKeyHex);
  const alg = algorithmOf(publicKey);
  const privateKey = await crypto.subtle.importKey('pkcs8', pemBytes(pem), ALGORITHMS[alg].import, false, ['sign']);
  const key = { alg, publicKey, privateKey };
  const probe = new Uint8Array(32);
  if (!(await verify(publicKey, await sign(key, probe), probe)))
    throw new Error('this private key does not belong to the public key in the manifest');
  return key;
}

export async function sign(key, digest) {
  return new Uint8Array(await crypto.subtle.sign(ALGORITHMS[key.alg].sign, key.privateKey, digest));
}

const imported = new Map();

/** `publicKey` is a key of the manifest: there are few, and they are kept. */
export async function verify(publicKey, signature, digest) {
  const alg = algorithmOf(publicKey);
  const name = toHex(publicKey);
  if (!imported.has(name)) {
    if (imported.size > 1000) imported.clear();
    imported.set(name, crypto.subtle.importKey('raw', publicKey, ALGORITHMS[alg].import, false, ['verify']));
  }
  const key = await imported.get(name);
  return signature.length === 64 && crypto.subtle.verify(ALGORITHMS[alg].sign, key, signature, digest);
}

/** For Node and tests: nothing outlives the process. */
export class MemoryKeyStore {
  #keys = new Map();

  async load(name) { return this.#keys.get(name); }
  async save(name, key) { this.#keys.set(name, key); }
}

/** For browsers: the database holds the key as an object whose bytes no script can read. */
export class IndexedDbKeyStore {
  constructor(database = 'bftnode-keys') {
    this.database = database;
  }

  async #run(mode, act) {
    const db = await new Promise((resolve, reject) => {
      const open = indexedDB.open(this.database, 1);
      open.onupgradeneeded = () => open.result.createObjectStore('keys');
      open.onsuccess = () => resolve(open.result);
      open.onerror = () => reject(open.error);
    });
    try {
      return await new Promise((resolve, reject) => {
        const transaction = db.transaction('keys', mode);
        const request = act(transaction.objectStore('keys'));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = transaction.onerror = () => reject(transaction.error);
      });
    } finally {
      db.close();
    }
  }

  load(name) { return this.#run('readonly', (keys) => keys.get(name)); }
  save(name, key) { return this.#run('readwrite', (keys) => keys.put(key, name)); }
}

/** The key called `name`; made and stored at the first time. */
export async function loadOrCreateKey(store, name, alg) {
  const known = await store.load(name);
  if (known) return known;
  const made = await generateKey(alg);
  await store.save(name, made);
  return made;
}
