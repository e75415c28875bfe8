#!/usr/bin/env python3
"""A database is changed, broken or lost behind its voter's back, under load: it is noticed at the next comparison
at the latest, said with table and partition, repaired from the others while they go on, and equal in the end."""
import shutil
import unittest

import harness
import pages

SCAN_SLOTS = 96  # a comparison every few seconds


def cluster(**more):
    return harness.Cluster(groups=2, partitions=2, scan_slots=more.pop("scan_slots", SCAN_SLOTS), **more)


class TamperDatabase(unittest.TestCase):
    def begin(self, c, seconds):
        c.start_loaded(warehouses=2)
        driver = c.drive(seconds=seconds)
        harness.wait_until(lambda: c.executed("host1") > 20, "the run has begun")
        return driver

    def voter(self, c, host):
        return (c.status()["hosts"][host] or {}).get("voter", {})

    def guard(self, c, host):
        return self.voter(c, host).get("guard", {})

    def sql(self, c, host, statement):
        socket = c.dir / "hosts" / host / "mariadb" / "mysqld.sock"
        return harness.run("mariadb", "--no-defaults", f"--socket={socket}", "--user=root", "tpcc", "-e", statement,
                           check=True)

    def healed(self, c, host, transfers=1):
        """It was rebuilt, and executes what the others execute."""
        harness.wait_until(lambda: self.guard(c, host).get("transfers", 0) >= transfers
                           and self.guard(c, host)["state"] == "sound", f"{host} is rebuilt")
        others = max(self.voter(c, "host1")["next"].values())
        harness.wait_until(lambda: max(self.voter(c, host)["next"].values(), default=0) >= others,
                           f"{host} catches up")

    def finish(self, c, driver):
        result = c.finished(driver)
        self.assertEqual(result["failed"], 0)
        harness.wait_until(lambda: c.check_databases().returncode == 0, "all databases are equal")
        return result

    def test_an_update_by_hand_is_named_and_repaired(self):
        with cluster() as c:
            driver = self.begin(c, seconds=40)
            self.sql(c, "host2", "UPDATE customer SET c_balance = c_balance + 1000000 "
                                 "WHERE c_w_id = 2 ORDER BY c_d_id, c_id LIMIT 1")
            # While it is in quarantine the others go on: nobody waits for it.
            harness.wait_until(lambda: self.guard(c, "host2").get("quarantines", 0) == 1, "it is noticed")
            before = c.executed("host1")
            harness.wait_until(lambda: c.executed("host1") > before + 20, "the others go on")
            self.healed(c, "host2")
            differences = self.guard(c, "host2")["differences"]
            print(*differences, sep="\n", flush=True)
            self.assertTrue(any("table customer partition 2" in d for d in differences), differences)
            self.assertFalse(any("partition 1" in d and "customer" in d for d in differences), differences)
            self.assertIn("table customer partition 2", c.log("host2"))
            for host in ("host1", "host3"):
                self.assertEqual(self.guard(c, host)["quarantines"], 0)
            self.finish(c, driver)

    def test_a_dropped_table_and_a_lost_row_of_bookkeeping(self):
        with cluster() as c:
            driver = self.begin(c, seconds=60)
            self.sql(c, "host3", "SET foreign_key_checks = 0; DROP TABLE new_order")
            self.healed(c, "host3")
            self.assertIn("new_order", c.log("host3"))
            self.sql(c, "host3", "DELETE FROM cbft_part WHERE part = 1")
            self.healed(c, "host3", transfers=2)
            self.finish(c, driver)

    def test_a_lost_data_directory(self):
        with cluster() as c:
            driver = self.begin(c, seconds=60)
            c.script("kill-host", "host2")
            shutil.rmtree(c.dir / "hosts" / "host2" / "mariadb")
            c.script("start-host", "host2")
            self.healed(c, "host2")
            self.finish(c, driver)

    def test_a_donor_dies_during_the_transfer(self):
        """G14: with the datadir lost and a donor dead there are too few databases for an answer; both come back."""
        with cluster() as c:
            driver = self.begin(c, seconds=60)
            c.script("kill-host", "host2")
            shutil.rmtree(c.dir / "hosts" / "host2" / "mariadb")
            c.script("start-host", "host2")
            harness.wait_until(lambda: " transferring " in c.log("host2"), "it is being loaded")
            c.script("kill-daemons", "host1")
            c.script("start-host", "host1")
            self.healed(c, "host2")
            self.finish(c, driver)
            c.check_acknowledged("host2")

    def test_a_row_flipped_on_disk(self):
        """G5 (and DBS): bytes of a row change in the table's file while the server is down, and the page's checksum is
        right: the server notices nothing."""
        with cluster() as c:
            driver = self.begin(c, seconds=60)
            row, = c.query("host3", "SELECT w_street_1 FROM warehouse WHERE w_id = 2")
            old = row[0].encode("latin1")
            new = bytes([old[0] ^ 1]) + old[1:]
            home = c.dir / "hosts" / "host3" / "mariadb"
            server = harness.ROOT / "deploy" / "mariadb.sh"
            harness.run(server, "stop", home, check=True)
            self.assertGreater(pages.replace_in_pages(home / "data" / "tpcc" / "warehouse.ibd", old, new), 0)
            harness.run(server, "start", home, check=True)
            self.assertEqual(c.query("host3", "SELECT w_street_1 FROM warehouse WHERE w_id = 2"), [(new.decode("latin1"),)])
            self.healed(c, "host3")
            differences = self.guard(c, "host3")["differences"]
            print(*differences, sep="\n", flush=True)
            self.assertTrue(any("table warehouse partition 2" in d for d in differences), differences)
            self.assertFalse(any("table warehouse partition 1" in d for d in differences), differences)
            for host in ("host1", "host2"):
                self.assertEqual(self.guard(c, host)["quarantines"], 0)
            self.finish(c, driver)
            self.assertEqual(c.query("host3", "SELECT w_street_1 FROM warehouse WHERE w_id = 2"), [row])
            c.check_acknowledged("host3")

    def test_audit_on_demand(self):
        with cluster(scan_slots=0) as c:
            driver = self.begin(c, seconds=60)
            audit = harness.run(harness.BFTCTL, "audit", c.dir)
            print(audit.stdout, flush=True)
            self.assertEqual(audit.returncode, 0, audit.stdout + audit.stderr)
            self.assertEqual(audit.stdout.count("equal"), 3)
            self.sql(c, "host1", "UPDATE stock SET s_quantity = s_quantity + 1 WHERE s_w_id = 1 LIMIT 1")
            audit = harness.run(harness.BFTCTL, "audit", c.dir)
            print(audit.stdout, flush=True)
            self.assertEqual(audit.returncode, 5, audit.stdout + audit.stderr)
            self.assertIn("table stock partition 1", audit.stdout)
            self.healed(c, "host1")
            resync = harness.run(harness.BFTCTL, "audit", "--resync", "host3", c.dir)
            self.assertEqual(resync.returncode, 0, resync.stdout + resync.stderr)
            audit = harness.run(harness.BFTCTL, "audit", "--host", "host3", c.dir)
            self.assertEqual(audit.returncode, 0, audit.stdout + audit.stderr)
            self.finish(c, driver)


if __name__ == "__main__":
    harness.main()
