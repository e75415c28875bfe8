// A cluster of replicas' HTTP fronts for tests, honest and otherwise. It shares no code with the client: bytes and
// digests are written again here, from docs/http.md.
import crypto from 'node:crypto';
import http from 'node:http';

const sha = (bytes) => crypto.createHash('sha256').update(bytes).digest();
const int = (size) => (value) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out.subarray(8 - size);
};
const [u8, , u32, u64] = [1, 2, 4, 8].map(int);
const sized = (bytes) => Buffer.concat([u64(Buffer.byteLength(bytes)), Buffer.from(bytes)]);
const H = (tag, ...fields) => sha(Buffer.concat([sized(tag), ...fields]));
const hex = (text) => Buffer.from(text, 'hex');
const ZERO = Buffer.alloc(32);

const leafOf = (digest) => H('mk-leaf', digest);
const rootOf = (count, top) => H('mk-root', u64(count), top);

/** Recursively, unlike the client: the subtree of the largest power of two comes first. */
class Tree {
  #tops = new Map();

  constructor(leaves) {
    this.leaves = leaves;
  }

  top(from = 0, count = this.leaves.length) {
    if (count === 1) return this.leaves[from];
    const name = `${from} ${count}`;
    if (!this.#tops.has(name)) {
      const half = halfOf(count);
      this.#tops.set(name, H('mk-node', this.top(from, half), this.top(from + half, count - half)));
    }
    return this.#tops.get(name);
  }

  root() { return rootOf(this.leaves.length, this.top()); }

  path(index, from = 0, count = this.leaves.length) {
    if (count === 1) return [];
    const half = halfOf(count);
    return index < half ? [...this.path(index, from, half), this.top(from + half, count - half)]
      : [...this.path(index - half, from + half, count - half), this.top(from, half)];
  }
}

function halfOf(count) {
  let half = 1;
  while (half * 2 < count) half *= 2;
  return half;
}

function rootFromPath(leaf, index, count, path) {
  if (count === 1) return leaf;
  const half = halfOf(count);
  const last = path.at(-1);
  return index < half ? H('mk-node', rootFromPath(leaf, index, half, path.slice(0, -1)), last)
    : H('mk-node', last, rootFromPath(leaf, index - half, count - half, path.slice(0, -1)));
}

function makeKey(alg) {
  const pair = alg === 'p256' ? crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }) : crypto.generateKeyPairSync('ed25519');
  const spki = pair.publicKey.export({ type: 'spki', format: 'der' });
  return {
    alg,
    publicKey: spki.subarray(spki.length - (alg === 'p256' ? 65 : 32)).toString('hex'),
    pem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    sign: (digest) => crypto.sign(alg === 'p256' ? 'sha256' : null, digest, alg === 'p256' ? { key: pair.privateKey, dsaEncoding: 'ieee-p1363' } : pair.privateKey),
  };
}

function encodeValue(value) {
  if (value === null) return u8(0);
  if (typeof value === 'number') return Buffer.concat([u8(1), u64(BigInt.asUintN(64, BigInt(value)))]);
  return Buffer.concat([u8(2), u32(Buffer.byteLength(value)), Buffer.from(value)]);
}

function encodeResult(sets) {
  return Buffer.concat([u8(1), u32(sets.length), ...sets.flatMap((rows) =>
    [u32(rows[0]?.length ?? 1), u32(rows.length), ...rows.flat().map(encodeValue)])]);
}

function decodeRequest(raw) {
  const out = { client: 0n, home: 0n, cseq: 0n, ack_low: 0n, parts: Buffer.alloc(0), read_only: 0n, op: Buffer.alloc(0) };
  const names = ['', 'client', 'home', 'cseq', 'ack_low', 'parts', 'read_only', 'op'];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      value |= BigInt(raw[at] & 127) << shift;
      if (raw[at++] < 128) return value;
    }
  };
  while (at < raw.length) {
    const tag = raw[at++];
    const value = varint();
    if ((tag & 7) === 2) out[names[tag >> 3]] = raw.subarray(at, (at += Number(value)));
    else out[names[tag >> 3]] = value;
  }
  return out;
}

