#!/usr/bin/env python3
"""Catalogue F (and J9) on real processes: the host's TPM is slow, away, new, rolled back, ahead of the disk, shared."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

import harness

TIMING = ["silence_patience_ms = 1500", "new_view_patience_ms = 3000", "patience_max_ms = 15000"]
# How long a TPM is away (F2).
AWAY_S = float(os.environ.get("BFT_AWAY_S", "30"))


class SlowTpm(unittest.TestCase):
    def test_f1_a_chip_of_50_ms(self):
        """F1: slots wait for the chip, and requests share slots: the rate is printed, nothing fails."""
        with harness.Cluster(groups=2, partitions=2, tpm_delay_ms=50) as cluster:
            cluster.start_loaded(warehouses=2)
            result = cluster.finished(cluster.drive(seconds=10, clients=32))
            self.assertEqual(result["failed"], 0)
            self.assertGreater(result["committed"], 0)
            print(f"    TPM of 50 ms: {result['per_second']:.0f} transactions/s, "
                  f"p50 {result['latency_us']['p50'] / 1000:.0f} ms", flush=True)
            # Chips of 50 ms one after the other for each transaction would allow 20 of them.
            self.assertGreater(result["per_second"], 20)
            check = cluster.check_databases()
            self.assertEqual(check.returncode, 0, check.stdout + check.stderr)
            cluster.check_acknowledged()


class Tpm(harness.UnderLoad):
    options = {"groups": 2, "partitions": 2, "timing": TIMING}

    def leader(self):
        return harness.wait_until(self.cluster.leader, "somebody leads")

    def home(self, host):
        return self.cluster.dir / "hosts" / host

    def away(self, host):
        self.cluster.signal(host, "tpm", signal.SIGSTOP)
        self.addCleanup(self.cluster.signal, host, "tpm", signal.SIGCONT)
        end = time.monotonic() + AWAY_S
        while time.monotonic() < end:
            self.requests_flow(f"requests flow without the TPM of {host}", more=5)
        self.cluster.signal(host, "tpm", signal.SIGCONT)
        self.all_is_well()

    def test_f2_a_replicas_tpm_is_away(self):
        """F2: its host certifies nothing meanwhile, and is a slow replica."""
        self.away("host3")

    def test_f2_the_leaders_tpm_is_away(self):
        """F2: another one leads (in kill_primary_test.py, where nobody is silent for long, because it resigns)."""
        view = self.cluster.view()
        self.away(self.leader())
        self.assertGreater(self.cluster.view(), view)

    def says(self, host, since, *patterns):
        """What the host's daemons have logged from there on has all of these."""
        def there():
            text = self.cluster.log(host, "usig")[since[0]:] + self.cluster.log(host)[since[1]:]
            return all(re.search(pattern, text) for pattern in patterns)
        harness.wait_until(there, f"{host} says {patterns}")

    def logged(self, host):
        return len(self.cluster.log(host, "usig")), len(self.cluster.log(host))

    def replaced(self, host, folder, by, *says):
        """The host comes back with another `folder`, says what is wrong and takes no part; with its own it is well."""
        since = self.logged(host)
        own, kept = self.home(host) / folder, self.home(host) / f"{folder}.own"
        own.rename(kept)
        if by is not None:
            by.rename(own)
        self.cluster.script("start-host", host)
        self.says(host, since, *says)
        self.requests_flow()
        self.cluster.script("kill-host", host)
        shutil.rmtree(own, ignore_errors=True)
        kept.rename(own)
        self.cluster.script("start-host", host)
        self.all_is_well()

    def copied(self, host, folder):
        """An old state: copied while the host is down; then it runs on for a while."""
        self.cluster.script("kill-host", host)
        old = self.home(host) / f"{folder}.old"
        shutil.copytree(self.home(host) / folder, old, ignore=shutil.ignore_patterns("*.sock*"))
        self.cluster.script("start-host", host)
        self.all_is_well()
        self.requests_flow(more=50)
        self.cluster.script("kill-host", host)
        return old

    def test_f4_a_new_tpm(self):
        """F4, F5: a TPM that was reset or replaced is another identity: the host refuses, and says what to do."""
        self.cluster.script("kill-host", "host3")
        self.replaced("host3", "tpm", None, r"(?i)cannot_start.*TPM")

    def test_f6_a_tpm_that_was_rolled_back(self):
        """F6: an old state of the TPM itself would certify values again: it must never be used."""
        self.replaced("host2", "tpm", self.copied("host2", "tpm"), "rolled back", "must not be used again")

    def test_f7_an_old_disk(self):
        """F7: a snapshot of the disk is put back, and the TPM is ahead of it: it is seen, and nothing is reused."""
        self.replaced("host1", "data", self.copied("host1", "data"), "usig_forgotten|journal was lost or restored",
                      "Restore the newest journal, or replace the identity")

    def test_f8_a_lost_disk(self):
        """F8: as an old one."""
        self.cluster.script("kill-host", "host2")
        self.replaced("host2", "data", None, "journal was lost or restored", "replace the identity")


