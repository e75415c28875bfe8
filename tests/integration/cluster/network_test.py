#!/usr/bin/env python3
"""Catalogue B on real processes: the network between the hosts is split, cut in one direction, torn, narrow, forgetful.
It may cost time; no request fails, nothing is lost or doubled, and all is well again without help."""
import random
import unittest

import harness

TIMING = ["silence_patience_ms = 1500", "new_view_patience_ms = 3000", "patience_max_ms = 15000"]


class OnLinks(harness.UnderLoad):
    options = {"groups": 2, "partitions": 2, "proxied": True, "timing": TIMING}

    def setUp(self):
        super().setUp()
        self.net = self.cluster.net
        self.addCleanup(self.net.heal)

    def leader(self):
        return harness.wait_until(self.cluster.leader, "somebody leads")

    def another_leads(self, leader):
        harness.wait_until(lambda: self.cluster.leader() not in (None, leader), f"another one than {leader} leads")

    def others(self, *without):
        return [end for end in self.net.ends if end not in without]

    def suspicions(self):
        return sum(document.get("events", {}).get("suspected", 0) for document in self.cluster.documents().values())


class Partitions(OnLinks):
    def test_b3_a_minority_is_cut_off(self):
        """B3: f hosts, then f hosts with the leader, are on the wrong side; the others go on, and they catch up."""
        self.net.split(["host3"], self.others("host3"))
        self.requests_flow(more=50)
        self.net.heal()
        self.all_is_well()
        leader = self.leader()
        self.net.split(["host2", leader], self.others("host2", leader))
        self.another_leads(leader)
        self.requests_flow(more=50)
        self.net.heal()
        self.all_is_well()

    def test_b3_nobody_has_a_majority(self):
        """B3: everybody is alone. Nothing is decided until the network is whole again, and then everything is."""
        before = self.suspicions()
        self.net.split(*[[end] for end in self.net.ends])
        harness.wait_until(lambda: self.suspicions() >= before + 4, "two replicas of each group miss their primary")
        self.net.heal()
        self.all_is_well()

    def test_b4_links_work_in_one_direction_only(self):
        """B4: one link after another, between replicas and from the leader."""
        ring = [("host1", "host2"), ("host2", "host3"), ("host3", "host1")]
        for a, b in [*ring, *[(b, a) for a, b in ring], (self.leader(), "host1"), ("host1", self.leader())]:
            self.net.cut_one_way((a, b))
            self.requests_flow(f"requests flow without {a} -> {b}")
            self.net.mend((a, b))
        self.all_is_well()

    def test_b6_the_leader_reaches_f_replicas_only(self):
        """B6 (B5, too, on hosts that carry every group): the others have its slots from those f, or move on."""
        leader = self.leader()
        self.net.cut((leader, "host1"), (leader, "host2"))
        seconds = self.requests_flow(more=200)
        print(f"    200 transactions in {seconds:.1f} s; {self.leader()} leads after {leader}", flush=True)
        self.net.heal()
        self.all_is_well()

    def test_b10_swizzle(self):
        """B10: links of a random choice are cut one by one and come back in another order."""
        dice = random.Random(10)
        for _ in range(2):
            pairs = [(a, b) for a in self.cluster.hosts() for b in self.cluster.hosts() if a < b]
            chosen = dice.sample(pairs, 6)
            for pair in chosen:
                self.net.cut(pair)
            for pair in dice.sample(chosen, len(chosen)):
                self.net.mend(*self.net.both([pair]))
            self.requests_flow()
        self.all_is_well()

    def test_b13_storm_of_resets(self):
        """B13: all connections are reset, again and again; what was on its way is sent again."""
        for _ in range(6):
            harness.wait_until(lambda: self.net.reset() > 0, "there are connections")
            self.requests_flow(more=5)
        self.all_is_well()


class BadLinks(OnLinks):
    def test_b12_a_megabit_during_a_view_change(self):
        """B12: 1 Mbit/s on each way while the leader dies and another one takes over."""
        self.net.shape(rate=125_000)
        self.requests_flow()
        leader = self.leader()
        self.cluster.script("kill-daemons", leader)
        self.another_leads(leader)
        self.requests_flow()
        self.cluster.script("start-host", leader)
        harness.wait_until(lambda: self.cluster.caught_up(leader), f"{leader} takes part again")
        self.net.heal()
        self.all_is_well()

    def test_b13_half_open_connections(self):
        """B13: one end of a connection is gone and the other end never hears of it."""
        for other in ("host1", "host2"):
            self.assertGreater(self.net.reset([(self.leader(), other)], half=0), 0)
            self.requests_flow()
        self.all_is_well()

    def test_b13_the_network_forgets_all_connections(self):
        """B13: what is sent on any connection of now is lost, silently; only silence tells."""
        self.assertGreater(self.net.forget(), 0)
        seconds = self.requests_flow(more=50)
        print(f"    {seconds:.0f} s until requests flowed again", flush=True)
        self.all_is_well()

    def test_b1_slow_links(self):
        """100 ms on each way: slower, and nobody is blamed for it who keeps the order going."""
        self.net.shape(delay=0.1)
        self.requests_flow(more=100)
        self.net.heal()
        self.all_is_well()


del OnLinks

if __name__ == "__main__":
    harness.main()
