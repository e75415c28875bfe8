// SendPayment between accounts that a CreateAccount round has made: arguments as there, and
// {remote: share of payments to another branch (0.1), seed}.
'use strict';

const { WorkloadModuleBase } = require('@hyperledger/caliper-core');
const { Accounts } = require('./accounts');
const { generator } = require('./random');

class SendPayment extends WorkloadModuleBase {
    async initializeWorkloadModule(...given) {
        await super.initializeWorkloadModule(...given);
        this.accounts = new Accounts(this.roundArguments, this.totalWorkers);
        const { branches } = this.roundArguments;
        if (this.accounts.total < 2 * branches) throw new Error('each branch needs two accounts at least');
        this.remote = branches > 1 ? this.roundArguments.remote ?? 0.1 : 0;
        this.random = generator((this.roundArguments.seed ?? 1) * 1000 + this.workerIndex);
    }

    pick() {
        return this.accounts.at(this.random.between(0, this.accounts.total - 1));
    }

    async submitTransaction() {
        const from = this.pick();
        const remote = this.random.chance(this.remote);
        let to = this.pick();
        while ((to.branch !== from.branch) !== remote || (to.branch === from.branch && to.account === from.account)) to = this.pick();
        const cents = this.random.between(1, 999);
        await this.sutAdapter.sendRequests({ procedure: 'send_payment',
            args: [from.branch, from.account, to.branch, to.account, `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`, 'caliper'] });
    }
}

module.exports = { createWorkloadModule: () => new SendPayment() };
