#!/usr/bin/env python3
"""Catalogue G and J on real processes: databases are killed, disks are full, damaged or cut short, under load.

A full disk of the log is in bad_input_test.py (J1), a changed database in tamper_database_test.py (G5)."""
import os
import random
import re
import shutil
import subprocess
import unittest

import harness

TIMING = ["silence_patience_ms = 1500", "new_view_patience_ms = 3000", "patience_max_ms = 15000"]
KILLS = int(os.environ.get("BFT_KILLS", "4"))


class Databases(harness.UnderLoad):
    options = {"groups": 2, "partitions": 2, "timing": TIMING}

    def database(self, host, command):
        harness.run(harness.ROOT / "deploy" / "mariadb.sh", command, self.cluster.dir / "hosts" / host / "mariadb",
                    check=True)

    def test_g1_databases_die_in_the_middle_of_transactions(self):
        """G1, G2: one database server after another is killed at any moment, its voter is not; what it had acknowledged
        it has, what was under way runs again, once."""
        dice = random.Random(1)
        for _ in range(KILLS):
            host = dice.choice(["host1", "host2", "host3"])
            self.requests_flow(more=dice.randint(1, 40))
            self.database(host, "kill")
            self.requests_flow(f"requests flow without the database of {host}", more=dice.randint(1, 40))
            self.database(host, "start")
            self.requests_flow(f"{host} executes again", host=host)
        self.all_is_well()

    def test_g3_the_voter_dies_before_it_answers(self):
        """G3: a voter is killed, its database goes on; what was committed and not answered is answered afterwards."""
        for host in ("host1", "host3"):
            self.cluster.script("kill-daemons", host)
            self.cluster.script("start-host", host)
            self.requests_flow(f"{host} executes again", host=host)
        self.all_is_well()


class Logs(harness.UnderLoad):
    """J3: what a host finds in its log after a crash is not what it wrote."""

    options = {"groups": 2, "partitions": 2, "timing": TIMING}

    def log_file(self, host):
        """The newest write-ahead log of the replicas' store."""
        files = list((self.cluster.dir / "hosts" / host / "data" / "replica").glob("*.log"))
        return max(files, key=lambda file: int(file.stem))

    def damage(self, host, change):
        """Kills the host's daemons, changes the log, starts them. Gives how that ended: 'well', or what it said."""
        self.requests_flow(more=50)
        self.cluster.script("kill-daemons", host)
        file = self.log_file(host)
        kept = file.parent.with_name("kept")
        shutil.copytree(file.parent, kept)
        change(file)
        before = len(self.cluster.log(host))
        self.cluster.script("start-host", host)

        def outcome():
            said = re.search(r"cannot_start what=\"(.*)\"", self.cluster.log(host)[before:])
            return said.group(1) if said else "well" if self.cluster.caught_up(host) else None
        end = harness.wait_until(outcome, f"{host} goes on, or says why it does not")
        print(f"    {end}", flush=True)
        self.requests_flow()
        if end != "well":
            # What the disk really held: as the operator puts the right disk back.
            self.cluster.script("kill-daemons", host)
            shutil.rmtree(file.parent)
            kept.rename(file.parent)
            self.cluster.script("start-host", host)
        self.all_is_well()
        shutil.rmtree(kept, ignore_errors=True)
        return end

    def test_j3_a_torn_end(self):
        """The last record is half there, as after a power cut in the middle of a write that nobody was told about."""
        def tear(file):
            # A record of RocksDB's log: checksum (4 bytes), length (2), type (1), content.
            first = file.read_bytes()[:40000]
            half = int.from_bytes(first[4:6], "little") // 2
            with open(file, "ab") as log:
                log.write(first[:7 + half])
        end = self.damage("host3", tear)
        self.assertEqual(end, "well")

    def test_j3_the_end_is_missing(self):
        """Records that were synced are gone: the counter knows of them. It recovers from its peers or refuses."""
        def cut(file):
            os.truncate(file, max(0, file.stat().st_size - 3000))
        end = self.damage("host2", cut)
        self.assertTrue(end == "well" or "log" in end or "counter" in end, end)

    def test_j3_bits_rot_in_the_middle(self):
        """Never skipped: an older state would be worse than none."""
        def rot(file):
            with open(file, "r+b") as log:
                log.seek(file.stat().st_size // 2)
                byte = log.read(1)[0]
                log.seek(-1, os.SEEK_CUR)
                log.write(bytes([byte ^ 0x10]))
        end = self.damage("host1", rot)
        self.assertRegex(end, "damaged")


class FullDisk(unittest.TestCase):
    def test_g9_the_disk_of_a_database_is_full(self):
        """G9: the database can not commit; its voter says nothing wrong, and goes on when there is room again."""
        with harness.Cluster(groups=1, partitions=2, timing=TIMING) as c:
            database = c.dir / "hosts" / "host2" / "mariadb"
            database.mkdir(mode=0o700)
            if harness.run("mount", "-t", "tmpfs", "-o", "size=260m,mode=711", "tmpfs", database).returncode != 0:
                self.skipTest("a small disk can only be mounted by root")
            try:
                self.fill(c, database / "filler")
            finally:
                c.script("stop")
                harness.run("umount", "-l", database)

    def fill(self, c, filler):
        c.start_loaded(warehouses=2)
        driver = c.drive(seconds=3600)
        self.addCleanup(driver.wait)
        self.addCleanup(driver.kill)
        harness.wait_until(lambda: c.executed("host1") > 20, "the run has begun")
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=4k"], capture_output=True, check=False)

        before = c.executed("host1")
        harness.wait_until(lambda: re.search("No space left|Disk full|is full|database_lost", self.error_log(c)),
                           "the database notices")
        harness.wait_until(lambda: c.executed("host1") > before + 50, "the others go on")
        filler.unlink()
        # MariaDB waits for room, or ends itself.
        print(f"    the server {'ended' if 'database_lost' in c.log('host2') else 'waited'}", flush=True)
        c.script("start-host", "host2")
        driver.send_signal(2)
        self.assertEqual(c.finished(driver)["failed"], 0)
        self.assertFalse(c.status()["disagreements"].get("host2"), "it gave a wrong answer")
        harness.wait_until(lambda: c.check_databases().returncode == 0, "all databases are equal")
        c.check_acknowledged()

    def error_log(self, c):
        file = c.dir / "hosts" / "host2" / "mariadb" / "error.log"
        return file.read_text(errors="replace") + c.log("host2")


if __name__ == "__main__":
    harness.main()
