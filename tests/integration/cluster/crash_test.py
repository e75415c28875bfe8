#!/usr/bin/env python3
"""Catalogue A on real processes: hosts crash, loop, start in any order, sleep, and have wrong clocks, under load."""
import os
import pathlib
import random
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


def faketime():
    found = sorted(pathlib.Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return found[0] if found else None


class WrongClocks(harness.UnderLoad):
    """A13: clocks that are an hour off, of a replica host and of the leader: the order does not care."""

    options = {"groups": 2, "partitions": 2, "timing": TIMING}

    @classmethod
    def setUpClass(cls):
        if not faketime():
            raise unittest.SkipTest("needs Debian's libfaketime")
        if b"__asan_init" in harness.BFTNODE.read_bytes():
            raise unittest.SkipTest("sanitizers must be loaded first, and so must libfaketime")
        super().setUpClass()

    def restart(self, host, offset):
        self.cluster.script("kill-daemons", host)
        self.cluster.script("start-host", host, env={"LD_PRELOAD": str(faketime()), "FAKETIME": offset,
                                                     "FAKETIME_DONT_FAKE_MONOTONIC": "1"} if offset else {})

    def test_a13_clocks_are_an_hour_off(self):
        leader = harness.wait_until(self.cluster.leader, "somebody leads")
        for host, offset in (("host2", "+1h"), (leader, "-1h"), ("host3", "-1h")):
            self.restart(host, offset)
            self.requests_flow(f"requests flow with {host} at {offset}")
        self.all_is_well()
        logged = self.cluster.log("host2").splitlines()[-1]
        self.assertNotIn(time.strftime("%H:", time.gmtime()), logged.split(".")[0], "its clock is wrong indeed")
        for host in ("host2", "host3", leader):
            self.restart(host, None)
        self.all_is_well()


if __name__ == "__main__":
    harness.main()
