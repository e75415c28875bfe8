// Caliper's connector for bftnode. `direct`: this worker is a client of the cluster, sends to all replicas of the owner
// group and counts a transaction as done when f+1 signed commit events have come. `gateway`: one HTTP server answers.
'use strict';

const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { CaliperUtils, ConfigUtil, ConnectorBase, TxStatus } = require('@hyperledger/caliper-core');

const Logger = CaliperUtils.getLogger('bftnode-connector');
const CLIENT = pathToFileURL(path.resolve(__dirname, '../../../src/web/client/bft-client.js'));

/** This worker's own client of the cluster: two workers with one key would share its sequence numbers. */
async function openDirect(config, workerIndex) {
    const bft = await import(CLIENT);
    bft.useSha256((bytes) => crypto.createHash('sha256').update(bytes).digest());
    const document = JSON.parse(fs.readFileSync(CaliperUtils.resolvePath(config.manifest), 'utf8'));
    const manifest = await bft.Manifest.open(document, config.pin);
    const folder = config.clients[workerIndex];
    if (!folder) throw new Error(`worker ${workerIndex} has no client: the network configuration lists ${config.clients.length}`);
    const known = manifest.clientByName(path.basename(folder));
    if (!known) throw new Error(`the manifest has no client '${path.basename(folder)}'`);
    const key = await bft.importKey(fs.readFileSync(path.join(CaliperUtils.resolvePath(folder), 'client.key'), 'utf8'), known.key);
    const client = await bft.BftClient.open({
        manifest, key, confirm: 'events', bundleIntervalMs: config.bundleIntervalMs ?? 4, settleMs: 100,
        retryAfterMs: config.retryAfterMs ?? 5000, giveUpAfterMs: config.giveUpAfterMs ?? 60000,
        onTrouble: (host, why) => Logger.warn(`${host}: ${why}`),
    });
    await client.ready();
    return {
        call: async (procedure, args) => {
            const { outcome, code, latencyMs } = await client.call(procedure, args);
            return { outcome, code, latencyMs };
        },
        close: () => client.close(),
    };
}

/** One exchange over a connection that is kept. Node's fetch costs some five times as much processor time as this. */
function exchange(client, agent, url, body, timeoutMs) {
    return new Promise((resolve, reject) => {
        const request = client.request(url, { method: 'POST', agent, timeout: timeoutMs,
            headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) } }, (response) => {
            let text = '';
            response.setEncoding('utf8');
            response.on('data', (chunk) => { text += chunk; });
            response.on('error', reject);
            response.on('end', () => resolve({ status: response.statusCode, text }));
        });
        request.on('timeout', () => request.destroy(new Error('the gateway does not answer')));
        request.on('error', reject);
        request.end(body);
    });
}

/** The gateway does the f+1 work; its word is all that is asked for. */
function openGateway(config) {
    const client = config.url.startsWith('https:') ? https : http;
    const agent = new client.Agent({ keepAlive: true });
    return {
        call: async (procedure, args) => {
            const started = performance.now();
            const { status, text } = await exchange(client, agent, `${config.url}/v1/call/${encodeURIComponent(procedure)}`,
                JSON.stringify(args), config.giveUpAfterMs ?? 60000);
            const body = JSON.parse(text);
            // 409: executed, and aborted by a rule of the application.
            if (status !== 200 && status !== 409) throw new Error(`status ${status}: ${body.error?.text}`);
            return { outcome: body.outcome, code: body.code, latencyMs: performance.now() - started };
        },
        close: () => agent.destroy(),
    };
}

class BftnodeConnector extends ConnectorBase {
    constructor(workerIndex, config) {
        super(workerIndex, 'bftnode');
        this.config = config;
        this.complaints = 0;
    }

    /** Of the manager only. */
    async init() {}

    async installSmartContract() {}

    /**
     * Workers never see init(), and nobody tells them that all is over: the client lives from context to release.
     */
    async getContext() {
        this.target = this.config.mode === 'gateway' ? openGateway(this.config) : await openDirect(this.config, this.workerIndex);
        return this.target;
    }

    async releaseContext(context) {
        context?.close();
    }

    /** `request`: {procedure, args, codes: abort codes that the workload wants now and then}. */
    async _sendSingleRequest(request) {
        const status = new TxStatus();
        try {
            const { outcome, code, latencyMs } = await this.target.call(request.procedure, request.args);
            const good = outcome === 'ok' || (outcome === 'aborted' && (request.codes ?? []).includes(code));
            if (!good) throw new Error(`${request.procedure} ended as ${outcome}, code ${code}`);
            status.Set('latency_ms', latencyMs);
            status.SetStatusSuccess();
        } catch (error) {
            // Thrown on, it would end the worker's round; as a failed transaction it is counted.
            if (++this.complaints <= 10) Logger.error(`${request.procedure}: ${error.message}`);
            status.SetStatusFail();
        }
        status.SetVerification(true);
        status.SetResult('');
        return status;
    }
}

/** `bftnode` of the network configuration: {mode, manifest, pin, clients} or {mode: gateway, url}. */
async function ConnectorFactory(workerIndex) {
    const network = CaliperUtils.parseYaml(CaliperUtils.resolvePath(ConfigUtil.get(ConfigUtil.keys.NetworkConfig)));
    const config = network.bftnode;
    if (!config || !['direct', 'gateway'].includes(config.mode)) throw new Error('the network configuration needs bftnode.mode: direct or gateway');
    // A worker ends when nothing is left to do, which a connection that HTTP keeps alive delays for minutes. When the
    // manager is gone there is nobody to tell anything.
    if (workerIndex >= 0 && process.send) process.once('disconnect', () => process.exit());
    return new BftnodeConnector(workerIndex, config);
}

module.exports = { ConnectorFactory };