function decodeCall(op) {
  let at = 1;
  const u = (size) => Number(op.readUIntBE((at += size) - size, size));
  const text = () => { const size = u(4); return op.subarray(at, (at += size)).toString(); };
  const value = (kind) => {
    if (kind === 0) return null;
    if (kind === 1) return Number(op.readBigInt64BE((at += 8) - 8));
    return text();
  };
  const procedure = text();
  const args = Array.from({ length: u(2) }, () => {
    const kind = u(1);
    if (kind !== 3) return value(kind);
    const columns = u(2);
    return Array.from({ length: u(4) }, () => Array.from({ length: columns }, () => value(u(1))));
  });
  return { procedure, args };
}

const INT = (name) => ({ name, type: 'integer', nullable: false, low: '1', high: '2147483647' });
const TEXT = (name, max) => ({ name, type: 'string', nullable: false, max });
const MONEY = (name) => ({ name, type: 'decimal', nullable: false, precision: 12, scale: 2 });
const PROCEDURES = [
  { name: 'create_account', read_only: false, parameters: [INT('branch'), INT('account'), TEXT('owner', 40), MONEY('opening')], partitions: [{ parameter: 0 }] },
  { name: 'new_order', read_only: false, partitions: [{ parameter: 0 }, { parameter: 3, column: 1 }],
    parameters: [INT('w_id'), INT('d_id'), INT('c_id'), { name: 'lines', type: 'rows', nullable: false, max_rows: 15, columns: [INT('1'), INT('2'), INT('3')] }] },
  { name: 'query_account', read_only: true, parameters: [INT('branch'), INT('account')], partitions: [{ parameter: 0 }] },
  { name: 'send_payment', read_only: false, partitions: [{ parameter: 0 }, { parameter: 2 }],
    parameters: [INT('branch'), INT('account'), INT('to_branch'), INT('to_account'), MONEY('amount'), TEXT('memo', 80)] },
  { name: 'statement', read_only: true, parameters: [INT('branch'), INT('account'), INT('lines')], partitions: [{ parameter: 0 }] },
];

function digestOfManifest(m) {
  const text = sized;
  const members = (list) => [u32(list.length), ...list.flatMap((e) => [text(e.host), text(e.usig)])];
  return H('cluster', text(m.name), sized(hex(m.id)), u32(m.f), u32(m.f_database), u64(m.checkpoint_slots), u64(m.scan_slots), text(m.application.name), hex(m.application.digest),
    u32(m.hosts.length), ...m.hosts.flatMap((h) => [text(h.name), sized(hex(h.key)), ...(h.web_key ? [sized(hex(h.web_key))] : [])]),
    ...members(m.primaries), u32(m.groups.length),
    ...m.groups.flatMap((g) => [u32(g.id), ...members(g.members), u32(g.partitions.length), ...g.partitions.map(u32)]),
    u32(m.voters.length), ...m.voters.map(text),
    u32(m.clients.length), ...m.clients.flatMap((c) => [u64(c.id), text(c.name), sized(hex(c.key))])).toString('hex');
}

/** What all honest replicas agree on: order, money, and the page of a payment. */
class Ledger {
  constructor() {
    this.slot = 100;
    this.done = new Map(); // rd -> the answer
    this.accounts = new Map();
  }

  run({ procedure, args }) {
    const find = (b, a) => this.accounts.get(`${b}-${a}`);
    if (procedure === 'create_account') {
      if (find(args[0], args[1])) return { code: 132002 };
      this.accounts.set(`${args[0]}-${args[1]}`, { owner: args[2], cents: Math.round(Number(args[3]) * 100) });
      return { sets: [[[args[0], args[1], args[3], 'now']]] };
    }
    if (procedure === 'send_payment') {
      const [from, to, cents] = [find(args[0], args[1]), find(args[2], args[3]), Math.round(Number(args[4]) * 100)];
      if (!from || !to) return { code: 132001 };
      if (from.cents < cents) return { code: 132003 };
      from.cents -= cents;
      to.cents += cents;
      return { sets: [[[1, args[4], (from.cents / 100).toFixed(2), 'now']]] };
    }
    if (procedure === 'new_order') return { sets: [[[3001, 'now', args[3].length, 'BARBARBAR', 'GC', '0.1000', '0.0500', '0.0500', '99.00']], []] };
    const account = find(args[0], args[1]);
    return account ? { sets: [[[args[0], args[1], account.owner, (account.cents / 100).toFixed(2), 0, 'now']], ...(procedure === 'statement' ? [[]] : [])] } : { code: 132001 };
  }

