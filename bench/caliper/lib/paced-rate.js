// A rate controller without fixed-rate's ceiling: that one sleeps for each transaction, and a sleep is a millisecond
// at least, hence some 850 per second and worker. This one sleeps only when it is ahead of its schedule.
//
// opts: tps (of all workers together; 0: as fast as the limit below lets it), outstanding (of all workers; 0: no limit)
'use strict';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class PacedRate {
    constructor(testMessage, stats) {
        const { tps = 0, outstanding = 0 } = testMessage.getRateControlSpec().opts ?? {};
        const workers = testMessage.getWorkersNumber();
        if (tps <= 0 && outstanding <= 0) throw new Error('paced-rate: give tps, outstanding or both');
        this.stats = stats;
        this.perMs = tps / workers / 1000;
        this.limit = outstanding > 0 ? Math.max(1, Math.floor(outstanding / workers)) : Infinity;
    }

    async applyRateControl() {
        while (this.stats.getTotalSubmittedTx() - this.stats.getTotalFinishedTx() >= this.limit) await sleep(1);
        if (this.perMs === 0) return;
        const due = this.stats.getRoundStartTime() + this.stats.getTotalSubmittedTx() / this.perMs;
        const early = due - Date.now();
        if (early >= 1) await sleep(early);
    }

    async end() {}
}

module.exports = { createRateController: (testMessage, stats) => new PacedRate(testMessage, stats) };
