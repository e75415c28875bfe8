import { IndexedDbKeyStore, openClient, pinManifest, pinnedManifest } from '../page/setup.js';

const at = (id) => document.getElementById(id);
const store = new IndexedDbKeyStore();

async function show(manifest, pem) {
  at('trouble').hidden = true;
  if (!manifest) {
    at('state').textContent = 'No cluster is pinned yet.';
    return;
  }
  at('state').textContent = `Pinned: ${manifest.document.name}, ${manifest.digest}.`;
  const client = await openClient(store, manifest, { pem });
  at('state').textContent += ` You are client ${client.name}.`;
  client.close();
}

function complain(error) {
  at('trouble').textContent = error.message;
  at('trouble').hidden = false;
}

at('pin-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { manifest, pin, key } = event.target.elements;
  try {
    const pinned = await pinManifest(store, JSON.parse(await manifest.files[0].text()), pin.value);
    await show(pinned, key.files[0] && (await key.files[0].text()));
  } catch (error) {
    complain(error);
  }
});

pinnedManifest(store).then((manifest) => show(manifest)).catch(complain);
