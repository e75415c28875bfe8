// What a page or plug-in must be given once: the cluster's manifest, the pin that makes it trustworthy, and a key.

import { BftClient, importKey, IndexedDbKeyStore, loadOrCreateKey, Manifest } from '../client/bft-client.js';
import { fromBase64Url, toHex } from '../client/bytes.js';

const KEY = 'client';
const PIN = 'pin';
const MANIFEST = 'manifest';

/** `#pin=...&key=...` of an operator's link. It never travels to a server, and disappears from the address at once. */
export function takeFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.size > 0) history.replaceState(null, '', location.pathname + location.search);
  return { pin: given.get('pin') ?? undefined, pem: given.has('key') ? new TextDecoder().decode(fromBase64Url(given.get('key'))) : undefined };
}

/** Keeps the manifest when its digest is the pin, or the one that was pinned before. */
export async function pinManifest(store, document, pin) {
  const pinned = pin ?? (await store.load(PIN));
  if (pinned === undefined) throw new Error('nothing is pinned yet: open the link that the operator of the cluster gave you');
  const manifest = await Manifest.open(document, pinned);
  await store.save(PIN, pinned);
  await store.save(MANIFEST, document);
  return manifest;
}

export async function pinnedManifest(store) {
  const [document, pin] = [await store.load(MANIFEST), await store.load(PIN)];
  return document && pin ? Manifest.open(document, pin) : undefined;
}

/** The key that was imported or made before; `pem`: from now on this one. */
async function keyFor(store, manifest, pem) {
  if (pem === undefined) return loadOrCreateKey(store, KEY);
  for (const { key: publicKey } of manifest.document.clients) {
    try {
      const key = await importKey(pem, publicKey);
      await store.save(KEY, key);
      return key;
    } catch {
      // Another client's, or of the other kind.
    }
  }
  throw new Error('the key in the link is of no client of this cluster');
}

export async function openClient(store, manifest, { pem, ...settings } = {}) {
  const key = await keyFor(store, manifest, pem);
  if (!manifest.clientByKey(key.publicKey))
    throw new Error(`the cluster does not know this browser's key yet; its operator adds it to the topology: key = "${toHex(key.publicKey)}"`);
  return BftClient.open({ manifest, key, ...settings });
}

export { IndexedDbKeyStore };