  execute(raw, rd, request) {
    const key = rd.toString('hex');
    if (!this.done.has(key)) {
      const call = decodeCall(request.op);
      const { sets, code = 0 } = this.run(call);
      const result = code === 0 ? encodeResult(sets) : Buffer.alloc(0);
      this.done.set(key, { slot: ++this.slot, ts: 1700000000000 + this.slot, outcome: code === 0 ? 'ok' : 'aborted', code, result, call });
    }
    return this.done.get(key);
  }

  balances() {
    return [...this.accounts.values()].reduce((sum, { cents }) => sum + cents, 0);
  }
}

/**
 * `behaviour` of a replica, changeable at any time: honest, lie (another result, signed), lie-order, lie-code,
 * changed-result (not what it signed), changed-page, forged (a signature of nobody), other-host (signed by its
 * neighbour), other-position, stale (another configuration, signed), silent, slow, down, garbage, huge, error,
 * refuse, refuse-quota, impolite (429), twice (another word each time).
 */
class FakeReplica {
  constructor(cluster, position, name) {
    Object.assign(this, { cluster, position, name, behaviour: 'honest', requests: 0, streams: new Set() });
    this.keys = { ed25519: makeKey('ed25519'), p256: makeKey('p256') };
  }

  async listen() {
    this.server = http.createServer((request, response) => this.#serve(request, response));
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  async #serve(request, response) {
    for (const [name, value] of [['access-control-allow-origin', '*'], ['access-control-allow-headers', '*'], ['access-control-allow-methods', '*']])
      response.setHeader(name, value);
    if (request.method === 'OPTIONS') return response.writeHead(204).end();
    const url = new URL(request.url, this.url);
    if (this.behaviour === 'down') return request.socket.destroy();
    if (url.pathname === '/v1/manifest') return this.#json(response, 200, this.cluster.document);
    if (url.pathname === '/v1/status') return this.#json(response, 200, this.cluster.status(this));
    if (url.pathname === '/v1/events') return this.#events(url, response);
    if (url.pathname === '/v1/pages') return this.#json(response, 200, { pages: this.cluster.pages.map((procedure) => ({ procedure, template: sha(procedure).toString('hex') })) });
    if (request.method === 'GET') return response.writeHead(404).end();
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    ++this.requests;
    if (this.behaviour === 'silent') return undefined;
    if (this.behaviour === 'slow') await new Promise((resolve) => setTimeout(resolve, this.delayMs ?? 300));
    if (this.behaviour === 'garbage') return response.end('<html>welcome</html>');
    if (this.behaviour === 'huge') return response.end('x'.repeat(9 * 1024 * 1024));
    if (this.behaviour === 'error') return this.#json(response, 503, { error: { code: 'overloaded', text: 'too busy' } });
    if (this.behaviour === 'impolite') return this.#json(response, 429, { error: { code: 'over_quota', text: 'slow down' } });
    return this.#transactions(url, JSON.parse(Buffer.concat(chunks)), response);
  }

  #json(response, status, body) {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }

  #transactions(url, body, response) {
    const page = url.pathname.startsWith('/v1/pages/');
    const list = body.transactions ?? [body];
    const words = list.map((signed) => this.#word(signed, page));
    if (url.searchParams.get('wait') === '0') {
      this.#commits(words.filter((word) => word.answer));
      return this.#json(response, 202, { accepted: list.length });
    }
    const entries = this.#sign(words, url.searchParams.get('signature') ?? 'ed25519');
    if (body.transactions) return this.#json(response, 200, { answers: entries });
    return this.#json(response, entries[0].refusal ? 422 : 200, entries[0]);
  }

  /** What this replica says about one request, unsigned. */
  #word(signed, page) {
    const raw = Buffer.from(signed.raw, 'base64url');
    const rd = H('req', sized(raw));
    const request = decodeRequest(raw);
    const id = { client: String(request.client), home: Number(request.home), cseq: String(request.cseq), rd: rd.toString('hex') };
    const refuse = (reason) => ({ leaf: H('refusal', u32(1), u64(request.client), u32(request.home), u64(request.cseq), rd, u32(['', 'malformed', 'unknown_partition', 'unknown_procedure', 'bad_arguments', 'wrong_partitions', 'bad_signature', 'over_quota', 'stale'].indexOf(reason))),
      refusal: { ...id, reason }, error: { code: 'refused', text: `refused: ${reason}` } });
    if (this.behaviour === 'refuse') return refuse('bad_arguments');
    if (this.behaviour === 'refuse-quota') return refuse('over_quota');
    if (!this.cluster.isSigned(rd, request, signed)) return refuse('bad_signature');
    const executed = this.cluster.ledger.execute(raw, rd, request);
    let { slot, code, outcome, result } = executed;
    if (this.behaviour === 'lie' || this.behaviour === 'twice') {
      const lie = this.behaviour === 'twice' ? `${this.requests}.00` : '1000000.00';
      result = encodeResult([[[1, '0.01', lie, 'now']]]);
      [outcome, code] = ['ok', 0];
    }
    if (this.behaviour === 'lie2') result = encodeResult([[[1, '0.01', '2000000.00', 'now']]]);
    if (this.behaviour === 'lie-order') slot += 1;
    if (this.behaviour === 'lie-code') [outcome, code, result] = ['aborted', 132003, Buffer.alloc(0)];
    const rdig = H('result', u8({ ok: 1, aborted: 2 }[outcome]), u32(code), sized(result));
    let html = page ? `<h1>${executed.call.procedure}</h1><p>slot ${slot}</p><code>${result.toString('hex')}</code>` : undefined;
    const pageDigest = page ? H('page', sized(html)) : ZERO;
    const leaf = H('answer', u32(1), u64(slot), u32(0), u64(request.client), u32(request.home), u64(request.cseq), rd, u64(executed.ts), u8({ ok: 1, aborted: 2 }[outcome]), u32(code), rdig, pageDigest);
    const answer = { ...id, slot: String(slot), index: 0, ts_ms: String(executed.ts), outcome, code, rdig: rdig.toString('hex'),
      ...(page ? { page: pageDigest.toString('hex') } : {}) };
    if (this.behaviour === 'changed-result') result = encodeResult([[[1, '0.01', '1000000.00', 'now']]]);
    if (this.behaviour === 'changed-page') html = html?.replace('slot', 'SLOT');
    return { leaf, answer, result: result.toString('base64url'), ...(page ? { html } : {}) };
  }

