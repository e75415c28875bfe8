#!/usr/bin/env python3
"""A group comes on two hosts of the cluster and a new one, which counts: with it alone and one of the others its partitions
are served. Then it takes a seat of a second group on, as whoever has been there for long. TPC-C runs all the while."""
import json
import signal
import unittest

import harness
import members


class GroupsOnNewHosts(unittest.TestCase):
    def test_under_load(self):
        with harness.Cluster(groups=1, partitions=4, spare_counters=2) as cluster:
            driver = cluster.begin_load(self, warehouses=4)
            members.prepare(cluster, "host4", "--counters", "2")
            self.assertIn("host4 has no counter to spare", self.add(cluster, "host1", "host2", "host4", status=1).stderr)
            join = ["--join", cluster.dir / "hosts" / "host4" / "host4.join"]
            dry = self.add(cluster, "host1", "host2", "host4", *join, "--dry-run")
            self.assertIn("position 2 on host4, which is new: see to it that it runs", dry.stdout)
            first = self.added(cluster, "host1", "host2", "host4", *join)
            cluster.moved([1, 2], first)
            self.check_that_it_counts(cluster)
            second = self.added(cluster, "host1", "host3", "host4", *join)
            cluster.moved([2], second)
            self.assertEqual(sorted(seat["group"] for seat in members.members(cluster)["host4"]["seats"]), [first, second])
            cluster.all_is_well()
            driver.send_signal(signal.SIGINT)
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            harness.wait_until(lambda: cluster.check_databases().returncode == 0, "all databases are equal")
            print("acknowledged and there, once:", cluster.check_acknowledged(), result["committed"], "committed", flush=True)

    def add(self, cluster, *words, status=0):
        done = cluster.group("add", "--cluster", cluster.dir / "hosts" / "host2" / "cluster.toml", *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def added(self, cluster, *words):
        done = self.add(cluster, *words, "--format", "json")
        print(done.stdout.strip(), flush=True)
        answer = json.loads(done.stdout)
        self.assertTrue(answer["caught_up"])
        return answer["group"]

    def check_that_it_counts(self, cluster):
        """Its daemons begin again from their disk; then one of the two others dies."""
        cluster.script("kill-daemons", "host4")
        cluster.script("start-host", "host4")
        harness.wait_until(lambda: cluster.caught_up("host4"), "host4 takes part again")
        cluster.script("kill-host", "host2")
        cluster.requests_flow("requests flow with host1 and host4 alone", more=100)
        cluster.script("start-host", "host2")
        harness.wait_until(lambda: cluster.caught_up("host2"), "host2 takes part again")


if __name__ == "__main__":
    harness.main()
