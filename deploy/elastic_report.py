#!/usr/bin/env python3
"""What a cluster under a changing load did, over time: a table, and with --svg a picture.

    deploy/elastic_report.py TIMELINE CONTROLLER_LOG --profile 4x30,64x60 --target-ms 100 [--step 5] [--svg FILE]

TIMELINE is what `tpcc_drive --timeline` wrote, CONTROLLER_LOG the log of `bftctl controller`; the picture needs
python3-matplotlib.
"""
import argparse
import bisect
import datetime
import re
import sys

MOVE = re.compile(r"(\d+)->(\d+)")


def read_timeline(path):
    """Sorted (seconds since 1970, milliseconds that it took)."""
    with open(path) as lines:
        return sorted((int(at) / 1000, int(took) / 1000) for at, _, took in (line.split() for line in lines))


def read_decisions(path):
    """(when, groups that serve, [(partition, group)]) of every change that came into force."""
    found = []
    with open(path) as lines:
        for line in lines:
            if "controller_decided" not in line or "done=true" not in line:
                continue
            when = datetime.datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S.%fZ")
            moves = [tuple(map(int, move)) for move in MOVE.findall(line.split(" moves ")[1])]
            found.append((when.replace(tzinfo=datetime.timezone.utc).timestamp(),
                          int(re.search(r"groups=(\d+)", line)[1]), moves))
    return found


def offered(profile, elapsed):
    for clients, seconds in profile:
        if elapsed < seconds:
            return clients
        elapsed -= seconds
    return profile[-1][0]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0


def rows_of(calls, decisions, profile, step):
    """One for each step of time: (elapsed, clients, transactions per second, p95, groups, sizes)."""
    begin, end = calls[0][0], calls[-1][0]
    times = [at for at, _ in calls]
    owners, groups, done, rows = {}, 1, 0, []
    at = begin
    while at < end:
        inside = calls[bisect.bisect_left(times, at):bisect.bisect_left(times, at + step)]
        while done < len(decisions) and decisions[done][0] < at + step:
            groups = decisions[done][1]
            owners.update(dict(decisions[done][2]))
            done += 1
        rows.append((at - begin, offered(profile, at - begin), len(inside) / step, percentile([took for _, took in inside], .95),
                     groups, dict(owners)))
        at += step
    return rows


def sizes(owners, partitions):
    count = {}
    for partition in range(1, partitions + 1):
        group = owners.get(partition, 1)
        count[group] = count.get(group, 0) + 1
    return "+".join(str(n) for n in sorted(count.values(), reverse=True))


def print_table(rows, partitions, target):
    print(f"{'SECONDS':>8} {'CLIENTS':>8} {'TX/s':>8} {'p95 ms':>8} {'TARGET':>7} {'GROUPS':>7}  PARTITIONS")
    for elapsed, clients, rate, p95, groups, owners in rows:
        print(f"{elapsed:>8.0f} {clients:>8} {rate:>8.0f} {p95:>8.1f} {'over' if p95 > target else '':>7} {groups:>7}  "
              f"{sizes(owners, partitions)}")


def draw(rows, target, path):
    try:
        import matplotlib
    except ImportError:
        sys.exit("the picture needs python3-matplotlib")
    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    figure, (load, latency, groups) = plt.subplots(3, 1, sharex=True, figsize=(7, 6))
    time = [row[0] for row in rows]
    load.step(time, [row[1] for row in rows], where="post", color="#999999", label="terminals")
    load.plot(time, [row[2] for row in rows], color="#1b6ca8", label="transactions a second")
    load.legend()
    latency.plot(time, [row[3] for row in rows], color="#d1603d", label="p95, ms")
    latency.axhline(target, color="#555555", linestyle=":", label="target")
    latency.legend()
    groups.step(time, [row[4] for row in rows], where="post", color="#4f9d69", label="groups that serve")
    groups.set(xlabel="seconds", ylim=(0, max(row[4] for row in rows) + 1))
    groups.legend()
    figure.tight_layout()
    figure.savefig(path)
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("timeline")
    parser.add_argument("log")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--partitions", type=int, default=5)
    parser.add_argument("--target-ms", type=float, default=100)
    parser.add_argument("--step", type=float, default=5)
    parser.add_argument("--svg")
    options = parser.parse_args()
    profile = [tuple(map(int, step.split("x"))) for step in options.profile.split(",")]
    calls = read_timeline(options.timeline)
    if not calls:
        sys.exit("the timeline is empty")
    rows = rows_of(calls, read_decisions(options.log), profile, options.step)
    print_table(rows, options.partitions, options.target_ms)
    if options.svg:
        draw(rows, options.target_ms, options.svg)


if __name__ == "__main__":
    main()
