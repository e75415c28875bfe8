#!/usr/bin/env python3
"""What bench/cluster/thesis.sh measured, as tables beside the thesis's own figures.

    bench/cluster/thesis_table.py FOLDER [--page-cost-ms N]
"""
import argparse
import collections
import json
import pathlib

# Read off figure 5.5 and section 5.3 of the thesis: speed-up at five groups, and what one group reaches.
THESIS_SPEED_UP = 4.2
THESIS_ONE_GROUP = 200  # transactions a minute


def read(folder):
    """{(system, servers or groups, clients): result}"""
    runs = {}
    for file in folder.glob("*.json"):
        system, servers, clients = file.stem.split(".")
        runs[system, int(servers), int(clients)] = json.loads(file.read_text())
    return runs


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=pathlib.Path)
    options.add_argument("--page-cost-ms", type=float, default=200)
    arguments = options.parse_args()
    runs = read(arguments.folder)
    by_clients = collections.defaultdict(list)
    for system, servers, clients in runs:
        if system == "groups" and ("unreplicated", servers, clients) in runs:
            by_clients[clients].append(servers)
    for clients, groups in sorted(by_clients.items()):
        print(f"\n{clients} clients, a page of {arguments.page_cost_ms:.0f} ms; the thesis: one group "
              f"{THESIS_ONE_GROUP} a minute, speed-up {THESIS_SPEED_UP} at five\n")
        print("| groups | a minute | unreplicated | overhead | speed-up | p50 ms | p95 ms | p95 / page |")
        print("|---|---|---|---|---|---|---|---|")
        first = None
        for count in sorted(groups):
            ours, plain = (runs[system, count, clients] for system in ("groups", "unreplicated"))
            rate, base = ours["per_second"] * 60, plain["per_second"] * 60
            first = first or rate / count
            p50, p95 = (ours["latency_us"][name] / 1000 for name in ("p50", "p95"))
            print(f"| {count} | {rate:.0f} | {base:.0f} | {100 * (1 - rate / base):+.1f} % | {rate / first:.2f} "
                  f"| {p50:.0f} | {p95:.0f} | {p95 / arguments.page_cost_ms:.2f} |")


if __name__ == "__main__":
    main()