class Twins(unittest.TestCase):
    def test_f9_a_second_daemon_with_an_empty_disk(self):
        """F9, J9: one host's identity twice, with another disk and address and the same counters. Beside the host's own
        daemon it gets none of them; in its place it refuses, or at worst that host is lost. The others go on and stay
        equal."""
        self.run_twin(lambda c: None)

    def test_f9_a_second_daemon_with_a_copy_of_the_disk(self):
        """F9, J9: it begins where the host was; what the host has certified since then is not in its log."""
        def copy(c):
            c.script("kill-daemons", "host3")
            (c.dir / "twin" / "data").mkdir(parents=True, mode=0o700)
            shutil.copytree(c.dir / "hosts" / "host3" / "data" / "replica", c.dir / "twin" / "data" / "replica")
            c.script("start-host", "host3")
        self.run_twin(copy)

    def run_twin(self, prepare):
        with harness.Cluster(groups=2, partitions=2) as c:
            c.start_loaded(warehouses=2)
            driver = c.drive()
            self.addCleanup(driver.wait)
            self.addCleanup(driver.kill)
            harness.wait_until(lambda: c.executed("host1") > 20, "the run has begun")
            prepare(c)
            with open(c.dir / "twin.log", "w") as log:
                twin = subprocess.Popen([harness.BFTNODE, "--role=replica", "--config", self.twin_of(c, "host3")],
                                        stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            self.addCleanup(twin.wait)
            self.addCleanup(twin.kill)
            self.outcome(c, "the twin gets no counter", lambda: "in use by another process" in self.said(c))
            self.assertIsNone(twin.poll())
            c.signal("host3", "node", signal.SIGKILL)
            self.outcome(c, "the twin gives up, or begins",
                         lambda: twin.poll() is not None or "node_started" in self.said(c))
            before = c.executed("host1")
            harness.wait_until(lambda: c.executed("host1") > before + 200, "the others go on")
            print(f"    the twin {'runs' if twin.poll() is None else 'has given up'}:", *self.said(c).splitlines()[-3:],
                  sep="\n    ", flush=True)
            twin.kill()
            before = c.executed("host1")
            harness.wait_until(lambda: c.executed("host1") > before + 50, "the others go on")
            driver.send_signal(signal.SIGINT)
            self.assertEqual(c.finished(driver)["failed"], 0)
            harness.wait_until(lambda: c.check_databases(without=["host3"]).returncode == 0, "the others are equal")
            c.check_acknowledged()

    def outcome(self, cluster, what, condition):
        try:
            harness.wait_until(condition, what)
        except AssertionError as late:
            raise AssertionError(f"{late}; it says:\n{self.said(cluster)}") from late

    @staticmethod
    def free_port():
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return probe.getsockname()[1]

    @staticmethod
    def said(cluster):
        return (cluster.dir / "twin.log").read_text(errors="replace")

    def twin_of(self, cluster, host):
        source = cluster.dir / "hosts" / host
        home = cluster.dir / "twin"
        home.mkdir(exist_ok=True)
        for name in ("cluster.toml", "identity.key", "usig.tokens", "usig.secrets"):
            shutil.copy2(source / name, home / name)
        shutil.copytree(source / "app", home / "app")
        text = (source / "node.toml").read_text()
        text = re.sub(r"(?m)^metrics = .*\n", "", text)
        text = text.replace("[host]\n", f"[host]\nlisten = '127.0.0.1:{self.free_port()}'\n", 1)
        text = re.sub(r"(?m)^\[usig\]\n", f"[usig]\nsocket = '{source}/data/usig.sock'\n", text, count=1)
        (home / "node.toml").write_text(text)
        return home / "node.toml"


if __name__ == "__main__":
    harness.main()
