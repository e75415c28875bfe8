#!/usr/bin/env python3
"""What the processes of a cluster hold: memory, disk, CPU time so far, by host and role.

    bench/cluster/footprint.py CLUSTER PIDS            one JSON object on standard output
    bench/cluster/footprint.py --difference A B COUNT  what COUNT requests between two of them cost

CLUSTER is the folder of deploy/cluster.sh, PIDS the output of its command `pids`.
"""
import collections
import json
import os
import pathlib
import sys

TICKS = os.sysconf("SC_CLK_TCK")


def of_process(pid):
    proc = pathlib.Path("/proc") / pid
    status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
    fields = (proc / "stat").read_text().rsplit(")", 1)[1].split()
    try:
        written = int(dict(line.split(": ") for line in (proc / "io").read_text().splitlines())["write_bytes"])
    except OSError:
        written = 0
    return {"rss_bytes": int(status["VmRSS"].split()[0]) * 1024, "written_bytes": written,
            "cpu_us": (int(fields[11]) + int(fields[12])) * 1_000_000 // TICKS}


def disk_bytes(folder):
    total = 0
    for base, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(base, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # compacted away while we looked
    return total


def take(cluster, pids):
    roles = collections.defaultdict(lambda: collections.Counter())
    hosts = {}
    for line in pathlib.Path(pids).read_text().splitlines():
        pid, role, *host = line.split()
        found = of_process(pid)
        roles[role].update(found)
        if role == "daemon" and host:
            hosts[host[0]] = found
    disk = {host.name: disk_bytes(host) for host in (pathlib.Path(cluster) / "hosts").iterdir()}
    return {"roles": roles, "daemons": hosts, "disk_bytes": disk}


def difference(before, after, count):
    million = count / 1e6
    result = {"requests": count, "roles": {}, "daemons": {}}
    for role, values in after["roles"].items():
        was = before["roles"].get(role, {})
        result["roles"][role] = {
            "rss_mb_after": values["rss_bytes"] / 1e6,
            "rss_mb_grown": (values["rss_bytes"] - was.get("rss_bytes", 0)) / 1e6,
            "written_mb_per_million": (values["written_bytes"] - was.get("written_bytes", 0)) / 1e6 / million}
    for host, values in after["daemons"].items():
        was = before["daemons"].get(host, {})
        result["daemons"][host] = {"cpu_us_per_request": (values["cpu_us"] - was.get("cpu_us", 0)) / count}
    result["disk_mb_after"] = sum(after["disk_bytes"].values()) / 1e6
    result["disk_mb_per_million"] = (sum(after["disk_bytes"].values()) - sum(before["disk_bytes"].values())) / 1e6 / million
    return result


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--difference":
        before, after = (json.loads(pathlib.Path(name).read_text()) for name in sys.argv[2:4])
        print(json.dumps(difference(before, after, int(sys.argv[4])), indent=1))
    elif len(sys.argv) == 3:
        print(json.dumps(take(*sys.argv[1:]), indent=1))
    else:
        print(__doc__.strip())
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
