#!/usr/bin/env python3
"""The host that orders requests is lost for good, with its TPM, while TPC-C runs. Another one orders meanwhile; a new host
takes the lost one's turn by two commands, leads when that comes, also after a restart, and no request fails."""
import signal
import unittest

import harness
import members

SILENCE_MS = 1500
EPOCH = 1 << 32  # views count within an epoch, which is theirs in the upper half


class ReplacePrimary(unittest.TestCase):
    def kill_leader(self, cluster, expected, next_one, command="kill-host"):
        self.assertEqual(harness.wait_until(cluster.leader, "somebody leads"), expected)
        cluster.script(command, expected)
        harness.wait_until(lambda: cluster.leader() == next_one, f"{next_one} leads")
        seconds = cluster.requests_flow(f"requests flow with {next_one}", host="host1")
        print(f"{command} {expected}: {next_one} leads view {cluster.view():#x}, 20 transactions after {seconds:.1f} s", flush=True)

    def replace(self, cluster, old, new):
        answer = members.replaced(cluster, old, new)
        self.assertEqual(answer["seats"], [])
        now = members.members(cluster)
        self.assertFalse(now[old]["member"])
        self.assertTrue(now[new]["member"] and now[new]["primary"])
        self.assertEqual(cluster.documents()[new]["ready"], True)
        return answer

    def test_a_lost_primary_is_replaced_under_load(self):
        with harness.Cluster(groups=2, partitions=2, timing=[f"silence_patience_ms = {SILENCE_MS}"]) as cluster:
            driver = cluster.begin_load(self)
            self.kill_leader(cluster, "primary1", "primary2")
            members.prepare(cluster, "primary3", "primary1")
            # Whoever has no counter for that cannot order; and nothing has changed.
            refused = members.replace(cluster, "host1", "primary3")
            self.assertEqual(refused.returncode, 1, refused.stdout + refused.stderr)
            self.assertIn("host1 has 2 seats, and primary3 has 0", refused.stderr)
            self.assertEqual(self.replace(cluster, "primary1", "primary3")["primary"], 0)
            self.assertEqual(cluster.leader(), "primary2", "who leads and is well leads on")
            self.check_that_it_leads(cluster)
            self.check_the_old_one(cluster)
            self.check_a_leader_that_is_well(cluster)
            driver.send_signal(signal.SIGINT)
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            harness.wait_until(lambda: cluster.check_databases().returncode == 0, "all databases are equal")
            print("acknowledged and there, once:", cluster.check_acknowledged(), result["committed"], "committed", flush=True)

    def check_that_it_leads(self, cluster):
        """When the other one dies; then it dies itself, and begins again from its disk."""
        self.kill_leader(cluster, "primary2", "primary3")
        self.assertEqual(cluster.view() // EPOCH, 1)
        cluster.script("start-host", "primary2")
        harness.wait_until(lambda: cluster.caught_up("primary2"), "primary2 takes part again")
        self.kill_leader(cluster, "primary3", "primary2", "kill-daemons")
        cluster.script("start-host", "primary3")
        harness.wait_until(lambda: cluster.caught_up("primary3"), "primary3 takes part again")
        self.assertEqual(cluster.log("primary3").count("not_a_member_yet"), 1)
        self.kill_leader(cluster, "primary2", "primary3")
        cluster.script("start-host", "primary2")
        harness.wait_until(lambda: cluster.caught_up("primary2"), "primary2 takes part again")

    def check_the_old_one(self, cluster):
        cluster.script("start-host", "primary1")
        harness.wait_until(lambda: "host_replaced" in cluster.log("primary1"), "the old host says that it was replaced")
        cluster.requests_flow("requests flow beside it", more=100)
        self.assertEqual(cluster.leader(), "primary3")
        cluster.script("kill-host", "primary1")

    def check_a_leader_that_is_well(self, cluster):
        """One that was a newcomer itself makes room for the next: it leads on until it stops."""
        members.prepare(cluster, "primary4", "primary3")
        self.assertEqual(self.replace(cluster, "primary3", "primary4")["primary"], 2)
        cluster.requests_flow("requests flow after the change", more=100)
        self.assertEqual(cluster.leader(), "primary3")
        self.kill_leader(cluster, "primary3", "primary4")
        self.assertEqual(cluster.view() // EPOCH, 2)


if __name__ == "__main__":
    harness.main()
