'use strict';

/** A small seeded generator (mulberry32), so that a run can be repeated: numbers from 0 up to 1. */
function generator(seed) {
    let state = seed >>> 0;
    const next = () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = Math.imul(state ^ (state >>> 15), state | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    return { next, between: (low, high) => low + Math.floor(next() * (high - low + 1)), chance: (share) => next() < share };
}

module.exports = { generator };
