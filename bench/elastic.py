#!/usr/bin/env python3
"""What a cluster did under a load that rises and falls, over time: a table, and figures for bench/draw.py.

    bench/elastic.py CLUSTER --profile 2x20,20x60,2x60 --target-ms 1000 [--peak 5] [--pause-ms 250] [--json FILE]

CLUSTER is the folder of deploy/cluster.sh; in it `timeline` is what `tpcc_drive --timeline` wrote and `controller.log` what
`bftctl controller` said. Exit status 1: the groups did not go from one to --peak and back, or a move paused its partitions
for longer than --pause-ms.
"""
import argparse
import bisect
import datetime
import json
import pathlib
import re
import sys

MOVE = re.compile(r"(\d+)->(\d+)")
EVENT = re.compile(r"(config_ordered|partitions_taken) self=replica\.(\d+)\.\d+ .*slot=(\d+) ")


# Seconds from a client's call to its place in a slot, at most.
ON_THE_WAY = 0.05


def seconds_of(stamp):
    when = datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ")
    return when.replace(tzinfo=datetime.timezone.utc).timestamp()


def read_timeline(path):
    """Sorted (seconds since 1970, milliseconds that it took, warehouse)."""
    with open(path) as lines:
        return sorted((int(at) / 1000, int(took) / 1000, int(where)) for at, where, took in (line.split() for line in lines))


def read_decisions(path):
    """[{"at", "slot", "groups" that serve, "moves": {partition: group}, "why"}] of every change that came into force."""
    found = []
    with open(path) as lines:
        for line in lines:
            if "controller_decided" not in line or "done=true" not in line:
                continue
            found.append({"at": seconds_of(line.split()[0]), "slot": int(re.search(r" slot=(\d+)", line)[1]),
                          "groups": int(re.search(r"groups=(\d+)", line)[1]),
                          "moves": {int(partition): int(group) for partition, group in MOVE.findall(line.split(" moves ")[1])},
                          "why": re.search(r'what="(.*)"', line)[1]})
    return found


def read_events(logs):
    """({slot: when its change was ordered}, {(slot, group): [when its members had taken over what it gained]})."""
    ordered, taken = {}, {}
    for log in logs:
        for line in log.read_text(errors="replace").splitlines():
            if found := EVENT.search(line):
                at, slot = seconds_of(line.split()[0]), int(found[3])
                if found[1] == "config_ordered":
                    ordered[slot] = min(at, ordered.get(slot, at))
                else:
                    taken.setdefault((slot, int(found[2])), []).append(at)
    return ordered, taken


def pauses_of(events, calls, decisions, quorum, page_ms):
    """[(how many milliseconds what moved stood still, how many its calls waited)], change by change; None where the logs do not tell. From when nothing
    more is appended, or from the first call that meets that, until a quorum of each group that gained something goes on.
    `page_ms` is what an answer takes after that at least."""
    ordered, taken = events
    pauses = []
    for decision in decisions:
        slot = decision["slot"]
        ends = [sorted(taken.get((slot, group), [])) for group in set(decision["moves"].values())]
        if slot not in ordered or any(len(end) < quorum for end in ends):
            pauses.append(None)
            continue
        begin, end = ordered[slot], max(end[quorum - 1] for end in ends)
        # That it has taken over is noted with the next slot: where nobody calls it stands still, and nobody waits.
        met = [at - took / 1000 for at, took, where in calls if where in decision["moves"]
               and begin - ON_THE_WAY <= at - took / 1000 <= end and at >= end + page_ms / 1000]
        pauses.append((1000 * (end - begin), 1000 * (end - max(begin, min(met))) if met else 0))
    return pauses


def offered(profile, elapsed):
    for clients, seconds in profile:
        if elapsed < seconds:
            return clients
        elapsed -= seconds
    return profile[-1][0]


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0


