// The demo page: the cluster live, and its procedures to call by hand.

import { EventFeed, verifyReceipt } from '../client/bft-client.js';
import { showCall, showReceipt } from './confirmed.js';
import { procedureForm } from './forms.js';
import { Live } from './live.js';
import { IndexedDbKeyStore, openClient, pinManifest, takeFragment } from './setup.js';

const at = (id) => document.getElementById(id);

/** Which procedures have a page: f+1 equal hosts' word is not needed, since a page counts only when it is confirmed. */
async function pagesOf(manifest) {
  for (const host of manifest.hosts.values()) {
    if (!host.http) continue;
    try {
      const response = await fetch(`${host.http}/v1/pages`, { signal: AbortSignal.timeout(3000), credentials: 'omit' });
      if (response.ok) return new Set((await response.json()).pages.map(({ procedure }) => procedure));
    } catch {
      // The next host may be up.
    }
  }
  return new Set();
}

async function start() {
  const given = takeFragment();
  const store = new IndexedDbKeyStore();
  const response = await fetch('../cluster.json', { cache: 'no-store' });
  const manifest = await pinManifest(store, await response.json(), given.pin);
  at('cluster').textContent = `${manifest.document.name}, application ${manifest.document.application.name}, f = ${manifest.f}, ` +
    `${manifest.groups.size} group(s), digest ${manifest.digest.slice(0, 16)}`;
  const live = new Live(manifest, at('hosts'), at('events'));
  new EventFeed(manifest, { fetch: fetch.bind(globalThis), signed: false, onRaw: (host, event) => live.heard(host, event) });
  at('receipt').addEventListener('change', async (event) => {
    const [file] = event.target.files;
    let receipt;
    try { receipt = JSON.parse(await file.text()); } catch { receipt = undefined; }
    showReceipt(at('checked'), await verifyReceipt(manifest, receipt));
  });

  const settings = new URLSearchParams(location.search);
  const number = (name, otherwise) => Number(settings.get(name) ?? otherwise);
  const client = await openClient(store, manifest, { pem: given.pem, retryAfterMs: number('retry', 3000), giveUpAfterMs: number('patience', 30000), settleMs: number('settle', 2000) });
  at('me').textContent = `client ${client.name} (${client.key.alg}; the key cannot leave this browser)`;
  const pages = await pagesOf(manifest);
  for (const procedure of manifest.document.application.procedures)
    at('forms').append(procedureForm(procedure, (name, values) => {
      const call = async () => (pages.has(name) ? client.page(name, values()) : client.call(name, values()));
      showCall(at('answer'), call());
      at('answer').scrollIntoView({ block: 'nearest' });
    }));
  document.body.dataset.ready = 'yes';
}

start().catch((error) => {
  at('trouble').textContent = error.message;
  at('trouble').hidden = false;
  document.body.dataset.ready = 'failed';
});

// A link for this page that is opened in the same tab changes only what is behind the "#".
addEventListener('hashchange', () => location.reload());
