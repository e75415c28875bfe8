#!/usr/bin/env python3
"""One group, f = 1, on real processes: TPC-C runs, nothing fails, the three databases are equal."""
import unittest

import harness


class Smoke(unittest.TestCase):
    def test_tpcc_runs_and_all_databases_are_equal(self):
        with harness.Cluster(groups=1, partitions=2) as cluster:
            cluster.start_loaded(warehouses=2)
            result = cluster.finished(cluster.drive(seconds=5))
            self.assertGreater(result["committed"], 0)
            self.assertEqual(result["failed"], 0)
            check = cluster.check_databases()
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)

            status = harness.run(harness.BFTCTL, "status", cluster.dir)
            self.assertEqual(status.returncode, 0, status.stdout)
            for host in cluster.hosts():
                self.assertIn(f"{host} ", status.stdout)

            call = cluster.call("stock_level", 1, 1, 15)
            self.assertEqual(call.returncode, 0, call.stderr)
            self.assertTrue(call.stdout.strip().isdigit(), call.stdout)
            self.assertIn("2 equal answers were needed", call.stderr)

            self.stop_and_start_again(cluster, result)

    def stop_and_start_again(self, cluster, before):
        """Nothing is forgotten: the order goes on where it was."""
        cluster.script("stop")
        cluster.start()
        result = cluster.finished(cluster.drive(seconds=2))
        self.assertEqual(result["failed"], 0)
        check = cluster.check_databases()
        self.assertEqual(check.returncode, 0, check.stdout + check.stderr)


if __name__ == "__main__":
    harness.main()
