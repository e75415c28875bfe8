// Prints signed requests as a client would send them, one JSON object a line: {group, cseq, request}.
// Usage: node signed.js MANIFEST KEY_FILE CLIENT COUNT PROCEDURE ARGUMENTS_JSON
// Numbers count up from now; ack_low follows 100 behind, so that up to 100 may be under way.
import { readFileSync } from 'node:fs';
import { toBase64Url } from '../../../src/web/client/bytes.js';
import { prepareCall } from '../../../src/web/client/call.js';
import { importKey, sign } from '../../../src/web/client/keys.js';
import { Manifest } from '../../../src/web/client/manifest.js';
import { merkleTree } from '../../../src/web/client/merkle.js';
import { bundleDigest } from '../../../src/web/client/tally.js';
import { encodeCall, encodeRequest, requestDigest } from '../../../src/web/client/values.js';

const [manifestFile, keyFile, name, count, procedure, args] = process.argv.slice(2);
const manifest = await Manifest.open(JSON.parse(readFileSync(manifestFile, 'utf8')));
const client = manifest.clientByName(name);
const key = await importKey(readFileSync(keyFile, 'utf8'), client.key);
const id = BigInt(client.id);
const first = BigInt(Date.now()) * 1000n;
for (let i = 0n; i < BigInt(count); ++i) {
  const call = prepareCall(manifest, procedure, JSON.parse(args));
  const raw = encodeRequest({ client: id, home: call.home, cseq: first + i, ackLow: i < 100n ? first : first + i - 100n,
    parts: call.parts, readOnly: call.readOnly, op: encodeCall(procedure, call.values) });
  const { root } = await merkleTree([await requestDigest(raw)]);
  const signature = await sign(key, await bundleDigest(manifest.digestBytes, id, root));
  console.log(JSON.stringify({ group: call.group, cseq: String(first + i),
    request: { raw: toBase64Url(raw), signature: toBase64Url(signature) } }));
}
