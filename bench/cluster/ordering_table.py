#!/usr/bin/env python3
"""What the runs of bench/cluster/ordering.sh measured, as a table.

    bench/cluster/ordering_table.py FOLDER
"""
import json
import pathlib
import sys


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) == 2 else 2
    files = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
    if not files:
        print(f"ordering_table.py: no results in {sys.argv[1]}", file=sys.stderr)
        return 1
    print("| run | bytes | under way | requests/s | p50 ms | p99 ms | CPU us per request: nodes | clients | failed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for file in files:
        run = json.loads(file.read_text())
        cpu = run["cpu_us_per_request"]
        nodes = sum(value for role, value in cpu.items() if role != "clients")
        latency = run["latency_us"]
        print(f"| {file.stem} | {run['bytes']} | {run['clients'] * run['outstanding']} | {run['per_second']:.0f} "
              f"| {latency['p50'] / 1000:.2f} | {latency['p99'] / 1000:.2f} | {nodes:.1f} | {cpu['clients']:.1f} | {run['failed']} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
