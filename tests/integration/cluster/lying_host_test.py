#!/usr/bin/env python3
"""One host lies in every way that it can: clients get the right answers, the other two databases stay equal,
and `bftctl status` names the liar."""
import unittest

import harness

LIAR = "host2"


class LyingHost(unittest.TestCase):
    def lie(self, lies, named=True):
        with harness.Cluster(groups=2, partitions=2) as cluster:
            cluster.node_arguments[LIAR] = f"--insecure-misbehave={lies}"
            cluster.start_loaded(warehouses=2)
            result = cluster.finished(cluster.drive(seconds=5))
            self.assertGreater(result["committed"], 0)
            self.assertEqual(result["failed"], 0)
            check = cluster.check_databases(without=[LIAR])
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
            # Two honest databases say the same as two of the three answers that a client believes.
            call = cluster.call("stock_level", 1, 1, 15)
            self.assertEqual(call.returncode, 0, call.stderr)
            if named:
                status = harness.run(harness.BFTCTL, "status", cluster.dir)
                self.assertEqual(status.returncode, 5, status.stdout)
                self.assertRegex(status.stdout, f"DISAGREES +{LIAR}:")
                disagreements = cluster.status()["disagreements"]
                for host in set(cluster.hosts()) - {LIAR}:
                    self.assertNotIn(host, disagreements, "an honest host was accused")

    def test_wrong_commits(self):
        self.lie("wrong-commit")

    def test_wrong_orders_to_databases(self):
        self.lie("wrong-commit-db")

    def test_wrong_results_and_replies(self):
        self.lie("wrong-result,wrong-reply")

    def test_silence(self):
        self.lie("silence", named=False)

    def test_garbage(self):
        self.lie("garbage")

    def test_everything_at_once(self):
        self.lie("wrong-commit,wrong-commit-db,wrong-result,wrong-reply,garbage")


if __name__ == "__main__":
    harness.main()
