#!/usr/bin/env python3
"""What bench/growth.sh measured, as tables.

    bench/growth_table.py FOLDER
"""
import csv
import json
import pathlib
import sys

COLUMNS = [("frames", "frames", 3), ("frame_bytes", "bytes", 0), ("certificates", "certificates", 4),
           ("certificate_checks", "their checks", 4), ("signature_checks", "signatures checked", 4),
           ("syncs", "syncs", 4), ("log_bytes", "log bytes", 0), ("leader_host_us", "CPU us: leading host", 2),
           ("cpu_us", "all", 2)]
KEYS = {"groups": "groups", "groups-databases": "groups", "faults": "f", "bytes": "bytes", "crowd": "crowd"}
TITLES = {"groups": "groups, ordering alone, 512 requests together", "groups-databases": "groups, with databases",
          "faults": "faults, one group", "bytes": "bytes of an operation, 64 together", "crowd": "requests together"}


def read_model(folder):
    """{name: [row as dict of floats]}"""
    found = {}
    for name in KEYS:
        file = folder / f"model-{name}.csv"
        if file.exists():
            with file.open() as lines:
                found[name] = [{key: value if key == "databases" else float(value) for key, value in row.items()}
                               for row in csv.DictReader(lines)]
    return found


def read_real(folder):
    """{name: (run, footprint)}"""
    found = {}
    for file in sorted(folder.glob("real-*.json")):
        if "." in file.stem or file.stat().st_size == 0:
            continue
        footprint = file.with_suffix(".footprint.json")
        found[file.stem.removeprefix("real-")] = (json.loads(file.read_text()),
                                                  json.loads(footprint.read_text())
                                                  if footprint.exists() and footprint.stat().st_size else None)
    return found


def nodes_cpu(run):
    cpu = run["cpu_us_per_request"]
    return cpu.get("nodes", sum(value for role, value in cpu.items() if role != "clients"))


def print_real(real):
    print("\n| real processes | requests/s | p50 ms | CPU us per request: nodes | its primary's daemon | RSS MB, daemons "
          "| written MB per million | disk MB per million |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (run, footprint) in sorted(real.items(), key=lambda item: (item[0].rsplit("-", 1)[0],
                                                                        int(item[0].rsplit("-", 1)[1]))):
        cells = [name, f"{run['per_second']:.0f}", f"{run['latency_us']['p50'] / 1000:.1f}", f"{nodes_cpu(run):.1f}"]
        if footprint:
            written = sum(role["written_mb_per_million"] for role in footprint["roles"].values())
            cells += [f"{footprint['daemons'].get('primary1', {}).get('cpu_us_per_request', 0):.2f}",
                      f"{footprint['roles']['daemon']['rss_mb_after']:.0f}", f"{written:.0f}",
                      f"{footprint['disk_mb_per_million']:.0f}"]
        print("| " + " | ".join(cells) + " |")


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) == 2 else 2
    folder = pathlib.Path(sys.argv[1])
    model, real = read_model(folder), read_real(folder)
    if not model and not real:
        print(f"growth_table.py: no results in {folder}", file=sys.stderr)
        return 1
    print_tables(model, real)
    return 0


def print_tables(model, real):
    for name, rows in model.items():
        print(f"\nPer request, against {TITLES[name]}:\n")
        print(f"| {KEYS[name]} | " + " | ".join(title for _, title, _ in COLUMNS) + " |")
        print("|---" * (len(COLUMNS) + 1) + "|")
        for row in rows:
            print(f"| {row[KEYS[name]]:.0f} | " +
                  " | ".join(f"{row[key]:.{digits}f}" for key, _, digits in COLUMNS) + " |")
    if real:
        print_real(real)


if __name__ == "__main__":
    sys.exit(main())
