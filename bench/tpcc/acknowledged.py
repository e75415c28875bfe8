#!/usr/bin/env python3
"""Is everything that the TPC-C driver was told (tpcc_drive --record) in the databases, and nothing else?

    bench/tpcc/acknowledged.py begin BEGIN --socket S             what was loaded, before the driver runs
    bench/tpcc/acknowledged.py check BEGIN RECORD.. --socket S    afterwards; exit status 1: something is wrong

An order, a payment or a delivery that was acknowledged and is not there was lost. One that is there and that nobody
was told about ran twice, unless its call has no outcome ("lost" in the record): that may have run, once.
"""
import argparse
import collections
import pathlib
import pickle
import subprocess
import sys


class Begin:
    """What was loaded. `query` gives the rows of a SELECT as tuples of text."""

    def __init__(self, query):
        self.next_order = {row[:2]: int(row[2]) for row in query("SELECT d_w_id, d_id, d_next_o_id FROM district")}
        self.undelivered = {row[:2]: int(row[2]) for row in query(
            "SELECT no_w_id, no_d_id, MIN(no_o_id) FROM new_order GROUP BY no_w_id, no_d_id")}
        self.payments = {row[:3]: int(row[3]) for row in query(
            "SELECT c_w_id, c_d_id, c_id, c_payment_cnt FROM customer")}


def read(record_files):
    """({procedure: [fields of what was acknowledged]}, the same of what has no outcome)."""
    ok, lost = collections.defaultdict(list), collections.defaultdict(list)
    for file in record_files:
        for line in file.read_text().splitlines():
            kind, procedure, *fields = line.split()
            (ok if kind == "ok" else lost)[procedure].append(tuple(fields))
    return ok, lost


def missing(what, found, acknowledged):
    gone = collections.Counter(acknowledged) - collections.Counter(found)
    return [f"{what}: acknowledged and not there: {each} x{n}" for each, n in gone.items()]


def unasked(what, each, count):
    return f"{what}: there, and nobody asked for it, or it ran twice: {each} x{count}"


def check_orders(query, begin, ok, lost):
    rows = query("SELECT o_w_id, o_d_id, o_c_id, o_ol_cnt, o_id FROM orders")
    new = [row for row in rows if int(row[4]) >= begin.next_order[row[:2]]]
    beyond = collections.Counter(row[:4] for row in (collections.Counter(new) - collections.Counter(ok)).elements())
    return missing("order", new, ok) + [unasked("order", each, n)
                                        for each, n in (beyond - collections.Counter(lost)).items()]


def check_payments(query, begin, ok, lost):
    """As (warehouse, district, customer, amount); who paid by name and got no answer is anybody."""
    rows = query("SELECT h_w_id, h_d_id, h_c_w_id, h_c_d_id, h_c_id, h_amount, h_payment_cnt FROM history")
    new = [row[:6] for row in rows if int(row[6]) > begin.payments[row[2:5]]]
    wrong = missing("payment", new, ok)
    by_name = collections.Counter((*row[:4], row[5]) for row in lost if row[4] == "0")
    known = collections.Counter([*ok, *(row for row in lost if row[4] != "0")])
    for row, count in (collections.Counter(new) - known).items():
        anybody = (*row[:4], row[5])
        if by_name[anybody] < count:
            wrong.append(unasked("payment", row, count))
        by_name[anybody] -= count
    return wrong


def check_deliveries(query, begin, ok, lost):
    rows = query("SELECT o_w_id, o_d_id, o_id, o_carrier_id FROM orders WHERE o_carrier_id IS NOT NULL")
    new = {row[:3]: row[3] for row in rows if int(row[2]) >= begin.undelivered.get(row[:2], 1 << 31)}
    said = {}
    wrong = []
    for warehouse, carrier, *orders in ok:
        for order in orders:
            key = (warehouse, *order.split(":"))
            if key in said:
                wrong.append(f"delivery: order {key} was delivered twice")
            said[key] = carrier
            if new.get(key) != carrier:
                wrong.append(f"delivery: order {key} was delivered by {carrier}, and has {new.get(key)}")
    unsaid = collections.Counter((key[0], key[1], carrier) for key, carrier in new.items() if key not in said)
    possible = collections.Counter((warehouse, carrier) for warehouse, carrier, *_ in lost)
    wrong += [f"delivery: {each} x{n}: nobody asked for it, or it ran twice"
              for each, n in unsaid.items() if n > possible[each[0], each[2]]]
    return wrong


def check(query, begin, record_files):
    """(sentences about what is wrong, {procedure: how many were acknowledged})."""
    ok, lost = read(record_files)
    wrong = []
    for procedure, look in (("new_order", check_orders), ("payment", check_payments), ("delivery", check_deliveries)):
        wrong += look(query, begin, ok[procedure], lost[procedure])
    return wrong, {procedure: len(fields) for procedure, fields in ok.items()}


def rows_of(socket, sql):
    """The rows of a SELECT, as tuples of text."""
    done = subprocess.run(["mariadb", "--no-defaults", f"--socket={socket}", "--user=root", "--batch", "--skip-column-names",
                           "tpcc", "-e", sql], capture_output=True, text=True, check=True)
    return [tuple(line.split("\t")) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("begin", "check"))
    parser.add_argument("begin", type=pathlib.Path)
    parser.add_argument("records", nargs="*", type=pathlib.Path)
    parser.add_argument("--socket", required=True)
    options = parser.parse_args()

    def query(sql):
        return rows_of(options.socket, sql)
    if options.action == "begin":
        options.begin.write_bytes(pickle.dumps(vars(Begin(query))))
        return 0
    begin = Begin.__new__(Begin)
    vars(begin).update(pickle.loads(options.begin.read_bytes()))
    wrong, counts = check(query, begin, options.records)
    for sentence in wrong[:20]:
        print(sentence, file=sys.stderr)
    print("acknowledged and there, once: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
