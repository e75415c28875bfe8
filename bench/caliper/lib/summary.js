// What a run gave, from the observers' files: for the terminal, for programs, and as a section of Caliper's report.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { Histogram } = require('./histogram');

// README of AuditChain's deployment and its publication: 4 auditors, one region, EC2.
const AUDITCHAIN = { label: 'AuditChain, 4 auditors, EC2 (published)', throughput: 2998, mean: 40 };

function roundOf(files) {
    const inWindow = new Histogram();
    const whole = new Histogram();
    for (const file of files) {
        inWindow.merge(file.inWindow);
        whole.merge(file.whole);
    }
    const windowed = files[0].toMs !== null && whole.count > 0 && files.every((file) => file.elapsedMs >= file.toMs);
    const [histogram, seconds] = windowed ? [inWindow, (files[0].toMs - files[0].fromMs) / 1000]
        : [whole, Math.max(...files.map((file) => file.elapsedMs)) / 1000];
    const round = (ms) => Math.round(ms * 100) / 100;
    return {
        label: files[0].label, windowed, seconds: round(seconds), succeeded: whole.count, failed: files.reduce((sum, file) => sum + file.failed, 0),
        measured: histogram.count, throughput: round(histogram.count / seconds), mean: round(histogram.mean),
        p50: round(histogram.percentile(0.5)), p90: round(histogram.percentile(0.9)), p95: round(histogram.percentile(0.95)),
        p99: round(histogram.percentile(0.99)), p999: round(histogram.percentile(0.999)), max: round(histogram.max),
    };
}

/** One entry for each round. */
function readRounds(folder) {
    const files = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => /^latency-\d+-\d+\.json$/.test(name)) : [];
    const byRound = new Map();
    for (const name of files) {
        const content = JSON.parse(fs.readFileSync(path.join(folder, name), 'utf8'));
        byRound.set(content.round, [...(byRound.get(content.round) ?? []), content]);
    }
    return [...byRound].sort(([a], [b]) => a - b).map(([, list]) => roundOf(list));
}

const COLUMNS = ['label', 'measured', 'throughput', 'mean', 'p50', 'p90', 'p95', 'p99', 'p999', 'max', 'failed'];

function asText(rounds) {
    const rows = [COLUMNS, ...[...rounds, AUDITCHAIN].map((round) => COLUMNS.map((column) => round[column] ?? ''))].map((row) => row.map(String));
    const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i].length)));
    return rows.map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')).join('\n');
}

const NOTE = `Throughput in transactions per second, latencies in milliseconds, from the call until f+1 signed commit events (direct) or the
gateway's answer. A round with a window counts what ended inside of it. AuditChain's figures are of machines of EC2, one for each node, and
of a key-value ledger; these are of one machine, which runs the cluster (databases and software TPMs included) and the load.`;

/** Caliper's page without what it would fetch from the internet, and with our table. */
function offlineReport(html, rounds, about) {
    const escape = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    const cells = (tag, row) => row.map((cell) => `<${tag}>${escape(cell ?? '')}</${tag}>`).join('');
    const table = `<h2>Percentiles</h2><p>${escape(about)}</p><table><tr>${cells('th', COLUMNS)}</tr>${[...rounds, AUDITCHAIN]
        .map((round) => `<tr>${cells('td', COLUMNS.map((column) => round[column]))}</tr>`).join('')}</table><p>${escape(NOTE)}</p>`;
    const bare = html.replaceAll(/<script src="https?:[^>]*><\/script>/g, '').replaceAll(/<img src="https?:[^>]*>/g, '')
        .replaceAll(/<link[^>]*https?:[^>]*>/g, '');
    const place = bare.search(/<h1[^>]*>Summary of performance metrics|<div[^>]*id="benchmarksummary"/i);
    return place < 0 ? bare.replace('</body>', `${table}</body>`) : `${bare.slice(0, place)}${table}${bare.slice(place)}`;
}

module.exports = { readRounds, asText, offlineReport, NOTE };
