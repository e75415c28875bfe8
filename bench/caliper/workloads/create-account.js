// CreateAccount: arguments {branches, accounts, first, opening}; txNumber of the round = accounts.
'use strict';

const { WorkloadModuleBase } = require('@hyperledger/caliper-core');
const { Accounts } = require('./accounts');

class CreateAccount extends WorkloadModuleBase {
    async initializeWorkloadModule(...given) {
        await super.initializeWorkloadModule(...given);
        this.accounts = new Accounts(this.roundArguments, this.totalWorkers);
        this.next = this.workerIndex;
    }

    async submitTransaction() {
        const { branch, account } = this.accounts.at(this.next);
        this.next += this.totalWorkers;
        await this.sutAdapter.sendRequests({ procedure: 'create_account',
            args: [branch, account, `owner ${branch}-${account}`, this.roundArguments.opening ?? '1000000.00'] });
    }
}

module.exports = { createWorkloadModule: () => new CreateAccount() };
