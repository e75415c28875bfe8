#!/usr/bin/env python3
"""deploy/demo.sh --elastic, shortened: groups come and go with the load, nothing acknowledged is lost or runs twice, what
moves waits for a moment only, and a table and a picture show it. And bench/elastic.py finds what is wrong in a run."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree

import harness

ELASTIC = harness.ROOT / "bench" / "elastic.py"
PAUSE_MS = os.environ.get("BFT_PAUSE_MS", "250")


class Demo(unittest.TestCase):
    def test_groups_follow_the_load(self):
        with tempfile.TemporaryDirectory(prefix="bft-elastic-", dir="/tmp") as folder:
            results = pathlib.Path(folder) / "results"
            output = self.demo("--elastic", "--warehouses", 3, "--scale", 0.01, "--profile", "2x8,12x30,2x30", "--pause-ms", PAUSE_MS,
                               "--dir", pathlib.Path(folder) / "c", "--results", results)
            print(output, flush=True)
            self.assertIn("all checks passed", output)
            self.assertIn("acknowledged and there, once:", output)
            run = json.loads((results / "elastic.json").read_text())
            self.assertEqual((run["groups"][0], max(run["groups"]), run["groups"][-1]), (1, 3, 1), run["groups"])
            self.assertLessEqual(max(abs(a - b) for a, b in zip(run["groups"], run["groups"][1:])), 1)
            rates = {groups: max((row["per_second"] for row in run["rows"] if row["groups"] == groups), default=0)
                     for groups in (1, 3)}
            # One answer takes a replica 200 ms: a group cannot give more than five a second.
            self.assertGreater(rates[3], 1.5 * rates[1], rates)
            if "no picture for want of" in output:
                return
            self.assertEqual(xml.etree.ElementTree.parse(results / "elastic.svg").getroot().tag.split("}")[1], "svg")

    def demo(self, *words):
        demo = subprocess.Popen([harness.ROOT / "deploy" / "demo.sh", *map(str, words)], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL,
                                env={**os.environ, "BFT_BUILD": str(harness.BUILD)})
        # It stops its cluster itself, after SIGTERM, too.
        self.addCleanup(demo.wait)
        self.addCleanup(lambda: demo.poll() is None and demo.send_signal(signal.SIGTERM))
        output = demo.communicate(timeout=5 * harness.PATIENCE)[0]
        self.assertEqual(demo.returncode, 0, output)
        return output


class Report(unittest.TestCase):
    """Seconds 0 to 60: one group, at 20 s two, at 40 s one again."""

    def run_report(self, *words, back=True, pause_ms=40, calls=range(0, 60_000, 100)):
        with tempfile.TemporaryDirectory(prefix="bft-elastic-", dir="/tmp") as folder:
            cluster = pathlib.Path(folder)
            changes = [(20, 2, "2->2", 77)] + ([(40, 1, "2->1", 99)] if back else [])
            (cluster / "timeline").write_text("".join(self.call(at, [change[0] for change in changes], 2 * pause_ms) for at in calls))
            (cluster / "controller.log").write_text("".join(
                f'{self.stamp(at)} info controller controller_decided groups={groups} done=true version=1 slot={slot} ms=60 '
                f'what="p95 900.0 ms, target 500.0 ms; because: 1 -> 2 groups, moves {moves}"\n' for at, groups, moves, slot in changes))
            for host in (1, 2, 3):
                log = cluster / "hosts" / f"host{host}" / "log"
                log.mkdir(parents=True)
                (log / "node.log").write_text("".join(
                    f"{self.stamp(at)} info replica config_ordered self=replica.1.{host - 1} peer=voter.0 slot={slot} count=0\n"
                    f"{self.stamp(at, host * pause_ms)} info replica partitions_taken self=replica.{groups}.{host - 1} peer=voter.0 "
                    f"slot={slot} count=1\n" for at, groups, _, slot in changes))
            return harness.run(ELASTIC, cluster, "--profile", "2x15,9x25,2x20", "--partitions", 2, "--target-ms", 500, *words)

    @staticmethod
    def call(at, changes, pause_ms):
        """A line of the driver's for the call that begins at this millisecond: warehouse 2 stands still at each change."""
        warehouse, took = 2 - at // 100 % 2, 900 if 15_000 <= at < 20_000 else 100
        for change in changes:
            if warehouse == 2 and 0 <= at - 1000 * change < pause_ms:
                took += 1000 * change + pause_ms - at
        return f"{1_700_000_000_000 + at + took} {warehouse} {1000 * took}\n"

    @staticmethod
    def stamp(second, millisecond=0):
        # 1,700,000,000 is 22:13:20.
        second += 20 + millisecond // 1000
        return f"2023-11-14T22:{13 + second // 60:02}:{second % 60:02}.{millisecond % 1000:03}Z"

    def test_a_run_as_it_should_be(self):
        done = self.run_report("--peak", 2, "--pause-ms", 250)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = [line.split() for line in done.stdout.splitlines()]
        self.assertIn(["15", "9", "8.4", "900", "over", "1", "2"], lines)
        self.assertIn(["30", "9", "10.0", "100", "2", "1+1"], lines)
        self.assertIn(["55", "2", "10.0", "100", "1", "2"], lines)
        # The second of three replicas makes a quorum.
        self.assertIn("2 changes: what moved stood still for 80 ms (half), 80 ms (longest); calls waited for that 80 ms (half)", done.stdout)

    def test_nobody_waits_who_does_not_call(self):
        done = self.run_report("--peak", 2, "--pause-ms", 250, pause_ms=200, calls=range(700, 60_000, 1000))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("stood still for 400 ms (half), 400 ms (longest); calls waited for that 0 ms (half), 0 ms (longest)", done.stdout)

    def test_groups_that_stay(self):
        done = self.run_report("--peak", 2, back=False)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("went 1 -> 2, not from 1 to 2 and back", done.stderr)

    def test_groups_that_never_came(self):
        done = self.run_report("--peak", 3)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("went 1 -> 2 -> 1, not from 1 to 3 and back", done.stderr)

    def test_moves_that_take_too_long(self):
        done = self.run_report("--peak", 2, "--pause-ms", 250, pause_ms=200)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("calls waited for moves for 400 ms, more than 250", done.stderr)


if __name__ == "__main__":
    harness.main()