def rows_of(calls, decisions, profile, partitions, step):
    """One for each step of time: what was offered, what was done, and who owned what at its end."""
    begin, end = min(at - took / 1000 for at, took, _ in calls), calls[-1][0]
    times = [at for at, *_ in calls]
    owners, done, rows = {partition: 1 for partition in range(1, partitions + 1)}, 0, []
    at = begin
    while at + step / 2 < end:  # what is left after that would look like a fall
        inside = calls[bisect.bisect_left(times, at):bisect.bisect_left(times, at + step)]
        while done < len(decisions) and decisions[done]["at"] < at + step:
            owners.update(decisions[done]["moves"])
            done += 1
        rows.append({"seconds": at - begin, "clients": offered(profile, at - begin), "per_second": len(inside) / step,
                     "p95_ms": percentile([took for _, took, _ in inside], .95), "groups": len(set(owners.values())),
                     "owners": dict(owners)})
        at += step
    return rows


def sizes(owners):
    groups = list(owners.values())
    return "+".join(str(groups.count(group)) for group in sorted(set(groups), key=lambda g: (-groups.count(g), g)))


def print_table(rows, target):
    print(f"{'SECONDS':>8} {'CLIENTS':>8} {'TX/s':>8} {'p95 ms':>8} {'TARGET':>7} {'GROUPS':>7}  PARTITIONS")
    for row in rows:
        print(f"{row['seconds']:>8.0f} {row['clients']:>8} {row['per_second']:>8.1f} {row['p95_ms']:>8.0f} "
              f"{'over' if row['p95_ms'] > target else '':>7} {row['groups']:>7}  {sizes(row['owners'])}")


def judge(groups, pauses, options):
    """What is wrong, in sentences."""
    wrong = []
    if options.peak and (groups[0] != 1 or max(groups) != options.peak or groups[-1] != 1):
        wrong.append(f"the groups that serve went {' -> '.join(map(str, groups))}, not from 1 to {options.peak} and back")
    known = [pause for pause in pauses if pause is not None]
    if len(known) < len(pauses):
        print(f"of {len(pauses) - len(known)} changes the logs do not say how long they took")
    still, waited = ([pause[n] for pause in known] for n in (0, 1))
    if known:
        print(f"{len(known)} changes: what moved stood still for {percentile(still, .5):.0f} ms (half), {max(still):.0f} ms (longest); "
              f"calls waited for that {percentile(waited, .5):.0f} ms (half), {max(waited):.0f} ms (longest)")
    if options.pause_ms and (not known or percentile(waited, .99) > options.pause_ms):
        wrong.append(f"calls waited for moves for {max(waited, default=0):.0f} ms, more than {options.pause_ms:.0f}")
    return wrong


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cluster", type=pathlib.Path)
    parser.add_argument("--profile", required=True)
    parser.add_argument("--partitions", type=int, default=5)
    parser.add_argument("--target-ms", type=float, default=1000)
    parser.add_argument("--faults", type=int, default=1, help="f of the cluster")
    parser.add_argument("--page-cost-ms", type=float, default=0, help="what an answer takes at least, by bftnode's option")
    parser.add_argument("--step", type=float, default=5, help="seconds of a line")
    parser.add_argument("--peak", type=int, default=0, help="groups that must serve at most (0: any)")
    parser.add_argument("--pause-ms", type=float, default=0, help="bound for the pause of what moves (0: none)")
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def main():
    options = parse_arguments()
    profile = [tuple(map(int, step.split("x"))) for step in options.profile.split(",")]
    calls = read_timeline(options.cluster / "timeline")
    if not calls:
        sys.exit("the timeline is empty")
    decisions = read_decisions(options.cluster / "controller.log")
    events = read_events(sorted(options.cluster.glob("hosts/*/log/node.log")))
    pauses = pauses_of(events, calls, decisions, options.faults + 1, options.page_cost_ms)
    print_table(rows_of(calls, decisions, profile, options.partitions, options.step), options.target_ms)
    groups = [1] + [decision["groups"] for decision in decisions]
    print(f"groups that serve: {' -> '.join(map(str, groups))}")
    wrong = judge(groups, pauses, options)
    if options.json:
        begin = min(at - took / 1000 for at, took, _ in calls)
        options.json.write_text(json.dumps({
            "profile": profile, "target_ms": options.target_ms, "partitions": options.partitions,
            "groups": groups, "pauses_ms": pauses, "calls": len(calls),
            "decisions": [{**decision, "at": decision["at"] - begin} for decision in decisions],
            "rows": rows_of(calls, decisions, profile, options.partitions, 2)}))
    for sentence in wrong:
        print(f"elastic.py: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
