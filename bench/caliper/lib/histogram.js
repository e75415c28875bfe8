// Latencies in buckets of at most 1 % width, which add up over workers.
'use strict';

const GROWTH = Math.log(1.01);

class Histogram {
    constructor({ buckets = {}, count = 0, sum = 0, max = 0, min = Infinity } = {}) {
        Object.assign(this, { buckets: { ...buckets }, count, sum, max, min: min ?? Infinity });
    }

    add(ms) {
        const bucket = Math.ceil(Math.log(Math.max(ms, 0.001)) / GROWTH);
        this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1;
        ++this.count;
        this.sum += ms;
        this.max = Math.max(this.max, ms);
        this.min = Math.min(this.min, ms);
    }

    merge(other) {
        for (const [bucket, count] of Object.entries(other.buckets)) this.buckets[bucket] = (this.buckets[bucket] ?? 0) + count;
        this.count += other.count;
        this.sum += other.sum;
        this.max = Math.max(this.max, other.max);
        this.min = Math.min(this.min, other.min ?? Infinity);
    }

    /** The upper end of the bucket in which the `share`-th latency lies; 0 when there is none. */
    percentile(share) {
        let left = Math.ceil(this.count * share);
        for (const bucket of Object.keys(this.buckets).map(Number).sort((a, b) => a - b)) {
            left -= this.buckets[bucket];
            if (left <= 0) return Math.min(Math.exp(bucket * GROWTH), this.max);
        }
        return 0;
    }

    get mean() { return this.count === 0 ? 0 : this.sum / this.count; }
}

module.exports = { Histogram };