  #signRoot(root, alg) {
    const cluster = this.behaviour === 'stale' ? sha('another configuration') : hex(this.cluster.document.digest);
    const signer = this.behaviour === 'other-host' ? this.cluster.replicas[(this.position + 1) % this.cluster.replicas.length] : this;
    const signature = signer.keys[alg].sign(H('replies', cluster, u32(1), u32(this.position), root));
    if (this.behaviour === 'forged') crypto.randomFillSync(signature);
    return { alg, signature: signature.toString('base64url') };
  }

  #speaker() {
    return { cluster: this.behaviour === 'stale' ? sha('another configuration').toString('hex') : this.cluster.document.digest,
      host: this.name, group: 1, position: this.behaviour === 'other-position' ? (this.position + 1) % 3 : this.position };
  }

  #sign(words, alg) {
    const tree = new Tree(words.map((word) => leafOf(word.leaf)));
    const signed = this.#signRoot(tree.root(), alg);
    return words.map(({ leaf, ...word }, i) => ({ ...this.#speaker(), ...word,
      signature: { ...signed, bundle_index: i, bundle_count: words.length, bundle_path: tree.path(i).map((d) => d.toString('hex')) } }));
  }

  #commits(words) {
    if (words.length === 0) return;
    const root = new Tree(words.map((word) => leafOf(word.leaf))).root();
    for (const { response, alg } of this.streams)
      response.write(`data: ${JSON.stringify({ type: 'commits', ...this.#speaker(), transactions: words.map((word) => word.answer),
        signature: { ...this.#signRoot(root, alg), bundle_index: 0, bundle_count: words.length, bundle_path: [] } })}\n\n`);
  }

  #events(url, response) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify({ type: 'hello', cluster: this.cluster.document.digest, host: this.name, replicas: [{ group: 1, position: this.position }] })}\n\n`);
    const stream = { response, alg: url.searchParams.get('signature') ?? 'ed25519' };
    this.streams.add(stream);
    response.on('close', () => this.streams.delete(stream));
  }

  async close() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export class FakeCluster {
  /** `clients`: names to key kinds. */
  static async start({ f = 1, clients = { alice: 'ed25519', bob: 'p256' } } = {}) {
    const cluster = new FakeCluster();
    cluster.f = f;
    cluster.ledger = new Ledger();
    cluster.checked = new Map();
    cluster.pages = [];
    cluster.clientKeys = Object.fromEntries(Object.entries(clients).map(([name, alg]) => [name, makeKey(alg)]));
    cluster.replicas = Array.from({ length: 2 * f + 1 }, (_, i) => new FakeReplica(cluster, i, `host${i + 1}`));
    await Promise.all(cluster.replicas.map((replica) => replica.listen()));
    cluster.document = cluster.#manifest();
    return cluster;
  }

  #manifest() {
    const document = {
      name: 'fake', id: '00112233445566778899aabbccddeeff', f: this.f, f_database: this.f, checkpoint_slots: 32, scan_slots: 4096,
      application: { name: 'payment', digest: sha('payment').toString('hex'), procedures: PROCEDURES },
      hosts: [{ name: 'primary1', key: makeKey('ed25519').publicKey },
        ...this.replicas.map((r) => ({ name: r.name, key: r.keys.ed25519.publicKey, web_key: r.keys.p256.publicKey, http: r.url }))],
      primaries: [{ host: 'primary1', usig: 'p1' }],
      groups: [{ id: 1, members: this.replicas.map((r) => ({ host: r.name, usig: `u-${r.name}` })), partitions: [0, 1, 2, 3] }],
      voters: this.replicas.map((r) => r.name),
      clients: Object.entries(this.clientKeys).map(([name, key], i) => ({ id: String(i + 1), name, key: key.publicKey })),
    };
    return { ...document, digest: digestOfManifest(document) };
  }

  /** A client whose key was made elsewhere: another configuration, with another digest. */
  enrol(name, publicKey) {
    this.document.clients.push({ id: String(this.document.clients.length + 1), name, key: publicKey });
    this.document.digest = digestOfManifest(this.document);
  }

  isSigned(rd, request, signed) {
    const client = this.document.clients.find(({ id }) => id === String(request.client));
    if (!client) return false;
    const top = rootFromPath(leafOf(rd), signed.bundle_index ?? 0, signed.bundle_count ?? 1, (signed.bundle_path ?? []).map(hex));
    const digest = H('bundle', hex(this.document.digest), u64(client.id), rootOf(signed.bundle_count ?? 1, top));
    // One signature covers a bundle: it is checked once.
    const name = `${digest.toString('hex')} ${signed.signature}`;
    if (!this.checked.has(name)) this.checked.set(name, verifyWith(client.key)(digest, Buffer.from(signed.signature, 'base64url')));
    return this.checked.get(name);
  }

  status(replica) {
    const disagreements = replica.behaviour === 'honest' ? Object.fromEntries(this.replicas.filter((r) => r.behaviour.startsWith('lie')).map((r) => [r.name, 3])) : {};
    return { host: replica.name, cluster: this.document.digest, ready: true, software_usig: false, misbehaviour: '', roles: ['replica', 'voter'],
      links: {}, replicas: [{ group: 1, position: replica.position, view: 0, tip: this.ledger.slot, committed: this.ledger.slot, delivered: this.ledger.slot, executed: this.ledger.slot }],
      voter: { next: {}, waiting: 0, executed: this.ledger.done.size, database_up: true }, disagreements, drops: {} };
  }

  behave(...behaviours) {
    this.replicas.forEach((replica, i) => { replica.behaviour = behaviours[i] ?? 'honest'; });
  }

  close() {
    return Promise.all(this.replicas.map((replica) => replica.close()));
  }
}

function verifyWith(publicKey) {
  const raw = hex(publicKey);
  const p256 = raw.length === 65;
  const jwk = p256 ? { kty: 'EC', crv: 'P-256', x: raw.subarray(1, 33).toString('base64url'), y: raw.subarray(33).toString('base64url') }
    : { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') };
  const key = crypto.createPublicKey({ key: jwk, format: 'jwk' });
  return (digest, signature) => crypto.verify(p256 ? 'sha256' : null, digest, p256 ? { key, dsaEncoding: 'ieee-p1363' } : key, signature);
}
