#!/usr/bin/env python3
"""Clients, admin keys and feature levels change while TPC-C runs, and what they were is refused in words; a host that is
killed in the middle knows all of it when it is back."""
import json
import shutil
import signal
import unittest

import harness


class ClientKeys(unittest.TestCase):
    def ctl(self, *words, keys=None, status=0):
        signed = [word for key in keys or [self.cluster.dir / "admins" / "admin.key"] for word in ("--key", key)]
        done = harness.run(harness.BFTCTL, *words, "--client", self.cluster.dir / "clients" / "admin", *signed)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
        return done

    def listed(self, command):
        return json.loads(harness.run(harness.BFTCTL, command, "list", "--format", "json", "--client",
                                      self.cluster.dir / "clients" / "admin", check=True).stdout)

    def call(self, client):
        return self.cluster.call("--timeout", 20, "stock_level", 1, 1, 15, client=client)

    def works(self, client):
        done = self.call(client)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def refused(self, client, text):
        done = self.call(client)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertIn(text, done.stdout + done.stderr)

    def check_clients(self):
        folder = self.cluster.dir / "clients" / "ann"
        self.ctl("client", "add", "ann", "--dry-run")
        self.assertFalse(folder.exists())
        added = json.loads(self.ctl("client", "add", "ann", "--format", "json").stdout)
        self.works("ann")
        shutil.copytree(folder, self.cluster.dir / "clients" / "thief")
        self.ctl("client", "rotate", folder)
        # Before ann calls again: the numbers of requests that were executed are answered, to her key.
        self.refused("thief", "another key")
        self.works("ann")
        self.assertEqual([one["id"] for one in self.listed("client")["clients"]], [added["id"]])
        return added["id"]

    def check_admin_keys(self):
        new = [self.cluster.dir / "admins" / f"new{i}.key" for i in range(3)]
        words = [word for key in new for word in ("--admin", key)]
        self.ctl("key", "rotate", *words, "--quorum", 2)
        self.assertEqual(self.listed("key")["quorum"], 2)
        self.assertIn("no admin key", self.ctl("client", "add", "eve", status=1).stderr)
        self.assertIn("must sign together", self.ctl("client", "add", "eve", keys=new[:1], status=1).stderr)
        self.assertFalse((self.cluster.dir / "clients" / "eve").exists())
        self.ctl("client", "add", "bob", keys=new[1:])
        self.works("bob")
        return new

    def check_mover(self, admins):
        """A controller's key moves partitions by itself, though two admins must sign, and does nothing else."""
        mover = [self.cluster.dir / "controller.key"]
        self.ctl("key", "grant", *mover, keys=admins[:2])
        self.assertEqual(len(self.listed("key")["movers"]), 1)
        self.ctl("partition", "move", 1, "--to", 2, keys=mover)
        self.ctl("partition", "move", 1, "--to", 1, keys=mover)
        self.assertIn("nothing else", self.ctl("client", "add", "eve", keys=mover, status=1).stderr)
        self.assertIn("nothing else", self.ctl("feature", "enable", 2, keys=mover, status=1).stderr)

    def check_feature(self, keys):
        self.assertEqual(self.listed("feature")["level"], 1)
        self.assertIn("levels up to", self.ctl("feature", "enable", 99, keys=keys, status=1).stderr)
        self.ctl("feature", "enable", 2, keys=keys[:2])
        self.assertEqual(self.listed("feature")["level"], 2)
        self.assertIn("levels only rise", self.ctl("feature", "enable", 2, keys=keys, status=1).stderr)

    def test_they_change_under_load(self):
        with harness.Cluster(groups=2, partitions=2) as self.cluster:
            cluster = self.cluster
            driver = cluster.begin_load(self)
            ann = self.check_clients()
            cluster.script("kill-host", "host2")
            keys = self.check_admin_keys()
            cluster.script("start-host", "host2")
            harness.wait_until(lambda: cluster.caught_up("host2"), "host2 takes part again")
            self.check_mover(keys)
            self.check_feature(keys)
            self.ctl("client", "remove", ann, keys=keys[:2])
            self.refused("ann", "was removed")
            # host1 is needed then, with what host2 has learned from others.
            cluster.script("kill-host", "host1")
            cluster.requests_flow("requests flow without host1", host="host2")
            self.works("bob")
            self.refused("ann", "was removed")
            cluster.script("start-host", "host1")
            harness.wait_until(lambda: cluster.caught_up("host1"), "host1 takes part again")
            driver.send_signal(signal.SIGINT)
            result = cluster.finished(driver)
            self.assertEqual(result["failed"], 0)
            harness.wait_until(lambda: cluster.check_databases().returncode == 0, "all databases are equal")
            print(f"{result['committed']} committed meanwhile", flush=True)


if __name__ == "__main__":
    harness.main()
