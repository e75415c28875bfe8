#!/usr/bin/env python3
"""Alerts fire for their real causes: a Prometheus with the files that `bftctl generate` writes, unchanged, scrapes a cluster
under load, which is lied to, tampered with and broken, one thing after the other. Each cause fires its alerts, about the host
that it was done to, and no others; when it is gone the alert ends. Every panel of the dashboard has figures. (Two alerts wait for
half an hour and six hours: in the test that causes them their rules are more hurried. watch_test.py sees them as they are.)"""
import json
import shutil
import socket
import subprocess
import threading
import time
import unittest
import urllib.parse
import urllib.request

import harness

LIAR = "host3"
HURRY = {"for: 30m": "for: 10s", "[6h]) == 0": "[1m]) == 0", "[6h]) > 128": "[1m]) > 2"}


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


class Prometheus:
    """A real one, in the cluster's folder."""

    def __init__(self, cluster, hurried=False):
        home = cluster.dir / "prometheus"
        home.mkdir()
        config = harness.run(harness.BFTCTL, "generate", "prometheus", cluster.dir, check=True).stdout
        (home / "prometheus.yml").write_text(config)
        alerts = harness.run(harness.BFTCTL, "generate", "alerts", check=True).stdout
        for wait, less in HURRY.items() if hurried else ():
            assert alerts.count(wait) == 1, wait
            alerts = alerts.replace(wait, less)
        (home / "alerts.yml").write_text(alerts)
        harness.run("promtool", "check", "config", home / "prometheus.yml", check=True)
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(home / "log", "w")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
             f"--web.listen-address={self.url.removeprefix('http://')}"],
            stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def ask(self, path, **words):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(words)}", timeout=10) as answer:
            document = json.load(answer)
        if document["status"] != "success":
            raise AssertionError(document)
        return document["data"]

    def scraped(self):
        """The hosts that have been scraped well."""
        try:
            return {target["labels"]["instance"] for target in self.ask("targets")["activeTargets"]
                    if target["health"] == "up"}
        except OSError:
            return set()

    def firing(self):
        """(alert, whom it is about), of all that fire now."""
        return {(alert["labels"]["alertname"], alert["labels"].get("host", alert["labels"].get("instance", "")))
                for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"}


class Wire:
    """Between a host and its TPM: passes commands on, until it has seen a counter count up. The answer is lost."""
    NV_INCREMENT = bytes.fromhex("00000134")

    def __init__(self, here, chip):
        self.chip = str(chip)
        self.spent = threading.Event()
        self.sockets = [socket.socket(socket.AF_UNIX)]
        self.sockets[0].bind(str(here))
        self.sockets[0].listen()

    def __enter__(self):
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            each.close()

    def serve(self):
        try:
            while not self.spent.is_set():
                host = self.sockets[0].accept()[0]
                chip = socket.socket(socket.AF_UNIX)
                self.sockets += [host, chip]
                chip.connect(self.chip)
                while command := self.message(host):
                    chip.sendall(command)
                    answer = self.message(chip)
                    if command[6:10] == self.NV_INCREMENT:
                        return self.spent.set()
                    host.sendall(answer)
                chip.close()
        except OSError:
            pass  # it is over

    @staticmethod
    def message(from_socket):
        """A command or an answer of a TPM: tag, size of all, code. Empty at the end."""
        message, wanted = b"", 10
        while len(message) < wanted:
            more = from_socket.recv(wanted - len(message))
            if not more:
                return b""
            message += more
            if len(message) >= 6:
                wanted = int.from_bytes(message[2:6], "big")
        return message


class WithPrometheus(unittest.TestCase):
    def fires(self, expected, also_allowed=(), patience=240.0):
        """All of `expected` fire; of what did not fire before, nothing else does."""
        expected = set(expected)
        began = time.monotonic()

        def all_fire():
            new = self.prometheus.firing() - self.known
            wrong = {alert for alert in new - expected if alert[0] not in also_allowed}
            self.assertEqual(wrong, set(), f"while {expected} was to fire")
            return new >= expected

        harness.wait_until(all_fire, f"alerts {expected}", patience)
        print(*(f"    {name} {about}: after {time.monotonic() - began:.0f} s" for name, about in sorted(expected)),
              sep="\n", flush=True)

    def ends(self, gone):
        """Nothing of `gone` (names) fires any more. What still does, over its hour, is known from now on."""
        harness.wait_until(lambda: not any(name in gone for name, _ in self.prometheus.firing()), f"end of {gone}")
        self.known = self.prometheus.firing()

    def guard(self, host):
        return (self.cluster.status()["hosts"][host] or {}).get("voter", {}).get("guard", {})

    def sql(self, host, statement):
        harness.run("mariadb", "--no-defaults", f"--socket={self.cluster.socket(host)}", "--user=root", "tpcc", "-e",
                    statement, check=True)

    def under_load(self, cluster, *causes, hurried=False):
        """The causes, one after the other, without a failed request."""
        self.cluster = cluster
        cluster.start_loaded(warehouses=2)
        self.prometheus = Prometheus(cluster, hurried)
        self.addCleanup(self.prometheus.stop)
        self.known = set()
        harness.wait_until(lambda: self.prometheus.scraped() == set(cluster.hosts()), "all are scraped")
        driver = cluster.drive(clients=2)
        harness.wait_until(lambda: cluster.executed("host1") > 20, "the run has begun")
        for cause in causes:
            cause()
        driver.send_signal(harness.signal.SIGINT)
        self.assertEqual(cluster.finished(driver)["failed"], 0)


@unittest.skipUnless(shutil.which("prometheus"), "no prometheus (Debian package prometheus)")
class Alerts(WithPrometheus):
    def test_faults_of_single_hosts(self):
        with harness.Cluster(groups=1, partitions=2, scan_slots=96) as cluster:
            cluster.node_arguments[LIAR] = "--insecure-misbehave=wrong-result"
            self.under_load(cluster, self.a_host_lies, self.panels_have_figures, lambda: self.a_database_is_changed("host2"),
                            lambda: self.a_database_stops("host2"), lambda: self.a_host_dies("host1"))

    def test_nobody_can_lead(self):
        with harness.Cluster(groups=1, partitions=2) as cluster:
            self.under_load(cluster, self.no_primary_is_left)

    def a_host_lies(self):
        self.fires({("BftDisagreement", LIAR)})
        del self.cluster.node_arguments[LIAR]
        self.cluster.script("kill-daemons", LIAR)
        self.cluster.script("start-host", LIAR)
        self.cluster.all_is_well()
        self.ends({"BftDaemonDown", "BftNotReady"})

    def panels_have_figures(self):
        dashboard = json.loads(harness.run(harness.BFTCTL, "generate", "dashboard", check=True).stdout)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                with self.subTest(panel=panel["title"], expression=target["expr"]):
                    # Nothing is being rebuilt: that panel is right to be empty.
                    if "bft_database_chunks" not in target["expr"]:
                        harness.wait_until(lambda: self.prometheus.ask("query", query=target["expr"])["result"], "figures", 60)

    def a_database_is_changed(self, host):
        self.sql(host, "UPDATE customer SET c_balance = c_balance + 1000000 ORDER BY c_w_id, c_d_id, c_id LIMIT 1")
        self.fires({("BftDatabaseDiffers", host)}, also_allowed={"BftDisagreement"})  # when a call reads it first
        harness.wait_until(lambda: self.guard(host).get("transfers", 0) > 0 and self.guard(host)["state"] == "sound",
                           f"{host} is rebuilt")
        self.cluster.all_is_well()
        self.ends({"BftNotReady"})

    def a_database_stops(self, host):
        server = harness.ROOT / "deploy" / "mariadb.sh"
        harness.run(server, "stop", self.cluster.dir / "hosts" / host / "mariadb", check=True)
        self.fires({("BftDatabaseDown", host)}, also_allowed={"BftNotReady"})
        harness.run(server, "start", self.cluster.dir / "hosts" / host / "mariadb", check=True)
        self.cluster.all_is_well()
        self.ends({"BftDatabaseDown", "BftNotReady"})

    def a_host_dies(self, host):
        self.cluster.script("kill-host", host)
        self.fires({("BftDaemonDown", host)})
        self.cluster.script("start-host", host)
        self.cluster.all_is_well()
        self.ends({"BftDaemonDown", "BftNotReady"})

    def no_primary_is_left(self):
        """Requests wait then: for the driver that is late, and no failure."""
        leaders = [host for host in self.cluster.hosts() if host.startswith("primary")]
        others = [host for host in self.cluster.hosts() if host not in leaders]
        for host in leaders:
            self.cluster.script("kill-host", host)
        self.fires({("BftStalled", "")} | {("BftDaemonDown", host) for host in leaders} |
                   {("BftViewInactive", host) for host in others} | {("BftNotReady", host) for host in others},
                   also_allowed={"BftViewsChange"}, patience=360)
        for host in leaders:
            self.cluster.script("start-host", host)
        self.cluster.all_is_well()
        self.ends({"BftDaemonDown", "BftViewInactive", "BftStalled", "BftNotReady"})


@unittest.skipUnless(shutil.which("prometheus"), "no prometheus (Debian package prometheus)")
class RareAlerts(WithPrometheus):
    def test_databases_that_repair_does_not_help(self):
        with harness.Cluster(groups=1, partitions=2, scan_slots=96) as cluster:
            self.under_load(cluster, lambda: self.a_repair_is_held_up("host2"), hurried=True)
            self.all_databases_differ()

    def test_views_and_power_cuts(self):
        with harness.Cluster(groups=1, partitions=2) as cluster:
            self.under_load(cluster, lambda: self.power_fails_in_a_certificate("host3"), self.whoever_leads_dies)

    def test_a_trusted_component_that_is_none(self):
        with harness.Cluster(groups=1, partitions=2, software_usig="yes") as cluster:
            self.under_load(cluster, self.certificates_are_software, lambda: self.a_counter_goes_back("host3"))

    def a_repair_is_held_up(self, host):
        """Somebody has a transaction open in the database that is to be emptied, and forgot it."""
        with harness.Background("mariadb", "--no-defaults", f"--socket={self.cluster.socket(host)}", "--user=root", "tpcc", "-e",
                                "BEGIN; SELECT COUNT(*) FROM customer; DO SLEEP(3600)"):
            self.sql(host, "UPDATE customer SET c_balance = c_balance + 1000000 ORDER BY c_w_id, c_d_id, c_id LIMIT 1")
            self.fires({("BftDatabaseDiffers", host), ("BftDatabaseNotRepaired", host)},
                       also_allowed={"BftNotReady", "BftDisagreement"})
        harness.wait_until(lambda: self.guard(host).get("state") == "sound", f"{host} is rebuilt")
        self.cluster.all_is_well()
        self.ends({"BftDatabaseNotRepaired", "BftNotReady"})

    def all_databases_differ(self):
        """Nobody calls meanwhile: all would wait."""
        balance = "UPDATE customer SET c_balance = c_balance + {} WHERE c_w_id = 1 AND c_d_id = 1 AND c_id = 1"
        changed = {"host2": 1, "host3": 2}
        voters = {"host1", *changed}
        for host, by in changed.items():
            self.sql(host, balance.format(by))
        self.fires({("BftDatabasesNotCompared", host) for host in voters} | {("BftNondeterminism", host) for host in voters})
        for host, by in changed.items():
            self.sql(host, balance.format(-by))
        self.ends({"BftDatabasesNotCompared"})
        # The other way to notice: no two answers to a call are equal. What the databases remember of it differs for good.
        for host, by in changed.items():
            self.sql(host, balance.format(by))
        with harness.Background(harness.BFTCTL, "call", "--client", self.cluster.dir / "clients" / "admin",
                                "order_status", 1, 1, 1, "text:"):
            harness.wait_until(lambda: all(replica["nondeterministic"] for replica in self.cluster.replicas(self.cluster.documents())),
                               "each replica has three different answers")

    def power_fails_in_a_certificate(self, host):
        """The TPM has spent a counter value, and nobody hears of it any more."""
        home = self.cluster.dir / "hosts" / host
        self.cluster.script("kill-daemons", host)
        (home / "tpm.sock").rename(home / "chip.sock")
        with Wire(home / "tpm.sock", home / "chip.sock") as wire:
            self.cluster.script("start-host", host)
            harness.wait_until(wire.spent.is_set, "a value is spent")
            self.cluster.script("kill-host", host)
        self.cluster.script("start-host", host)
        self.fires({("BftHole", host)}, also_allowed={"BftDaemonDown", "BftNotReady", "BftDatabaseDown"})
        self.cluster.all_is_well()
        self.ends({"BftDaemonDown", "BftNotReady", "BftDatabaseDown"})

    def whoever_leads_dies(self):
        """Six times within ten minutes; each view is seen at least once."""
        for _ in range(7):
            view = self.cluster.view()
            leader = harness.wait_until(self.cluster.leader, "somebody leads")
            self.cluster.script("kill-daemons", leader)
            harness.wait_until(lambda: self.cluster.view() > view, "the next view")
            self.cluster.script("start-host", leader)
            self.cluster.all_is_well()
            seen = self.cluster.view()
            harness.wait_until(lambda: all(float(sample["value"][1]) >= seen for sample in self.prometheus.ask(
                "query", query="bft_replica_view")["result"]), "it is scraped")
        self.fires({("BftViewsChange", host) for host in ("host1", "host2", "host3")}, also_allowed={"BftDaemonDown"})

    def certificates_are_software(self):
        self.fires({("BftInsecureUsig", host) for host in self.cluster.hosts()})
        self.known = self.prometheus.firing()

    def a_counter_goes_back(self, host):
        """Log and counter of a host are put back to what they were (a TPM would not have let that happen), and it certifies other
        messages with the values that it spent before."""
        home = self.cluster.dir / "hosts" / host
        kept = self.cluster.dir / "kept"

        def copy(source, target):
            shutil.rmtree(target / "data", ignore_errors=True)
            shutil.copytree(source / "data", target / "data", ignore=shutil.ignore_patterns("*.sock*"))
            shutil.copy2(source / "usig.software", target / "usig.software")

        self.cluster.script("kill-host", host)
        copy(home, kept)
        self.cluster.script("start-host", host)
        self.cluster.all_is_well()
        self.cluster.requests_flow(more=100)
        self.cluster.script("kill-host", host)
        copy(kept, home)
        self.cluster.script("start-host", host)
        others = {other for other in self.cluster.hosts() if other.startswith("host")} - {host}
        self.fires({("BftReplicaHalted", host)} | {("BftSenderDead", other) for other in others},
                   also_allowed={"BftDaemonDown", "BftNotReady", "BftDatabaseDown", "BftSenderDead", "BftDisagreement"})


if __name__ == "__main__":
    harness.main()
