#!/usr/bin/env python3
"""Every host is restarted, one after the other, under load; no request fails. And what bftctl tells meanwhile."""
import json
import subprocess

import harness


class Upgrade(harness.UnderLoad):
    options = {"groups": 2, "partitions": 2}
    clients = 8

    def restart_command(self):
        """What `systemctl restart` is to a cluster of deploy/cluster.sh."""
        script = harness.ROOT / "deploy" / "cluster.sh"
        run = f"{self.cluster.dir}/hosts/{{}}/run"
        # In order, as systemd does: SIGTERM, wait, start.
        return (f". {harness.ROOT}/deploy/processes.sh; process_stop 15 {run}/node.pid; process_stop 15 {run}/usig.pid; "
                f"BFT_BUILD={harness.BUILD} {script} start-host {self.cluster.dir} {{}}")

    def rolling_restart(self, *more):
        return harness.run(harness.BFTCTL, "rolling-restart", "--settle", "1", "--command",
                           f"bash -c '{self.restart_command()}'", *more, self.cluster.dir, timeout=900)

    def test_whole_cluster(self):
        before = {host: self.cluster.pid(host, "node") for host in self.cluster.hosts()}
        leader = self.cluster.leader()
        done = self.rolling_restart()
        print(done.stdout, flush=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(len(lines), len(before))
        self.assertIn(leader, lines[-1], "who leads goes last")
        for host, pid in before.items():
            self.assertNotEqual(self.cluster.pid(host, "node"), pid, f"{host} is a new process")
        self.requests_flow()
        self.all_is_well()

    def test_nothing_is_restarted_when_a_host_is_down(self):
        self.cluster.script("kill-daemons", "host3")
        before = self.cluster.pid("host1", "node")
        done = self.rolling_restart("--timeout", "5")
        self.assertEqual(done.returncode, 5)
        self.assertIn("nothing was restarted", done.stderr)
        self.assertIn("host3", done.stderr)
        self.assertEqual(self.cluster.pid("host1", "node"), before)
        self.cluster.script("start-host", "host3")
        self.all_is_well()

    def test_a_failing_command_ends_it(self):
        done = harness.run(harness.BFTCTL, "rolling-restart", "--command", "exit 3 # {}", self.cluster.dir)
        self.assertEqual(done.returncode, 1)
        self.assertIn("left alone", done.stderr)

    def test_versions_are_in_the_handshake(self):
        for host, document in self.cluster.documents().items():
            for name, link in document["link_details"].items():
                self.assertEqual(link["protocol"], "bftnode/1", f"{host} to {name}")
                self.assertGreater(link["rtt_us"], 0)

    def test_top_and_watch(self):
        top = harness.run(harness.BFTCTL, "top", "--every", "1", "--count", "2", self.cluster.dir)
        self.assertEqual(top.returncode, 0, top.stdout + top.stderr)
        rows = {line.split()[0]: line.split() for line in top.stdout.splitlines() if line.strip()}
        head = rows["HOST"]
        executed = head.index("TX/s")
        self.assertGreater(int(rows["host1"][executed]), 0)
        self.assertGreater(float(rows["host1"][head.index("PENDING") + 4]), 0, "the TPM takes time")
        self.assertIn("commit", rows)
        watch = harness.run(harness.BFTCTL, "status", "--watch", "0.2", "--count", "3", "--json", self.cluster.dir)
        self.assertEqual(watch.returncode, 0)
        decoder, text, documents = json.JSONDecoder(), watch.stdout.strip(), 0
        while text:
            _, end = decoder.raw_decode(text)
            text, documents = text[end:].strip(), documents + 1
        self.assertEqual(documents, 3)

    def test_log_level(self):
        def lines():
            return sum(" debug " in line for line in self.cluster.log("host1").splitlines())
        self.assertEqual(lines(), 0)
        home = self.cluster.dir / "hosts" / "host1"
        harness.run(harness.BFTCTL, "log-level", "debug", home, check=True)
        self.assertEqual(self.cluster.documents()["host1"]["log_level"], "debug")
        harness.run(harness.BFTCTL, "log-level", "info", home, check=True)
        self.assertEqual(self.cluster.documents()["host1"]["log_level"], "info")
        self.assertEqual(harness.run(harness.BFTCTL, "log-level", "loud", home).returncode, 2)

    def test_check_measures(self):
        done = harness.run(harness.BFTCTL, "check", "--measure", self.cluster.dir)
        print(done.stdout, flush=True)
        found = {line.split()[1] for line in done.stdout.splitlines()}
        self.assertEqual(found, {"hosts", "clock", "disk", "links", "tpm", "database", "version"})
        # All hosts of this cluster are on one machine, which is what a check is for.
        self.assertEqual(done.returncode, 5)
        self.assertIn("WRONG hosts", done.stdout)
        for line in done.stdout.splitlines():
            if line.split()[1] in ("links", "database", "version"):
                self.assertTrue(line.startswith("ok"), line)

    def secrets(self):
        """What must be in no bundle: the words of every file that is for its owner alone."""
        words = set()
        for file in self.cluster.dir.glob("hosts/*/*"):
            if file.is_file() and file.stat().st_mode & 0o077 == 0:
                for line in file.read_text(errors="replace").splitlines():
                    if not line.startswith(("-----", "#")):
                        words |= {word for word in line.replace('"', " ").replace("=", " ").split() if len(word) >= 16}
        return words

    def test_bundle_has_no_secret(self):
        secrets = self.secrets()
        self.assertGreater(len(secrets), len(self.cluster.hosts()))
        # As if somebody had logged one.
        leaked = max(secrets, key=len)
        with open(self.cluster.dir / "hosts" / "host1" / "log" / "node.log", "a") as log:
            log.write(f"oops key={leaked}\n")
        out = self.cluster.dir / "bundle.tar.gz"
        harness.run(harness.BFTCTL, "debug", "bundle", "--out", out, self.cluster.dir, check=True)
        self.assertEqual(out.stat().st_mode & 0o077, 0)
        names = subprocess.run(["tar", "-tzf", out], capture_output=True, text=True, check=True).stdout
        for name in ("about.txt", "host1/status.json", "host1/node.toml", "host1/cluster.toml", "host1/metrics.txt",
                     "host1/node.log", "host1/usig.log"):
            self.assertIn(name, names)
        content = subprocess.run(["tar", "-xzOf", out], capture_output=True, check=True).stdout
        self.assertIn(b"bft_voter_executed_total", content)
        self.assertIn(b"oops key=[SECRET REMOVED]", content)
        for secret in secrets:
            self.assertNotIn(secret.encode(), content)


if __name__ == "__main__":
    harness.main()
