#!/usr/bin/env python3
"""Alerts fire for their real causes: a Prometheus with the files that `bftctl generate` writes, unchanged, scrapes a cluster
under load, which is lied to, tampered with and broken, one thing after the other. Each cause fires its alerts, about the host
that it was done to, and no others; when it is gone the alert ends. Every panel of the dashboard has figures."""
import json
import shutil
import socket
import subprocess
import time
import unittest
import urllib.parse
import urllib.request

import harness

LIAR = "host3"


def free_port():
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


class Prometheus:
    """A real one, in the cluster's folder."""

    def __init__(self, cluster):
        home = cluster.dir / "prometheus"
        home.mkdir()
        config = harness.run(harness.BFTCTL, "generate", "prometheus", cluster.dir, check=True).stdout
        (home / "prometheus.yml").write_text(config)
        (home / "alerts.yml").write_text(harness.run(harness.BFTCTL, "generate", "alerts", check=True).stdout)
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


@unittest.skipUnless(shutil.which("prometheus"), "no prometheus (Debian package prometheus)")
class Alerts(unittest.TestCase):
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

    def under_load(self, cluster, *causes):
        """The causes, one after the other."""
        self.cluster = cluster
        cluster.start_loaded(warehouses=2)
        self.prometheus = Prometheus(cluster)
        self.addCleanup(self.prometheus.stop)
        self.known = set()
        harness.wait_until(lambda: self.prometheus.scraped() == set(cluster.hosts()), "all are scraped")
        driver = cluster.drive(clients=2)
        for cause in causes:
            cause()
        driver.send_signal(harness.signal.SIGINT)
        self.assertEqual(cluster.finished(driver)["failed"], 0)

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
        harness.run("mariadb", "--no-defaults", f"--socket={self.cluster.socket(host)}", "--user=root", "tpcc", "-e",
                    "UPDATE customer SET c_balance = c_balance + 1000000 ORDER BY c_w_id, c_d_id, c_id LIMIT 1", check=True)
        self.fires({("BftDatabaseDiffers", host)})
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
                   {(name, host) for name in ("BftViewInactive", "BftNotReady") for host in others},
                   also_allowed={"BftViewsChange"}, patience=360)
        for host in leaders:
            self.cluster.script("start-host", host)
        self.cluster.all_is_well()
        self.ends({"BftDaemonDown", "BftViewInactive", "BftStalled", "BftNotReady"})


if __name__ == "__main__":
    harness.main()
