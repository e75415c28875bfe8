#!/usr/bin/env python3
"""A snapshot is saved under load, proves itself, and a new cluster begins with it: after more than f hosts are lost."""
import json
import shutil
import signal
import subprocess
import unittest

import harness

SHAPE = {"groups": 2, "partitions": 2}


def bftctl(*words, patience=harness.PATIENCE):
    return harness.run(harness.BFTCTL, *words, timeout=2 * patience)


class Snapshots(unittest.TestCase):
    def drive_a_while(self, c, more=50):
        c.warehouses, c.scale = 2, 0.01
        driver = c.drive(seconds=3600)
        before = c.executed("host2")
        harness.wait_until(lambda: c.executed("host2") > before + more, "the load runs")
        return driver

    def end(self, c, driver):
        driver.send_signal(signal.SIGINT)
        result = c.finished(driver)
        self.assertEqual(result["failed"], 0)
        return result

    def admin_acts(self, c, host):
        files = list((c.dir / "hosts" / host).rglob("admin.log"))
        self.assertEqual(len(files), 1)
        self.assertEqual(files[0].stat().st_mode & 0o7777 & 0o137, 0)
        return [json.loads(line) for line in files[0].read_text().splitlines()]

    def save(self, c):
        """Under load; the file."""
        file = c.dir / "a.snapshot"
        driver = self.drive_a_while(c)
        saved = bftctl("snapshot", "save", "--host", "host2", "--out", file, c.dir)
        self.assertEqual(saved.returncode, 0, saved.stderr)
        self.assertEqual(saved.stdout.strip(), str(file))
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.interrupted_leaves_nothing(c)
        before = c.executed("host2")
        harness.wait_until(lambda: c.executed("host2") > before + 20, "the load goes on")
        self.end(c, driver)
        acts = self.admin_acts(c, "host2")
        begun = [act for act in acts if act["act"].startswith("snapshot begin")]
        self.assertTrue(begun and all(act["uid"] == 0 and act["outcome"] == "ok" for act in begun), acts)
        self.assertTrue(any(act["act"].endswith("written") for act in acts), acts)
        again = bftctl("snapshot", "save", "--out", file, c.dir)
        self.assertEqual(again.returncode, 2, "nothing is written over")
        return file

    def interrupted_leaves_nothing(self, c):
        folder = c.dir / "interrupted"
        folder.mkdir()
        process = subprocess.Popen([harness.BFTCTL, "snapshot", "save", "--out", folder / "b", c.dir],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        harness.wait_until(lambda: any("snapshot begin" in act["act"] for act in self.admin_acts(c, "host1")), "begun")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60), 130, process.stdout.read())
        process.stdout.close()
        self.assertEqual(list(folder.iterdir()), [])

    def verify(self, c, file):
        cluster = c.dir / "hosts" / "host1" / "cluster.toml"
        good = bftctl("snapshot", "verify", "--json", "--cluster", cluster, file)
        self.assertEqual(good.returncode, 0, good.stderr)
        document = json.loads(good.stdout)
        self.assertGreaterEqual(len(document["signers"]), 2)
        bad = c.dir / "bad.snapshot"
        content = bytearray(file.read_bytes())
        content[-40] ^= 1  # tables are in the order of their names
        bad.write_bytes(content)
        refused = bftctl("snapshot", "verify", "--cluster", cluster, bad)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("table warehouse partition 2", refused.stderr)
        print(refused.stderr.strip(), flush=True)
        return document

    def refuse_what_does_not_fit(self, new, file, foreign):
        """`foreign`: the cluster that the snapshot is of; it names no snapshot itself."""
        wrong = bftctl("snapshot", "restore", file, foreign.dir)
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("names no snapshot", wrong.stderr)
        damaged = bftctl("snapshot", "restore", foreign.dir / "bad.snapshot", new.dir)
        self.assertEqual(damaged.returncode, 1)
        self.assertIn("table warehouse partition 2", damaged.stderr)
        other = bftctl("snapshot", "verify", "--cluster", new.dir / "hosts" / "host1" / "cluster.toml", file)
        self.assertEqual(other.returncode, 1)
        self.assertIn("another cluster", other.stderr)

    def restore(self, new, file, document):
        new.script("start-databases")
        # Ctrl-C in the middle: what is half loaded counts as nothing, and the same command goes on.
        process = subprocess.Popen([harness.BFTCTL, "snapshot", "restore", file, new.dir], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertIn("host1", process.stdout.readline())
        process.send_signal(signal.SIGINT)
        self.assertIn("interrupted", process.communicate(timeout=harness.PATIENCE)[0])
        self.assertEqual(process.returncode, 130)
        restored = bftctl("snapshot", "restore", file, new.dir)
        self.assertEqual(restored.returncode, 0, restored.stderr)
        print(restored.stdout.strip(), flush=True)
        for table, rows in document["tables"].items():
            if not table.startswith("cbft_"):
                for host in ("host1", "host2", "host3"):
                    self.assertEqual(new.query(host, f"SELECT COUNT(*) FROM {table}"), [(str(rows),)], (host, table))
        self.assertEqual(new.check_databases().returncode, 0, "equal, and consistent by TPC-C's conditions")

    def one_row_by_hand(self, new):
        """host1's database is not what the cluster file says: it is refused, not repaired in silence."""
        new.query("host1", "UPDATE warehouse SET w_ytd = w_ytd + 1 WHERE w_id = 1; SELECT 1")
        for host in ("primary1", "primary2", "host1", "host2", "host3"):
            new.script("start-host", host)
        harness.wait_until(lambda: "cannot_start" in new.log("host1"), "host1 refuses")
        self.assertIn("load it with `bftctl snapshot restore`", new.log("host1"))

    def lost_again(self, new, host):
        """An empty one is loaded from the others, and is not taken for a new one's."""
        compared = new.log(host).count("genesis_comparing")
        harness.run("mariadb", "--no-defaults", f"--socket={new.socket(host)}", "--user=root", "-e",
                    "DROP DATABASE tpcc", check=True)
        new.script("start-host", host)
        guard = lambda: (new.documents().get(host, {}).get("voter") or {}).get("guard", {})
        harness.wait_until(lambda: guard().get("quarantined") or guard().get("state", "sound") != "sound"
                           or guard().get("transfers", 0) > 0, "it is not in service")
        harness.wait_until(lambda: guard().get("transfers", 0) == 1 and guard()["state"] == "sound", "it is loaded")
        self.assertEqual(new.log(host).count("genesis_comparing"), compared, "signatures vouch for it, nothing is read again")

    def test_a_cluster_is_lost_and_a_new_one_begins_with_its_snapshot(self):
        with harness.Cluster(**SHAPE) as old:
            old.start_loaded(warehouses=2)
            file = self.save(old)
            document = self.verify(old, file)
            old.stop()
            with harness.Cluster(**SHAPE, snapshot=file,
                                 snapshot_cluster=old.dir / "hosts" / "host1" / "cluster.toml") as new:
                self.refuse_what_does_not_fit(new, file, old)
                self.restore(new, file, document)
                new.begin = harness.acknowledged.Begin(lambda sql: new.query("host2", sql))
                self.one_row_by_hand(new)
                self.lost_again(new, "host1")  # before the first transaction
                driver = self.drive_a_while(new)
                self.lost_again(new, "host2")
                result = self.end(new, driver)
                harness.wait_until(lambda: new.check_databases().returncode == 0, "all databases are equal")
                counts = new.check_acknowledged()
                used = bftctl("snapshot", "restore", "--host", "host2", file, new.dir)
                self.assertEqual(used.returncode, 1)
                self.assertRegex(used.stderr, "in service already|in use by another")
                shutil.rmtree(old.dir / "interrupted")
                print(f"snapshot of slot {document['slot']}, {document['bytes']} bytes of rows, signed by "
                      f"{document['signers']}; the new cluster ran {result.get('committed', counts)}", flush=True)


if __name__ == "__main__":
    harness.main()
