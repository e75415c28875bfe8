'use strict';

/**
 * The accounts of one run, dealt out to the branches: `first` keeps runs on one cluster apart. Each worker makes its
 * own share, and pays between all.
 */
class Accounts {
    constructor({ branches, accounts, first = 1 }, workers) {
        // Each worker makes as many as every other one.
        Object.assign(this, { branches, first, total: Math.floor(accounts / workers) * workers });
    }

    at(index) {
        return { branch: (index % this.branches) + 1, account: this.first + Math.floor(index / this.branches) };
    }
}

module.exports = { Accounts };
