#!/usr/bin/env python3
"""What `bftctl generate` writes: Prometheus takes it, every metric in it exists on a real cluster, and
every alert fires for its cause and for nothing else."""
import json
import pathlib
import re
import shutil
import tempfile
import unittest
import urllib.request

import harness

# What each alert is about: series as promtool writes them, calm until 5 minutes, then the cause.
CAUSES = {
    "BftDaemonDown": ['up{job="bftnode",instance="host1"} 1x10 0x40'],
    "BftNotReady": ['bft_ready{instance="host1"} 1x10 0x40'],
    "BftStalled": ['bft_replica_pending{job="bftnode",instance="host1",group="1"} 0x10 5x40',
                   'bft_voter_executed_total{job="bftnode",instance="host1"} 0+100x10 1000x40'],
    "BftViewInactive": ['bft_replica_active{instance="host1",group="1"} 1x10 0x40'],
    "BftViewsChange": ['bft_replica_view{instance="host1",group="1"} 0x10 1+1x40'],
    "BftReplicaHalted": ['bft_replica_halted{instance="host1",group="1"} 0x10 1x40'],
    "BftDisagreement": ['bft_disagreements_total{instance="host1",host="host3"} 0x10 7x40'],
    "BftSenderDead": ['bft_events_total{instance="host1",kind="sender_dead"} 0x10 1x40'],
    "BftHole": ['bft_events_total{instance="host1",kind="hole"} 0x10 1x40'],
    "BftInsecureUsig": ['bft_software_usig{instance="host1"} 0x10 1x40'],
    "BftDatabaseDown": ['bft_voter_database_up{instance="host1"} 1x10 0x40'],
    "BftDatabaseDiffers": ['bft_database_quarantines_total{instance="host1"} 0x10 1x40'],
    "BftDatabaseNotRepaired": ['bft_voter_quarantined{instance="host1"} 0x10 1x140'],
    "BftDatabasesNotCompared": ['bft_database_stable{instance="host1"} 0+4096x10 40960x1000',
                                'bft_voter_checkpoint{instance="host1"} 0+32x1010'],
    "BftNondeterminism": ['bft_events_total{instance="host1",kind="nondeterminism"} 0x10 1x40'],
}
# When each must fire at the latest, and what of the cause it names.
LATE = {"BftDatabaseNotRepaired": "40m", "BftDatabasesNotCompared": "6h30m"}


def generate(*what):
    return harness.run(harness.BFTCTL, "generate", *what, check=True).stdout


def metrics_of(text):
    return set(re.findall(r"\bbft_[a-z_0-9]+", text))


class Watch(unittest.TestCase):
    def alerts(self):
        found = re.findall(r"- alert: (\w+)\n.*?severity: (\w+).*?summary: \"(.*?)\"\n.*?description: \"(.*?)\"\n",
                           generate("alerts"), re.S)
        return {name: (severity, summary, text) for name, severity, summary, text in found}

    def test_every_metric_exists_on_a_running_cluster(self):
        with harness.Cluster(groups=1, partitions=2) as cluster:
            cluster.start()
            config = generate("prometheus", cluster.dir)
            targets = re.findall(r"targets: \['(.*?)'\]", config)
            self.assertEqual(len(targets), len(cluster.hosts()))
            there = set()
            for target in targets:
                with urllib.request.urlopen(f"http://{target}/metrics", timeout=10) as answer:
                    there |= metrics_of(answer.read().decode())
            dashboard = generate("dashboard")
            self.assertGreater(len(json.loads(dashboard)["panels"]), 10)
            self.assertEqual(metrics_of(generate("alerts") + dashboard) - there, set())

    @unittest.skipUnless(shutil.which("promtool"), "no promtool (Debian package prometheus)")
    def test_each_alert_fires_for_its_cause_alone(self):
        alerts = self.alerts()
        self.assertEqual(set(alerts), set(CAUSES))
        on_clusters = pathlib.Path(__file__).with_name("alerts_test.py").read_text()
        self.assertEqual([name for name in alerts if f'("{name}", ' not in on_clusters], [], "nothing causes these there")
        for name, series in CAUSES.items():
            with self.subTest(alert=name):
                self.check_alert(name, series, alerts)

    def check_alert(self, name, series, alerts):
        severity, summary, text = alerts[name]
        labels = {}
        for each in series:
            labels.update(re.findall(r'(\w+)="(\w+)"', each.split(" ")[0]))
        if name == "BftStalled":
            labels = {"job": "bftnode"}
        if name == "BftSenderDead":
            del labels["kind"]
        for label, value in labels.items():
            summary = summary.replace("{{ $labels.%s }}" % label, value)
        test = {
            "rule_files": ["alerts.yml"], "evaluation_interval": "30s",
            "tests": [{
                "interval": "30s",
                "input_series": [dict(zip(("series", "values"), each.split(" ", 1))) for each in series],
                "alert_rule_test":
                    [{"eval_time": "4m30s", "alertname": other, "exp_alerts": []} for other in alerts] +
                    [{"eval_time": LATE.get(name, "9m"), "alertname": name, "exp_alerts": [{
                        "exp_labels": {**labels, "severity": severity},
                        "exp_annotations": {"summary": summary, "description": text}}]}],
            }],
        }
        with tempfile.TemporaryDirectory() as folder:
            with open(f"{folder}/alerts.yml", "w") as file:
                file.write(generate("alerts"))
            with open(f"{folder}/test.yml", "w") as file:
                json.dump(test, file)  # JSON is YAML
            harness.run("promtool", "check", "rules", f"{folder}/alerts.yml", check=True)
            harness.run("promtool", "test", "rules", f"{folder}/test.yml", check=True)


if __name__ == "__main__":
    harness.main()
