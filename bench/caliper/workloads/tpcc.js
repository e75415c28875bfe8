// TPC-C's five transactions as bench/tpcc draws them (revision 5.11, clauses 2.4 to 2.8 and 5.2.4), without keying and
// thinking times: arguments {warehouses, scale, seed}, as they were loaded.
'use strict';

const { WorkloadModuleBase } = require('@hyperledger/caliper-core');
const { generator } = require('./random');

const UNUSED_ITEM = 131001; // what one New-Order in a hundred is made to have
const CARDS = { new_order: 45, payment: 43, order_status: 4, delivery: 4, stock_level: 4 };
const SYLLABLES = ['BAR', 'OUGHT', 'ABLE', 'PRI', 'PRES', 'ESE', 'ANTI', 'CALLY', 'ATION', 'EING'];

class Tpcc extends WorkloadModuleBase {
    async initializeWorkloadModule(...given) {
        await super.initializeWorkloadModule(...given);
        const { warehouses, scale = 1, seed = 1 } = this.roundArguments;
        this.warehouses = warehouses;
        this.items = Math.max(1, Math.round(100000 * scale));
        this.customers = Math.max(1, Math.round(3000 * scale));
        this.random = generator(seed * 1000 + this.workerIndex);
        this.deck = [];
    }

    draw() {
        if (this.deck.length === 0) {
            this.deck = Object.entries(CARDS).flatMap(([name, count]) => Array(count).fill(name));
            for (let i = this.deck.length - 1; i > 0; --i) {
                const j = this.random.between(0, i);
                [this.deck[i], this.deck[j]] = [this.deck[j], this.deck[i]];
            }
        }
        return this.deck.pop();
    }

    nurand(a, c, low, high) {
        const mixed = this.random.between(0, a) | this.random.between(low, high);
        return ((mixed + c) % (high - low + 1)) + low;
    }

    customer() { return this.nurand(1023, 259, 1, this.customers); }
    district() { return this.random.between(1, 10); }

    lastName() {
        const number = this.nurand(255, 223, 0, Math.min(1000, this.customers) - 1);
        return [100, 10, 1].map((divisor) => SYLLABLES[Math.floor(number / divisor) % 10]).join('');
    }

    otherThan(warehouse) {
        const other = this.random.between(1, this.warehouses - 1);
        return other < warehouse ? other : other + 1;
    }

    /** The customer by number, or in 60 % by name. */
    customerArguments() {
        return this.random.chance(0.6) ? [0, this.lastName()] : [this.customer(), ''];
    }

    argumentsOf(procedure) {
        const { random } = this;
        const warehouse = random.between(1, this.warehouses);
        if (procedure === 'new_order') {
            const aborts = random.chance(0.01);
            const lines = Array.from({ length: random.between(5, 15) }, () => [this.nurand(8191, 7911, 1, this.items),
                this.warehouses > 1 && random.chance(0.01) ? this.otherThan(warehouse) : warehouse, random.between(1, 10)]);
            if (aborts) lines.at(-1)[0] = this.items + 1;
            return [warehouse, this.district(), this.customer(), lines];
        }
        if (procedure === 'payment') {
            const district = this.district();
            const remote = this.warehouses > 1 && random.chance(0.15);
            const cents = random.between(100, 500000);
            return [warehouse, district, remote ? this.otherThan(warehouse) : warehouse, remote ? this.district() : district,
                ...this.customerArguments(), `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`];
        }
        if (procedure === 'order_status') return [warehouse, this.district(), ...this.customerArguments()];
        if (procedure === 'delivery') return [warehouse, random.between(1, 10)];
        return [warehouse, this.district(), random.between(10, 20)];
    }

    async submitTransaction() {
        const procedure = this.draw();
        await this.sutAdapter.sendRequests({ procedure, args: this.argumentsOf(procedure), codes: [UNUSED_ITEM] });
    }
}

module.exports = { createWorkloadModule: () => new Tpcc() };
