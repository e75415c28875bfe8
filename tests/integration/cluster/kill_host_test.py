#!/usr/bin/env python3
"""kill -9 of a whole host, its database and TPM included, in the middle of a run: no request fails."""
import unittest

import harness


class KillHost(unittest.TestCase):
    def kill_while_running(self, victim):
        with harness.Cluster(groups=2, partitions=2) as cluster:
            cluster.start_loaded(warehouses=2)
            driver = cluster.drive(seconds=8)
            watcher = "host1" if victim != "host1" else "host2"
            harness.wait_until(lambda: cluster.executed(watcher) > 20, "the run has begun")
            cluster.script("kill-host", victim)
            at_kill = cluster.executed(watcher)
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            self.assertGreater(cluster.executed(watcher), at_kill, "the cluster went on without the host")
            check = cluster.check_databases(without=[victim])
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)

            status = harness.run(harness.BFTCTL, "status", cluster.dir)
            self.assertEqual(status.returncode, 5)
            self.assertRegex(status.stdout, f"{victim} +DOWN")

            self.come_back(cluster, victim)

    def come_back(self, cluster, victim):
        """With what it had on disk, and it catches up; also when its TPM lost power between spending a counter
        value and certifying it: the others void the value (T1v)."""
        cluster.script("start-host", victim)
        harness.wait_until(lambda: cluster.check_databases().returncode == 0, f"{victim} caught up")

    def test_daemons_of_the_primary_host(self):
        """Nobody orders while they are away; no request is lost, and all go on when they are back."""
        with harness.Cluster(groups=2, partitions=2) as cluster:
            cluster.start_loaded(warehouses=2)
            driver = cluster.drive(seconds=8)
            harness.wait_until(lambda: cluster.executed("host1") > 20, "the run has begun")
            for _ in range(3):
                cluster.script("kill-daemons", "primary1")
                at_kill = cluster.executed("host1")
                cluster.script("start-host", "primary1")
                harness.wait_until(lambda: cluster.executed("host1") > at_kill + 20, "the order goes on")
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            check = cluster.check_databases()
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)

    def test_first_replica_host(self):
        self.kill_while_running("host1")

    def test_last_replica_host(self):
        self.kill_while_running("host3")


if __name__ == "__main__":
    harness.main()
