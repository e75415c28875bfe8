#!/usr/bin/env python3
"""A host is lost for good, with its TPM and its database, and another one takes its place while TPC-C runs: two commands,
and no request fails. Then another host dies, so the new one counts; and the old one comes back, and does no harm."""
import json
import signal
import unittest

import harness
import members


class ReplaceMember(unittest.TestCase):
    def refused(self, done, text, status=1):
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertIn(text, done.stdout + done.stderr)

    def check_refusals(self, cluster):
        before = members.members(cluster)
        self.refused(members.replace(cluster, "primary1", "host4"), "prepared without a counter for that")
        self.refused(members.replace(cluster, "host9", "host4"), "there is no host 'host9'")
        # With host1 dead as well, a member without anything would be one too many.
        self.refused(members.replace(cluster, "host3", "host4", "--dry-run"), "host1 of group 1 is away")
        dry = members.replace(cluster, "host1", "host4", "--dry-run")
        self.assertEqual(dry.returncode, 0, dry.stdout + dry.stderr)
        self.assertIn("group 2: the seat of host1 at position 0 goes to host4", dry.stdout)
        self.assertEqual(members.members(cluster), before)

    def test_a_lost_host_is_replaced_under_load(self):
        with harness.Cluster(groups=2, partitions=4) as cluster:
            driver = cluster.begin_load(self, warehouses=4, seen_by="host2")
            cluster.script("kill-host", "host1")
            members.prepare(cluster, "host4", "host1")
            self.check_refusals(cluster)
            members.replaced(cluster, "host1", "host4")
            now = members.members(cluster)
            self.assertFalse(now["host1"]["member"])
            self.assertEqual([seat["position"] for seat in now["host4"]["seats"]], [3, 3])
            self.assertEqual(now["host4"]["database"], 0)
            groups = harness.run(harness.BFTCTL, "group", "list", "--format", "json", "--client", cluster.dir / "clients" / "admin", check=True)
            for group in json.loads(groups.stdout)["groups"]:
                self.assertEqual(sorted(group["hosts"]), ["host2", "host3", "host4"])
            cluster.requests_flow("requests flow in the new database", host="host4")
            self.check_that_it_counts(cluster)
            self.check_the_old_one(cluster)
            driver.send_signal(signal.SIGINT)
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            harness.wait_until(lambda: cluster.check_databases(without=["host1"]).returncode == 0, "all databases are equal")
            print("acknowledged and there, once:", cluster.check_acknowledged("host4"), result["committed"], "committed", flush=True)

    def check_that_it_counts(self, cluster):
        """Its daemons begin again from their disk; then one of the two others dies."""
        cluster.script("kill-daemons", "host4")
        cluster.script("start-host", "host4")
        harness.wait_until(lambda: cluster.caught_up("host4"), "host4 takes part again")
        self.assertEqual(cluster.log("host4").count("not_a_member_yet"), 1)
        cluster.requests_flow("requests flow in its database again", host="host4")
        cluster.script("kill-host", "host2")
        seconds = cluster.requests_flow("requests flow with host3 and host4 alone", more=100)
        print(f"host2 dead: 100 transactions after {seconds:.1f} s", flush=True)
        cluster.script("start-host", "host2")
        harness.wait_until(lambda: cluster.caught_up("host2"), "host2 takes part again")

    def check_the_old_one(self, cluster):
        cluster.script("start-host", "host1")
        harness.wait_until(lambda: "host_replaced" in cluster.log("host1"), "the old host says that it was replaced")
        cluster.requests_flow("requests flow beside it", more=100)
        self.refused(members.replace(cluster, "host1", "host4"), "has the name or the key of host4")
        self.assertFalse(members.members(cluster)["host1"]["member"])
        cluster.script("kill-host", "host1")


if __name__ == "__main__":
    harness.main()
