// A transaction observer: percentiles, of which Caliper itself has none, over a window inside of the round, as
// AuditChain measures (from 30 s after the start, for 60 s). One file per worker and round in `folder`.
//
// options: folder, fromSeconds (0), seconds (the whole round)
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { CaliperUtils } = require('@hyperledger/caliper-core');
const TxObserverInterface = require('@hyperledger/caliper-core/lib/worker/tx-observers/tx-observer-interface');
const { Histogram } = require('./histogram');

class PercentileObserver extends TxObserverInterface {
    constructor(options, messenger, workerIndex) {
        super(messenger, workerIndex);
        this.folder = CaliperUtils.resolvePath(options.folder);
        this.from = (options.fromSeconds ?? 0) * 1000;
        this.to = options.seconds === undefined ? Infinity : this.from + options.seconds * 1000;
    }

    async activate(roundIndex, roundLabel) {
        await super.activate(roundIndex, roundLabel);
        this.started = Date.now();
        this.inWindow = new Histogram();
        this.whole = new Histogram();
        this.failed = 0;
    }

    txFinished(results) {
        super.txFinished(results);
        const now = Date.now() - this.started;
        for (const result of Array.isArray(results) ? results : [results]) {
            if (!result.IsCommitted()) {
                ++this.failed;
                continue;
            }
            const ms = result.GetCustomData().get('latency_ms') ?? result.GetTimeFinal() - result.GetTimeCreate();
            this.whole.add(ms);
            if (now >= this.from && now < this.to) this.inWindow.add(ms);
        }
    }

    async deactivate() {
        await super.deactivate();
        fs.mkdirSync(this.folder, { recursive: true });
        const { roundLabel, currentRound, workerIndex, failed, whole, inWindow } = this;
        fs.writeFileSync(path.join(this.folder, `latency-${currentRound}-${workerIndex}.json`),
            JSON.stringify({ round: currentRound, label: roundLabel, worker: workerIndex, failed, elapsedMs: Date.now() - this.started,
                fromMs: this.from, toMs: this.to, whole, inWindow }));
    }
}

module.exports = { createTxObserver: (options, messenger, workerIndex) => new PercentileObserver(options, messenger, workerIndex) };
