#!/usr/bin/env python3
"""Groups come and go while TPC-C runs: the hosts' daemons take the new seats on as they run, partitions move to the new
group, hosts die and come back with it, and when it has given its partitions away it is removed. No request fails, none is
lost and none runs twice, and all databases stay equal."""
import json
import signal
import unittest

import harness


class GroupsComeAndGo(unittest.TestCase):
    def test_under_load(self):
        with harness.Cluster(groups=1, partitions=4, spare_counters=2, timing=["silence_patience_ms = 1000"]) as cluster:
            driver = cluster.begin_load(self, warehouses=4)
            self.check_refusals(cluster)
            first = self.added(cluster)
            self.moved(cluster, [1, 2], first)
            self.check_restarts(cluster)
            self.moved(cluster, [1, 2], 1)
            self.removed(cluster, first)
            second = self.added(cluster)
            self.assertEqual(second, first + 1)
            self.moved(cluster, [3], second)
            self.assertIn("counter to spare", self.refused("add", cluster))
            cluster.all_is_well()
            driver.send_signal(signal.SIGINT)
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            harness.wait_until(lambda: cluster.check_databases().returncode == 0, "all databases are equal")
            print("acknowledged and there, once:", cluster.check_acknowledged(), result["committed"], "committed", flush=True)

    def cluster_file(self, cluster):
        return ["--cluster", cluster.dir / "hosts" / "host2" / "cluster.toml"]

    def added(self, cluster):
        done = cluster.group("add", *self.cluster_file(cluster), "--format", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        print(done.stdout.strip(), flush=True)
        answer = json.loads(done.stdout)
        self.assertTrue(answer["caught_up"])
        self.assertEqual(cluster.groups()[answer["group"]], [])
        for seat in answer["seats"]:
            self.assertIn(f"seat_taken_on group={answer['group']} position={seat['position']}", cluster.log(seat["host"]))
        return answer["group"]

    def moved(self, cluster, partitions, to):
        cluster.moved(partitions, to)
        self.assertLessEqual(set(partitions), set(cluster.groups()[to]))

    def removed(self, cluster, group):
        done = cluster.group("remove", group, "--format", "json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        print(done.stdout.strip(), flush=True)
        self.assertNotIn(group, cluster.groups())
        cluster.requests_flow("requests flow without it")

    def refused(self, word, cluster, *words):
        more = self.cluster_file(cluster) if word == "add" else []
        done = cluster.group(word, *words, *more)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stderr

    def check_refusals(self, cluster):
        self.assertIn("group 9 does not exist", self.refused("remove", cluster, 9))
        self.assertIn("group 1 owns partitions", self.refused("remove", cluster, 1))
        self.assertIn("group 2 needs 3 members", self.refused("add", cluster, "host1", "host2"))
        self.assertIn("primary1 has no counter to spare", self.refused("add", cluster, "host1", "host2", "primary1"))
        dry = cluster.group("add", *self.cluster_file(cluster), "--dry-run")
        self.assertEqual(dry.returncode, 0, dry.stderr)
        self.assertIn("group 2: position 0 on host1", dry.stdout)
        self.assertIn("allowed; nothing was changed", dry.stdout)
        self.assertEqual(list(cluster.groups()), [1])

    def check_restarts(self, cluster):
        """Its members begin again from their disks, one and all; and views change with it."""
        for host in ("host1", harness.wait_until(cluster.leader, "somebody leads")):
            cluster.script("kill-host", host)
            cluster.requests_flow(f"requests flow without {host}")
            cluster.script("start-host", host)
            harness.wait_until(lambda host=host: cluster.caught_up(host), f"{host} takes part again")
        before = cluster.groups()
        cluster.script_everywhere("kill-daemons")
        cluster.script_everywhere("start-host")
        cluster.requests_flow("requests flow again")
        self.assertEqual(cluster.groups(), before)


if __name__ == "__main__":
    harness.main()
