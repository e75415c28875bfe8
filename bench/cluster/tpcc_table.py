#!/usr/bin/env python3
"""What bench/cluster/tpcc.sh measured, as a table: medians over the rounds, and the goals' ratios.

    bench/cluster/tpcc_table.py FOLDER
"""
import json
import pathlib
import statistics
import sys

WAYS = {"call": "unreplicated, one CALL", "text": "unreplicated, text statements",
        "prepared": "unreplicated, prepared statements", "cluster": "cluster, three databases"}


def read(folder):
    """{way: {figure: median over the rounds}}, CPU in microseconds per transaction."""
    found = {}
    for way in WAYS:
        runs = [json.loads(file.read_text()) for file in sorted(folder.glob(f"{way}.*.json"))]
        if not runs:
            continue
        figures = [{"rate": run["per_second"], "p50": run["latency_us"]["p50"] / 1000,
                    "p99": run["latency_us"]["p99"] / 1000,
                    **{role: value for role, value in run["cpu_us_per_transaction"].items()}} for run in runs]
        found[way] = {name: statistics.median(one[name] for one in figures) for name in figures[0]}
        found[way]["failed"] = sum(run["failed"] for run in runs)
    return found


def ratios(found):
    """[(what, value, goal)]; a goal is a text."""
    lines = []
    if "cluster" not in found:
        return lines
    ours = found["cluster"]
    daemons = ours.get("daemon", 0) + ours.get("tpm", 0)
    lines.append(("CPU of our processes / CPU of the three databases", daemons / ours["database"], "<= 0.06"))
    if "call" in found:
        # Three servers execute each transaction: per server's CPU second.
        lines.append(("transactions per CPU second of one database server / unreplicated by CALL",
                      found["call"]["database"] / (ours["database"] / 3), ">= 0.95 plain, >= 1.6 vectorized"))
    for way in ("text", "prepared"):
        if way in found:
            lines.append((f"transactions/s of everything / {WAYS[way]}", ours["rate"] / found[way]["rate"], ">= 1.0"))
            lines.append((f"CPU of everything per transaction / {WAYS[way]}",
                          total(ours) / total(found[way]), "<= 1.0"))
    return lines


def total(figures):
    return sum(figures.get(role, 0) for role in ("driver", "daemon", "tpm", "database"))


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) == 2 else 2
    found = read(pathlib.Path(sys.argv[1]))
    if not found:
        print(f"tpcc_table.py: no results in {sys.argv[1]}", file=sys.stderr)
        return 1
    print("| | transactions/s | p50 ms | p99 ms | CPU us per transaction: clients | daemons | TPMs | databases | failed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for way, figures in found.items():
        cells = [f"{figures['rate']:.0f}", f"{figures['p50']:.1f}", f"{figures['p99']:.1f}"]
        cells += [f"{figures[role]:.0f}" if role in figures else "-" for role in ("driver", "daemon", "tpm", "database")]
        print(f"| {WAYS[way]} | " + " | ".join(cells) + f" | {figures['failed']} |")
    print("\n| ratio | measured | goal |\n|---|---|---|")
    for what, value, goal in ratios(found):
        print(f"| {what} | {value:.2f} | {goal} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
