#!/usr/bin/env python3
"""A real cluster under TPC-C load for as long as one likes, while hosts are killed, put to sleep, cut off, lose power,
lie, and have their databases damaged: one disturbance after another, drawn at random from a seed.

    tests/integration/cluster/soak.py [--seconds N] [--seed N] [--only NAME,...] [--report FILE] ...

Each disturbance stays within the fault budget (f = 1 host, or primaries of which one is left), and ends when everybody takes
part again without help. At the end, or after Ctrl-C: nothing that was acknowledged is missing, nothing ran twice, TPC-C's
consistency conditions hold, all databases are equal; and it is said whether memory, open files and disks stay flat.
Exit status 0: all of that; 1: something is wrong, and the cluster's folder is kept; 3: right, but something grows.

BFT_BUILD names the folder of the built programs.
"""
import argparse
import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time

import harness

TIMING = ["silence_patience_ms = 1500", "new_view_patience_ms = 3000", "patience_max_ms = 15000"]
REPLICAS = ["host1", "host2", "host3"]
LIES = ["wrong-commit", "wrong-commit-db", "wrong-result,wrong-reply", "silence", "garbage"]
# By hand, behind a voter's back.
DAMAGE = [
    "UPDATE customer SET c_balance = c_balance + 1000000 ORDER BY c_w_id, c_d_id, c_id LIMIT 1",
    "DELETE FROM stock WHERE s_w_id = 2 LIMIT 3",
    "SET foreign_key_checks = 0; DROP TABLE new_order",
    "DELETE FROM cbft_part WHERE part = 1",
    "UPDATE item SET i_price = i_price + 1 WHERE i_id = 7",
]
# A thing grows when its last third is this much above its middle third. A short run is not over its beginning: caches fill,
# and a log grows until it is as long as it may be.
GROWTH = {"RSS": (1.25, 24 << 20), "files": (1.2, 10), "disk": (1.3, 64 << 20)}


