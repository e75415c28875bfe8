#!/usr/bin/env node
// Puts the way between two regions into a cluster on one machine: every connection between hosts of different regions
// goes through a TCP proxy that holds what it carries back for half a round-trip time in each direction, and so do
// clients' connections to the far region. For kernels without netem.
//
//   node regions.js --dir CLUSTER --far host2,host3 [--rtt 182]      after `cluster.sh init`, before `start`
//
// It changes the far hosts' addresses in the near hosts' and clients' files, and the near hosts' in the far ones' (addresses
// are no part of what the cluster's digest covers), writes CLUSTER/manifest.near.json for clients in the near region,
// prints "ready" and serves until it is ended. The near region has all other hosts, the clients and gateways.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { parseArgs } = require('node:util');

// Seoul (ap-northeast-2) and N. Virginia (us-east-1), as AuditChain's second scenario has them.
const RTT_MS = 182;
const BUFFERED_MAX = 64 * 1024 * 1024;

/** Copies `from` to `to`, each chunk `delayMs` after it came, in order; a full buffer stops reading. */
function delayed(from, to, delayMs) {
    const queue = [];
    let buffered = 0;
    let timer;
    const pump = () => {
        timer = undefined;
        while (queue.length > 0 && queue[0].due <= performance.now()) {
            const { chunk } = queue.shift();
            if (chunk === null) return to.end();
            buffered -= chunk.length;
            to.write(chunk);
        }
        if (buffered < BUFFERED_MAX) from.resume();
        if (queue.length > 0) timer = setTimeout(pump, queue[0].due - performance.now());
        return undefined;
    };
    const push = (chunk) => {
        queue.push({ chunk, due: performance.now() + delayMs });
        timer ??= setTimeout(pump, delayMs);
    };
    from.on('data', (chunk) => {
        buffered += chunk.length;
        if (buffered >= BUFFERED_MAX) from.pause();
        push(chunk);
    });
    from.on('end', () => push(null));
    from.on('error', () => to.destroy());
    from.on('close', () => { if (from.errored) { clearTimeout(timer); to.destroy(); } });
}

/** Resolves to the address at which `target` ("host:port") is reached the long way. */
function proxy(target, delayMs) {
    const [host, port] = [target.slice(0, target.lastIndexOf(':')), Number(target.slice(target.lastIndexOf(':') + 1))];
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
        // The handshake takes a way, too.
        const far = net.connect({ host, port, allowHalfOpen: true, noDelay: true });
        delayed(near, far, delayMs);
        delayed(far, near, delayMs);
    });
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`)));
}

function replaceAddresses(file, changes) {
    const before = fs.readFileSync(file, 'utf8');
    // Whole addresses only, in quotation marks or behind "//".
    const after = changes.reduce((text, [from, to]) => text.replaceAll(new RegExp(`(?<=['"/])${from.replaceAll('.', '\\.')}(?=['"/])`, 'g'), to), before);
    fs.writeFileSync(file, after);
}

async function main() {
    const { values } = parseArgs({ options: { dir: { type: 'string' }, far: { type: 'string' }, rtt: { type: 'string' } } });
    if (!values.dir || !values.far) throw new Error('give --dir and --far');
    const delayMs = Number(values.rtt ?? RTT_MS) / 2;
    const far = new Set(values.far.split(','));
    const hosts = fs.readdirSync(path.join(values.dir, 'hosts'));
    const addresses = new Map([...fs.readFileSync(path.join(values.dir, 'topology.toml'), 'utf8')
        .matchAll(/\[\[host\]\]\s+name = "([^"]+)"\s+address = "([^"]+)"/g)].map(([, name, address]) => [name, address]));
    if (addresses.size !== hosts.length || [...far].some((name) => !addresses.has(name))) throw new Error('the topology and --far do not fit');
    const around = await Promise.all([...addresses].map(async ([name, address]) => ({ name, address, proxied: await proxy(address, delayMs) })));
    const changesFor = (isFar) => around.filter(({ name }) => far.has(name) !== isFar).map(({ address, proxied }) => [address, proxied]);
    for (const name of hosts) replaceAddresses(path.join(values.dir, 'hosts', name, 'cluster.toml'), changesFor(far.has(name)));
    for (const name of fs.readdirSync(path.join(values.dir, 'clients')))
        replaceAddresses(path.join(values.dir, 'clients', name, 'client.toml'), changesFor(false));

    const manifest = JSON.parse(fs.readFileSync(path.join(values.dir, 'manifest.json'), 'utf8'));
    for (const host of manifest.hosts) {
        if (!far.has(host.name) || !host.http) continue;
        const url = new URL(host.http);
        url.host = await proxy(url.host, delayMs);
        host.http = url.origin;
    }
    fs.writeFileSync(path.join(values.dir, 'manifest.near.json'), JSON.stringify(manifest));
    console.log('ready');
}

main().catch((error) => {
    console.error(`regions.js: ${error.message}`);
    process.exit(1);
});
