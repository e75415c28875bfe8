#!/usr/bin/env python3
"""Catalogue A on real processes: hosts crash, loop, start in any order, sleep, and have wrong clocks, under load."""
import datetime
import os
import pathlib
import random
import re
import signal
import time
import unittest

import harness

TIMING = ["silence_patience_ms = 1500", "new_view_patience_ms = 3000", "patience_max_ms = 15000"]
# How long somebody sleeps (A10).
ASLEEP_S = float(os.environ.get("BFT_ASLEEP_S", "5"))
ROUNDS = int(os.environ.get("BFT_ROUNDS", "4"))


class Crashes(harness.UnderLoad):
    options = {"groups": 2, "partitions": 2, "primaries": 3, "timing": TIMING}

    def leader(self):
        return harness.wait_until(self.cluster.leader, "somebody leads")

    def primaries(self):
        return [host for host in self.cluster.hosts() if host.startswith("primary")]

    def test_a4_the_leader_and_the_next_one_die(self):
        """A4: as many views as it takes, and the third one leads."""
        leader = self.leader()
        names = self.primaries()
        following = names[(names.index(leader) + 1) % len(names)]
        for host in (following, leader):
            self.cluster.script("kill-daemons", host)
        began = time.monotonic()
        harness.wait_until(lambda: self.cluster.leader() not in (None, leader, following), "the third one leads")
        self.requests_flow()
        print(f"    {time.monotonic() - began:.1f} s until requests flowed again", flush=True)
        for host in (following, leader):
            self.cluster.script("start-host", host)
        self.all_is_well()

    def test_a5_the_next_leader_dies_while_its_view_begins(self):
        """A5: whoever takes over is killed as soon as it is seen to collect, or to lead, for the first time."""
        leader = self.leader()
        view = self.cluster.view()
        self.cluster.script("kill-daemons", leader)

        def beginner():
            return next((host for host, document in self.cluster.documents().items()
                         if document.get("primary", {}).get("phase") in ("collecting", "active")
                         and document["primary"]["view"] > view), None)
        victim = harness.wait_until(beginner, "the next one begins")
        self.cluster.script("kill-daemons", victim)
        harness.wait_until(lambda: self.cluster.leader() not in (None, leader, victim), "the third one leads")
        self.requests_flow()
        for host in (leader, victim):
            self.cluster.script("start-host", host)
        self.all_is_well()

    def test_a8_crash_loop(self):
        """A8: a host that dies as soon as it is up; the others do not care, and in the end it is as far as they are."""
        for _ in range(ROUNDS):
            self.cluster.script("kill-daemons", "host3")
            self.cluster.script("start-host", "host3")
            harness.wait_until(lambda: "host3" in self.cluster.documents(), "it is up")
            self.requests_flow()
        self.all_is_well()

    def test_a9_chaotic_start(self):
        """A9: all are down and come back one at a time, in any order, some long after the others."""
        dice = random.Random(9)
        self.cluster.script_everywhere("kill-daemons")
        order = dice.sample(self.cluster.hosts(), len(self.cluster.hosts()))
        for host in order:
            self.cluster.script("start-host", host)
            harness.wait_until(lambda: host in self.cluster.documents(), f"{host} is up")
            documents = self.cluster.documents()
            if sum("voter" in d for d in documents.values()) >= 2 and any("primary" in d for d in documents.values()):
                self.requests_flow(f"requests flow with {sorted(documents)}")
        self.all_is_well()

    def asleep(self, host, process):
        self.cluster.signal(host, process, signal.SIGSTOP)
        self.addCleanup(self.wake, host, process)
        end = time.monotonic() + ASLEEP_S
        while time.monotonic() < end:
            self.requests_flow(f"requests flow without the {process} of {host}")
        self.wake(host, process)
        self.all_is_well()

    def wake(self, host, process):
        self.cluster.signal(host, process, signal.SIGCONT)

    def test_a10_a_replica_host_sleeps(self):
        """A10 (its primary is in kill_primary_test.py)."""
        self.asleep("host3", "node")

    def test_a10_a_database_sleeps(self):
        """A10: its voter waits; the other two answer."""
        self.asleep("host2", "database")

    def test_h2_views_change_all_the_time(self):
        """H2: whoever leads falls asleep as soon as requests flow; there is progress in each view."""
        began = self.cluster.view()
        for _ in range(ROUNDS):
            leader = self.leader()
            self.cluster.signal(leader, "node", signal.SIGSTOP)
            self.addCleanup(self.wake, leader, "node")
            harness.wait_until(lambda: self.cluster.leader() not in (None, leader), "another one leads")
            self.wake(leader, "node")
            self.requests_flow(more=5)
        self.assertGreaterEqual(self.cluster.view(), began + ROUNDS)
        self.all_is_well()


class ManyPending(harness.UnderLoad):
    options = {"groups": 2, "partitions": 2, "timing": TIMING}
    clients = 1000

    def test_h1_a_thousand_requests_are_pending_when_the_leader_dies(self):
        """H1: all are answered, each once."""
        leader = harness.wait_until(self.cluster.leader, "somebody leads")
        self.cluster.script("kill-daemons", leader)
        harness.wait_until(lambda: self.cluster.leader() not in (None, leader), "another one leads")
        self.requests_flow(more=1500)
        self.cluster.script("start-host", leader)
        self.all_is_well()


class WrongClocks(harness.UnderLoad):
    """A13: clocks that are an hour off, of replica hosts and of the leader: the order does not care."""

    options = {"groups": 2, "partitions": 2, "timing": TIMING}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shim = cls.cluster.dir / "clock_offset.so"
        harness.run("cc", "-shared", "-fPIC", "-O1", "-o", cls.shim, pathlib.Path(__file__).with_name("clock_offset.c"),
                    check=True)

    def restart(self, host, seconds):
        """Its daemons only: its database does not ask the clock."""
        wrong = {"LD_PRELOAD": str(self.shim), "CLOCK_OFFSET_S": str(seconds),
                 "ASAN_OPTIONS": "verify_asan_link_order=0"} if seconds else {}
        self.cluster.script("kill-daemons", host)
        began = len(self.cluster.log(host))
        self.cluster.script("start-host", host, env=wrong)
        return harness.wait_until(lambda: re.findall(r"(?m)^(\S+)Z .* node_started", self.cluster.log(host)[began:]),
                                  f"{host} is back")[0]

    def test_a13_clocks_are_an_hour_off(self):
        leader = harness.wait_until(self.cluster.leader, "somebody leads")
        for host, seconds in (("host2", 3600), (leader, -3600), ("host3", -3600)):
            logged = datetime.datetime.fromisoformat(self.restart(host, seconds) + "+00:00").timestamp()
            self.assertAlmostEqual(logged - time.time(), seconds, delta=300, msg="its clock is wrong indeed")
            self.requests_flow(f"requests flow with {host} at {seconds} s")
            harness.wait_until(lambda: self.cluster.caught_up(host), f"{host} takes part again")
        self.requests_flow(more=100)
        self.all_is_well()
        for host in ("host2", "host3", leader):
            self.restart(host, 0)
        self.all_is_well()


if __name__ == "__main__":
    harness.main()
