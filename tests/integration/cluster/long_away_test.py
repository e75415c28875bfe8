#!/usr/bin/env python3
"""A host is down, under load, until the others' logs no longer lead back to where it was. It comes back, takes their
state, follows the counters again, its database is rebuilt, and then it is needed: without its votes nothing goes on."""
import signal
import unittest

import harness

RETAIN_SLOTS = 1024
WINDOW_SLOTS = 512
# The others keep RETAIN_SLOTS for the database that is away, as much again for its replicas, and the window.
AWAY_SLOTS = 3 * RETAIN_SLOTS + WINDOW_SLOTS


class LongAway(unittest.TestCase):
    def configure(self, cluster):
        for host in cluster.hosts():
            with open(cluster.dir / "hosts" / host / "node.toml", "a") as config:
                config.write(f"\n[limits]\nretain_slots = {RETAIN_SLOTS}\n")

    def stable(self, cluster, host):
        return min((r["stable"] for r in (cluster.documents().get(host) or {}).get("replicas", [])), default=0)

    def test_a_host_comes_back_when_its_line_is_gone(self):
        with harness.Cluster(groups=2, partitions=2, scan_slots=96,
                             timing=["heartbeat_ms = 20", "busy_batch_interval_ms = 20"]) as cluster:
            self.configure(cluster)
            cluster.start_loaded(warehouses=2)
            driver = cluster.drive(clients=4)
            harness.wait_until(lambda: cluster.executed("host1") > 20, "the run has begun")
            cluster.script("kill-host", "host3")
            gone_at = self.stable(cluster, "host1") + AWAY_SLOTS
            harness.wait_until(lambda: self.stable(cluster, "host1") > gone_at, "its line is gone",
                               patience=4 * harness.PATIENCE)

            cluster.script("start-host", "host3")
            harness.wait_until(lambda: cluster.log("host3").count("state_adopted ") >= 2,
                               "both its replicas take the others' state")
            self.assertIn("counter_adopted ", cluster.log("host3"))
            harness.wait_until(lambda: cluster.caught_up("host3"), "it has caught up")
            # Its database was rebuilt or got what it lacked.
            harness.wait_until(lambda: not cluster.documents()["host3"]["voter"]["quarantined"]
                               and cluster.executed("host3") > 0, "its database is in service",
                               patience=4 * harness.PATIENCE)

            # f+1 of each group are now host1 and the one that came back.
            cluster.script("kill-host", "host2")
            before = cluster.executed("host3")
            harness.wait_until(lambda: cluster.executed("host3") > before + 20, "its votes count",
                               patience=2 * harness.PATIENCE)
            cluster.script("start-host", "host2")
            driver.send_signal(signal.SIGINT)
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            harness.wait_until(lambda: cluster.check_databases().returncode == 0, "all databases are equal",
                               patience=2 * harness.PATIENCE)


if __name__ == "__main__":
    harness.main()
