#!/usr/bin/env node
// Runs one Caliper benchmark against a cluster that is up. run.sh brings the cluster up and uses this.
//
//   node run.js --benchmark benchmarks/local.yaml --out FOLDER --cluster DIR [--clients NAMES]      direct
//   node run.js --benchmark benchmarks/local.yaml --out FOLDER --gateway http://127.0.0.1:PORT      through a gateway
//
//   --manifest FILE    another one than DIR/manifest.json, such as that of regions.js
//   --clients A,B      names of clients under DIR/clients, one for each worker (caliper1,caliper2,...)
//   --workers N  --tps N  --outstanding N  --seconds N  --from N  --window N  --accounts N  --first N  --branches N
//   --warehouses N  --scale X                                                  instead of what the benchmark says
//
// Exit status 0: Caliper said "Failed rounds: 0", every round had transactions and none failed. (Caliper's own exit
// status says nothing: it is 0 even when all rounds failed.)
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const yaml = require('js-yaml');
const { asText, offlineReport, NOTE, readRounds } = require('./lib/summary');

const NUMBERS = ['workers', 'tps', 'outstanding', 'seconds', 'from', 'window', 'accounts', 'first', 'branches', 'warehouses', 'scale'];
const { values: options } = parseArgs({ options: Object.fromEntries(
    ['benchmark', 'out', 'cluster', 'gateway', 'manifest', 'clients', ...NUMBERS].map((name) => [name, { type: 'string' }])) });

function fail(why) {
    console.error(`run.js: ${why}`);
    process.exit(1);
}

for (const name of NUMBERS) {
    if (options[name] === undefined) continue;
    options[name] = Number(options[name]);
    if (!(options[name] >= 0)) fail(`--${name} must be a number`);
}
if (!options.benchmark || !options.out || !(options.cluster || options.gateway)) fail('give --benchmark, --out, and --cluster or --gateway');

function benchmark(out) {
    const bench = yaml.safeLoad(fs.readFileSync(options.benchmark, 'utf8'));
    const set = (object, name, value) => { if (value !== undefined) object[name] = value; };
    set(bench.test.workers, 'number', options.workers);
    for (const round of bench.test.rounds) {
        // The same mapping may stand in two rounds: no aliases, which another YAML reader may not know.
        round.workload.arguments = { ...round.workload.arguments };
        for (const name of ['branches', 'accounts', 'first', 'warehouses', 'scale']) set(round.workload.arguments, name, options[name]);
        if (round.txNumber !== undefined) set(round, 'txNumber', options.accounts);
        else set(round, 'txDuration', options.seconds);
        set(round.rateControl.opts, 'outstanding', options.outstanding);
        if (round.txDuration !== undefined) set(round.rateControl.opts, 'tps', options.tps);
    }
    const observer = bench.monitors.transaction[0].options;
    set(observer, 'fromSeconds', options.from);
    set(observer, 'seconds', options.window);
    observer.folder = path.join(out, 'latencies');
    return bench;
}

function network(workers) {
    if (options.gateway) return { caliper: { blockchain: path.join(__dirname, 'lib/connector.js') }, bftnode: { mode: 'gateway', url: options.gateway } };
    const dir = path.resolve(options.cluster);
    const manifest = path.resolve(options.manifest ?? path.join(dir, 'manifest.json'));
    const names = options.clients ? options.clients.split(',') : Array.from({ length: workers }, (_, i) => `caliper${i + 1}`);
    if (names.length < workers) fail(`${workers} workers need ${workers} clients: a client's sequence numbers are one worker's`);
    return { caliper: { blockchain: path.join(__dirname, 'lib/connector.js') },
        bftnode: { mode: 'direct', manifest, pin: JSON.parse(fs.readFileSync(path.join(dir, 'manifest.json'), 'utf8')).digest,
            clients: names.map((name) => path.join(dir, 'clients', name)) } };
}

function launch(out) {
    const log = fs.createWriteStream(path.join(out, 'caliper.log'));
    const ca = options.cluster && path.join(path.resolve(options.cluster), 'http-ca.crt');
    const child = spawn(process.execPath, [path.join(__dirname, 'node_modules/@hyperledger/caliper-cli/caliper.js'), 'launch', 'manager',
        '--caliper-workspace', __dirname, '--caliper-networkconfig', path.join(out, 'network.yaml'),
        '--caliper-benchconfig', path.join(out, 'benchmark.yaml'), '--caliper-report-path', path.join(out, 'caliper.html'),
        '--caliper-flow-only-test', '--caliper-logging-targets-file-enabled', 'false'],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...(ca && fs.existsSync(ca) ? { NODE_EXTRA_CA_CERTS: ca } : {}) } });
    for (const stop of ['SIGINT', 'SIGTERM']) process.on(stop, () => child.kill(stop));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => {
        log.write(chunk);
        for (const line of chunk.toString().split('\n')) if (/rror|\[Transaction Info\]|Failed rounds/.test(line)) console.log(line);
    });
    return new Promise((resolve) => child.on('close', (code) => log.end(() => resolve(code))));
}

async function main() {
    const out = path.resolve(options.out);
    fs.rmSync(path.join(out, 'latencies'), { recursive: true, force: true });
    fs.mkdirSync(out, { recursive: true });
    const bench = benchmark(out);
    fs.writeFileSync(path.join(out, 'benchmark.yaml'), yaml.safeDump(bench));
    fs.writeFileSync(path.join(out, 'network.yaml'), yaml.safeDump(network(bench.test.workers.number)));
    const code = await launch(out);

    const log = fs.readFileSync(path.join(out, 'caliper.log'), 'utf8');
    const rounds = readRounds(path.join(out, 'latencies'));
    const about = `${bench.test.name}, ${options.gateway ? 'gateway' : 'direct'} mode, ${bench.test.workers.number} workers`;
    fs.writeFileSync(path.join(out, 'summary.json'), JSON.stringify({ about, rounds, note: NOTE }, null, 2));
    if (fs.existsSync(path.join(out, 'caliper.html')))
        fs.writeFileSync(path.join(out, 'report.html'), offlineReport(fs.readFileSync(path.join(out, 'caliper.html'), 'utf8'), rounds, about));
    console.log(`\n${about}\n${asText(rounds)}\n${NOTE}\nreport: ${path.join(out, 'report.html')}`);

    const wrong = [];
    if (code !== 0) wrong.push(`caliper ended with status ${code}`);
    if (!/Failed rounds: 0\./.test(log)) wrong.push('caliper did not say "Failed rounds: 0"');
    if (rounds.length !== bench.test.rounds.length) wrong.push(`${rounds.length} of ${bench.test.rounds.length} rounds have figures`);
    for (const round of rounds) {
        if (round.failed > 0) wrong.push(`${round.label}: ${round.failed} transactions failed`);
        if (round.measured === 0) wrong.push(`${round.label}: nothing was measured`);
    }
    if (wrong.length > 0) fail(`${wrong.join('; ')}; see ${path.join(out, 'caliper.log')}`);
}

main().catch((error) => fail(error.stack));