class Samples:
    """Memory and open files by role, disk by folder; the largest of all hosts each time."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.values = collections.defaultdict(list)

    def take(self):
        now = collections.defaultdict(int)
        for host in self.cluster.hosts():
            for process in ("node", "usig", "tpm", "database"):
                with contextlib.suppress(OSError, ValueError, StopIteration):
                    pid = self.cluster.pid(host, process)
                    status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                    rss = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))
                    role = "primary" if process == "node" and host.startswith("primary") else process
                    now["RSS", role] = max(now["RSS", role], rss)
                    now["files", role] = max(now["files", role], len(os.listdir(f"/proc/{pid}/fd")))
            data = self.cluster.dir / "hosts" / host / "data"
            now["disk", "data"] = max(now["disk", "data"], sum(size_of(file) for file in data.rglob("*")))
        for key, value in now.items():
            self.values[key].append(value)

    def report(self):
        """(lines of a table, does anything grow)."""
        lines, grows = [], False
        for (kind, role), values in sorted(self.values.items()):
            third = len(values) // 3
            if third < 3:
                lines.append(f"{kind:6}{role:10} too few samples")
                continue
            first, middle, last = (statistics.median(part) for part in
                                   (values[:third], values[third:-third], values[-third:]))
            factor, more = GROWTH[kind]
            grown = last > middle * factor and last > middle + more
            grows |= grown
            shown = [f"{value / 2**20:9.1f} MiB" if kind != "files" else f"{value:9.0f}    "
                     for value in (first, middle, last, max(values))]
            lines.append(f"{kind:6}{role:10}" + "".join(shown) + (
                f"{100 * (last - middle) / max(middle, 1):+8.0f} %" + ("   GROWS" if grown else "")))
        return [f"{'':16}{'first third':>13}{'middle':>13}{'last':>13}{'largest':>13}{'last/middle':>12}", *lines], grows


def size_of(file):
    with contextlib.suppress(OSError):
        return file.stat().st_blocks * 512
    return 0


class Soak:
    def __init__(self, options, cluster):
        self.options, self.cluster = options, cluster
        self.dice = random.Random(options.seed)
        self.samples = Samples(cluster)
        self.counts = collections.Counter()
        self.worst = collections.defaultdict(float)
        self.began = time.monotonic()

    # --- pieces ---

    def flow(self, most=60):
        self.cluster.requests_flow(more=self.dice.randint(5, most))

    def replica(self):
        return self.dice.choice(REPLICAS)

    def any_host(self):
        return self.dice.choice(self.cluster.hosts())

    def leader(self):
        return harness.wait_until(self.cluster.leader, "somebody leads")

    def pause(self, host, process):
        self.cluster.signal(host, process, signal.SIGSTOP)
        try:
            self.flow(200)
        finally:
            self.cluster.signal(host, process, signal.SIGCONT)

    def guard(self, host):
        return (self.cluster.status()["hosts"][host] or {}).get("voter", {}).get("guard", {})

    def rebuilt(self, host, transfers):
        harness.wait_until(lambda: self.guard(host).get("transfers", 0) > transfers
                           and self.guard(host)["state"] == "sound", f"the database of {host} is rebuilt",
                           3 * harness.PATIENCE)

    def start(self, host):
        self.cluster.script("start-host", host)

    # --- disturbances: each says whom it hit ---

    def calm(self):
        """None: what grows now grows by itself."""
        self.cluster.requests_flow(more=500)
        return "nobody"

    def kill_daemons(self):
        host = self.any_host()
        self.cluster.script("kill-daemons", host)
        self.flow()
        self.start(host)
        return host

    def kill_host(self):
        host = self.any_host()
        self.cluster.script("kill-host", host)
        self.flow()
        self.start(host)
        return host

    def kill_leader(self):
        host = self.leader()
        self.cluster.script(self.dice.choice(["kill-daemons", "kill-host"]), host)
        harness.wait_until(lambda: self.cluster.leader() not in (None, host), f"another one leads after {host}")
        self.flow()
        self.start(host)
        return host

    def kill_all_primaries_but_one(self):
        primaries = [host for host in self.cluster.hosts() if host.startswith("primary")]
        dead = self.dice.sample(primaries, len(primaries) - 1)
        for host in dead:
            self.cluster.script("kill-daemons", host)
        self.flow()
        for host in dead:
            self.start(host)
        return ",".join(dead)

    def restart(self):
        host = self.any_host()
        for process in ("node", "usig"):
            self.cluster.signal(host, process, signal.SIGTERM)
        pids = [self.cluster.pid(host, process) for process in ("node", "usig")]
        harness.wait_until(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids), f"{host} stops")
        self.start(host)
        return host

    def power_cut(self):
        self.cluster.script_everywhere(self.dice.choice(["kill-daemons", "kill-host"]))
        self.cluster.script_everywhere("start-host")
        return "all"

    def sleeping_host(self):
        host = self.any_host()
        self.pause(host, "node")
        return host

    def sleeping_database(self):
        host = self.replica()
        self.pause(host, "database")
        return host

    def sleeping_tpm(self):
        host = self.any_host()
        self.pause(host, "tpm")
        return host

    def dead_database(self):
        host = self.replica()
        home = self.cluster.dir / "hosts" / host / "mariadb"
        harness.run(harness.ROOT / "deploy" / "mariadb.sh", "kill", home, check=True)
        self.flow()
        self.start(host)
        return host

    def partition(self):
        minority = [self.replica(), self.dice.choice([h for h in self.cluster.hosts() if h.startswith("primary")])]
        net = self.cluster.net
        net.split(minority, [end for end in net.ends if end not in minority])
        self.flow(200)
        net.heal()
        return ",".join(minority)

    def everybody_alone(self):
        net = self.cluster.net
        net.split(*[[end] for end in net.ends])
        self.cluster.status()
        net.heal()
        return "all"

    def one_way(self):
        a, b = self.dice.sample(self.cluster.hosts(), 2)
        self.cluster.net.cut_one_way((a, b))
        self.flow()
        self.cluster.net.heal()
        return f"{a}->{b}"

    def swizzle(self):
        net, hosts = self.cluster.net, self.cluster.hosts()
        pairs = self.dice.sample([(a, b) for a in hosts for b in hosts if a < b], 6)
        for pair in pairs:
            net.cut(pair)
        for pair in self.dice.sample(pairs, len(pairs)):
            net.mend(*net.both([pair]))
        return "links"

    def resets(self):
        for _ in range(5):
            self.cluster.net.reset()
            self.flow(10)
        return "links"

    def half_open(self):
        host = self.any_host()
        self.cluster.net.reset([(host, other) for other in self.cluster.net.ends if other != host], half=0)
        self.flow()
        return host

    def forgotten_connections(self):
        host = self.any_host()
        self.cluster.net.forget([(host, other) for other in self.cluster.net.ends if other != host])
        self.flow()
        return host

    def bad_links(self):
        self.cluster.net.shape(delay=self.dice.choice([0.02, 0.1]), rate=self.dice.choice([None, 500_000]))
        self.flow()
        self.cluster.net.heal()
        return "links"

    def liar(self):
        host = self.replica()
        lies = self.dice.choice(LIES)
        self.cluster.script("kill-daemons", host)
        self.cluster.node_arguments[host] = f"--insecure-misbehave={lies}"
        try:
            self.start(host)
            self.flow(300)
        finally:
            del self.cluster.node_arguments[host]
        self.cluster.script("kill-daemons", host)
        self.start(host)
        return f"{host} {lies}"

    def damaged_database(self):
        host = self.replica()
        what = self.dice.choice(DAMAGE)
        transfers = self.guard(host).get("transfers", 0)
        harness.run("mariadb", "--no-defaults", f"--socket={self.cluster.socket(host)}", "--user=root", "tpcc", "-e", what,
                    check=True)
        self.rebuilt(host, transfers)
        return f"{host}: {what}"

    def lost_database(self):
        host = self.replica()
        self.cluster.script("kill-host", host)
        shutil.rmtree(self.cluster.dir / "hosts" / host / "mariadb")
        self.start(host)
        harness.wait_until(lambda: self.guard(host).get("transfers", 0) > 0 and self.guard(host)["state"] == "sound",
                           f"the database of {host} is rebuilt", 3 * harness.PATIENCE)
        return host

    # --- all of it ---

    NAMES = ["calm", "kill_daemons", "kill_host", "kill_leader", "kill_all_primaries_but_one", "restart", "power_cut",
             "sleeping_host", "sleeping_database", "sleeping_tpm", "dead_database", "partition", "everybody_alone", "one_way",
             "swizzle", "resets", "half_open", "forgotten_connections", "bad_links", "liar", "damaged_database",
             "lost_database"]

    def say(self, text):
        print(f"{time.monotonic() - self.began:7.0f} s  {text}", flush=True)

    def one(self, name):
        began = time.monotonic()
        before = self.cluster.foremost()
        whom = getattr(self, name)()
        disturbed = time.monotonic() - began
        self.cluster.all_is_well()
        seconds = time.monotonic() - began
        self.counts[name] += 1
        self.worst[name] = max(self.worst[name], seconds)
        self.samples.take()
        self.say(f"{sum(self.counts.values()):4} {name}: {whom}; well {seconds - disturbed:.1f} s after it ended; "
                 f"{(self.cluster.foremost() - before) / seconds:.0f} items/s, view {self.cluster.view()}")

    def run(self, driver):
        names = self.options.only.split(",") if self.options.only else self.NAMES
        bag = []
        while not self.options.seconds or time.monotonic() - self.began < self.options.seconds:
            # Each once before any comes again.
            bag = bag or self.dice.sample(names, len(names))
            if driver.poll() is not None:
                raise AssertionError("the driver ended:\n" + self.cluster.driver_log.read_text()[-2000:])
            self.one(bag.pop())

    def judge(self, driver):
        """Raises AssertionError when something is wrong."""
        driver.send_signal(signal.SIGINT)
        result = self.cluster.finished(driver)
        self.say(f"{result['committed']} committed, {result['failed']} failed, {result['repeated']} sent again, "
                 f"{result['disagreed']} with a replica that said something else; {result['per_second']:.0f} a second")
        if result["failed"]:
            raise AssertionError(f"{result['failed']} requests failed")
        check = harness.wait_until(self.equal, "all databases are equal, and TPC-C's conditions hold")
        self.say(check.stdout.strip().splitlines()[-1])
        for host in REPLICAS:
            self.say(f"acknowledged and in the database of {host}, once: {self.cluster.check_acknowledged(host)}")

    def equal(self):
        check = self.cluster.check_databases()
        return check if check.returncode == 0 else None

    def summary(self):
        lines = [f"{'disturbance':30}{'times':>6}{'longest until well':>20}"]
        lines += [f"{name:30}{count:6}{self.worst[name]:18.1f} s" for name, count in sorted(self.counts.items())]
        table, grows = self.samples.report()
        print(*lines, "", *table, sep="\n", flush=True)
        return grows


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=0, help="0: until Ctrl-C")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--warehouses", type=int, default=2)
    parser.add_argument("--scale", type=float, default=0.01)
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--primaries", type=int, default=3)
    parser.add_argument("--scan-slots", type=int, default=256)
    parser.add_argument("--retain-slots", type=int, default=4096, help="how long the hosts' logs are")
    parser.add_argument("--only", default="", help="these disturbances: " + ", ".join(Soak.NAMES))
    options = parser.parse_args()
    for name in filter(None, options.only.split(",")):
        if name not in Soak.NAMES:
            parser.error(f"there is no disturbance '{name}'; there are: {', '.join(Soak.NAMES)}")
    return options


def soak(options, cluster):
    for host in cluster.hosts():
        with open(cluster.dir / "hosts" / host / "node.toml", "a") as file:
            file.write(f"\n[limits]\nretain_slots = {options.retain_slots}\n")
    cluster.start_loaded(options.warehouses, options.scale)
    driver = cluster.drive(seconds=30 * 86400, clients=options.clients)
    try:
        cluster.requests_flow()
        run = Soak(options, cluster)
        with contextlib.suppress(KeyboardInterrupt):
            run.run(driver)
        run.say("the end: everything is started, and judged")
        cluster.net.heal()
        cluster.start()
        cluster.all_is_well()
        # An interrupt may have left a database damaged that nobody has compared since.
        harness.wait_until(lambda: harness.run(harness.BFTCTL, "audit", cluster.dir).returncode == 0,
                           "an audit finds all databases equal", 3 * harness.PATIENCE)
        run.judge(driver)
        return run.summary()
    finally:
        driver.kill()
        driver.wait()


def main():
    options = parse()
    cluster = harness.Cluster(proxied=True, groups=options.groups, partitions=options.warehouses,
                              primaries=options.primaries, scan_slots=options.scan_slots, timing=TIMING)
    print(f"seed {options.seed}; Ctrl-C ends it well", flush=True)
    try:
        with cluster:
            grows = soak(options, cluster)
    except (AssertionError, subprocess.SubprocessError) as failure:
        print(f"FAILED: {failure}\nThe logs are in {cluster.dir}" if os.environ.get("BFT_KEEP") else f"FAILED: {failure}",
              flush=True)
        return 1
    print("something grows" if grows else "all is right, and nothing grows beyond its bounds", flush=True)
    return 3 if grows else 0


if __name__ == "__main__":
    sys.exit(main())
