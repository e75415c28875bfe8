// The cluster's manifest: who takes part, with which keys. Everything that a client believes rests on it, so its
// digest is pinned: it comes from the operator and not from the network.

import { FormatError, digestOf, fromHex, sized, sizedText, toHex, toU64, u32, u64 } from './bytes.js';
import { algorithmOf } from './keys.js';

function identities(list) {
  return [u32(list.length), ...list.flatMap((entry) => [sizedText(entry.host), sizedText(entry.usig)])];
}

/** docs/http.md, section "The manifest's digest". */
export async function manifestDigest(m) {
  return toHex(await digestOf('cluster',
    sizedText(m.name), sized(fromHex(m.id, 16)), u32(m.f), u32(m.f_database), u64(m.checkpoint_slots), u64(m.scan_slots),
    sizedText(m.application.name), fromHex(m.application.digest, 32),
    u32(m.hosts.length),
    ...m.hosts.flatMap((host) => [sizedText(host.name), sized(fromHex(host.key, 32)),
      ...(host.web_key === undefined ? [] : [sized(fromHex(host.web_key, 65))])]),
    ...identities(m.primaries),
    u32(m.groups.length),
    ...m.groups.flatMap((group) => [u32(group.id), ...identities(group.members), u32(group.partitions.length),
      ...group.partitions.map(u32)]),
    ...(m.hosts.some((host) => host.spare_counters) ? [sizedText('spare counters'), ...m.hosts.flatMap((host) => {
      const spares = host.spare_counters ?? [];
      return [u32(spares.length), ...spares.map(sizedText)];
    })] : []),
    u32(m.voters.length), ...m.voters.map(sizedText),
    u32(m.clients.length),
    ...m.clients.flatMap((client) => [u64(client.id), sizedText(client.name), sized(fromHex(client.key))]),
    ...(m.genesis === undefined ? [] : [sizedText('genesis'), fromHex(m.genesis.root, 32),
      fromHex(m.genesis.snapshot, 32), fromHex(m.genesis.cluster, 32), u64(m.genesis.slot)]),
    ...(m.admins === undefined ? [] : [sizedText('admins'), u32(m.admin_quorum), u32(m.admins.length),
      ...m.admins.flatMap((admin) => [sizedText(admin.name), sized(fromHex(admin.key, 32))])])));
}

export class Manifest {
  /** Use open(). */
  constructor(document) {
    this.document = document;
    this.digest = document.digest;
    this.digestBytes = fromHex(document.digest, 32);
    this.f = document.f;
    this.quorum = document.f + 1;
    this.hosts = new Map(document.hosts.map((host) => [host.name, {
      name: host.name,
      http: host.http,
      keys: { ed25519: fromHex(host.key, 32), p256: host.web_key && fromHex(host.web_key, 65) },
    }]));
    this.groups = new Map(document.groups.map((group) => [group.id, group.members.map((member) => member.host)]));
    this.owners = new Map(document.groups.flatMap((group) => group.partitions.map((p) => [p, group.id])));
    this.procedures = new Map(document.application.procedures.map((p) => [p.name, p]));
  }

  /**
   * `document` as /v1/manifest gives it or the operator's file holds it; `pinned` is the digest that the operator
   * published. Without it, whoever handed over the document is trusted.
   */
  static async open(document, pinned) {
    let digest;
    try {
      digest = await manifestDigest(document);
    } catch (error) {
      throw new FormatError(`this is no manifest: ${error.message}`);
    }
    if (digest !== document.digest) throw new FormatError('the manifest does not have the digest that it names');
    if (pinned !== undefined && digest !== pinned)
      throw new FormatError(`the manifest is of cluster ${digest.slice(0, 16)}..., pinned is ${pinned.slice(0, 16)}...`);
    const manifest = new Manifest(document);
    for (const [id, members] of manifest.groups)
      if (members.length < 2 * manifest.f + 1 || new Set(members).size !== members.length ||
          members.some((host) => !manifest.hosts.has(host)))
        throw new FormatError(`group ${id} is not 2f+1 different hosts`);
    return manifest;
  }

  /** The host whose word counts as that of (group, position); undefined: nobody's. */
  member(group, position) {
    return this.hosts.get(this.groups.get(group)?.[position]);
  }

  clientByName(name) {
    return this.document.clients.find((client) => client.name === name);
  }

  clientByKey(publicKey) {
    const hex = toHex(publicKey);
    return this.document.clients.find((client) => client.key === hex);
  }

  clientKey(id) {
    const found = this.document.clients.find((client) => client.id === toU64(id).toString());
    return found && { alg: algorithmOf(fromHex(found.key)), publicKey: fromHex(found.key) };
  }
}
