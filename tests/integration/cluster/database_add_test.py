#!/usr/bin/env python3
"""One more database than 2f_D+1 comes to a cluster under TPC-C: a host with nothing else, without a TPM. It is loaded from the
others, and then it counts: two of the first three go, and no request fails."""
import signal
import unittest

import harness
import members


class AddDatabase(unittest.TestCase):
    def test_one_more_database_counts(self):
        with harness.Cluster(groups=2, partitions=2) as cluster:
            driver = cluster.begin_load(self, seen_by="host2")
            members.prepare(cluster, "host4")
            refused = members.replace(cluster, "host1", "host4")
            self.assertEqual(refused.returncode, 1, refused.stdout + refused.stderr)
            self.assertIn("host1 has 2 seats, and host4 has 0", refused.stderr)
            answer = members.added(cluster, "host4")
            self.assertEqual((answer["database"], answer["seats"]), (3, []))
            self.assertEqual(members.members(cluster)["host4"]["database"], 3)
            cluster.requests_flow("requests flow in the new database", host="host4")
            self.check_that_it_counts(cluster)
            driver.send_signal(signal.SIGINT)
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            harness.wait_until(lambda: cluster.check_databases().returncode == 0, "all databases are equal")
            print("acknowledged and there, once:", cluster.check_acknowledged("host4"), result["committed"], "committed", flush=True)

    def check_that_it_counts(self, cluster):
        """Its daemon begins again from its disk; then two of the others' servers die, which is f_D+1."""
        cluster.script("kill-daemons", "host4")
        cluster.script("start-host", "host4")
        cluster.requests_flow("requests flow in its database again", host="host4")
        self.assertEqual(cluster.log("host4").count("not_a_member_yet"), 1)
        for host in ("host1", "host2"):
            cluster.signal(host, "database", signal.SIGKILL)
        seconds = cluster.requests_flow("requests flow with the databases of host3 and host4 alone", more=100, host="host4")
        print(f"two of four databases dead: 100 transactions after {seconds:.1f} s", flush=True)
        for host in ("host1", "host2"):
            cluster.script("start-host", host)
        cluster.all_is_well()


if __name__ == "__main__":
    harness.main()
