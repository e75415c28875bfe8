// Asks before it sends: the page that wants this may be a liar's.

import { element, showCall } from '../page/confirmed.js';
import { IndexedDbKeyStore, openClient, pinnedManifest } from '../page/setup.js';

const at = (id) => document.getElementById(id);

/** Texts of a form's fields, rows from JSON. */
function argumentsFrom(procedure, values) {
  return Object.fromEntries(procedure.parameters.map(({ name, type }) => [name, type === 'rows' ? JSON.parse(values[name]) : values[name]]));
}

async function start() {
  const given = new URLSearchParams(location.hash.slice(1));
  const [name, values] = [given.get('procedure'), JSON.parse(given.get('values'))];
  at('from').textContent = `${given.get('from')} asks for ${name}:`;
  at('values').append(...Object.entries(values).map(([key, value]) => element('tr', {}, element('td', {}, key), element('td', {}, value))));
  const store = new IndexedDbKeyStore();
  const manifest = await pinnedManifest(store);
  if (!manifest) throw new Error('no cluster is pinned yet: see the options of this plug-in');
  const procedure = manifest.procedures.get(name);
  if (!procedure) throw new Error(`the cluster's application has no procedure '${name}'`);
  const client = await openClient(store, manifest);
  at('send').disabled = false;
  at('send').addEventListener('click', () => {
    at('send').disabled = true;
    showCall(at('answer'), (async () => client.call(name, argumentsFrom(procedure, values)))());
  });
}

start().catch((error) => showCall(at('answer'), Promise.reject(error)));
