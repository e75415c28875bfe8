// The JavaScript client as the tests beside this file use it; prints one JSON document.
//   node javascript.js call MANIFEST PIN KEY_FILE CLIENT PROCEDURE ARGUMENTS [page]
//   node javascript.js verify MANIFEST PIN RECEIPT     or a list of receipts
//   node javascript.js tls URL [CA]          which version is spoken, and what becomes of older ones
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { BftClient, importKey, Manifest, verifyReceipt } from '../../../src/web/client/bft-client.js';

const read = (file) => readFileSync(file, 'utf8');

async function call(manifestFile, pin, keyFile, name, procedure, args, page) {
  const manifest = await Manifest.open(JSON.parse(read(manifestFile)), pin);
  const key = await importKey(read(keyFile), manifest.clientByName(name).key);
  const client = await BftClient.open({ manifest, key, giveUpAfterMs: 20000 });
  try {
    const done = await (page ? client.page(procedure, JSON.parse(args)) : client.call(procedure, JSON.parse(args)));
    const settled = await done.settled;
    return { outcome: done.outcome, sets: done.sets, receipt: done.receipt(), confirmedBy: settled.confirmedBy.map(({ host }) => host) };
  } catch (error) {
    return { error: error.name, kind: error.kind, silent: error.report?.silent.map(({ host, why }) => `${host}: ${why}`) };
  } finally {
    client.close();
  }
}

async function verify(manifestFile, pin, receiptFile) {
  const document = JSON.parse(read(receiptFile));
  const manifest = await Manifest.open(JSON.parse(read(manifestFile)), pin);
  if (Array.isArray(document)) return Promise.all(document.map((receipt) => verifyReceipt(manifest, receipt)));
  return verifyReceipt(manifest, document.receipt ?? document);
}

function handshake(url, options) {
  return new Promise((resolve) => {
    const socket = tls.connect({ host: url.hostname, port: url.port, ...options }, () => {
      resolve(socket.getProtocol());
      socket.destroy();
    });
    socket.on('error', (error) => resolve(error.code));
  });
}

async function versions(target, ca) {
  const url = new URL(target);
  const trusted = ca ? { ca: read(ca) } : {};
  return { newest: await handshake(url, trusted), '1.2': await handshake(url, { ...trusted, maxVersion: 'TLSv1.2' }) };
}

const [what, ...words] = process.argv.slice(2);
console.log(JSON.stringify(await { call, verify, tls: versions }[what](...words)));
