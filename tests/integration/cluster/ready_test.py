#!/usr/bin/env python3
"""/livez and /readyz tell the truth: ready on a calm cluster, and each cause of not being ready is said while it lasts."""
import signal
import urllib.error
import urllib.request

import harness


class Ready(harness.UnderLoad):
    options = {"groups": 1, "partitions": 2, "http": "plain", "scan_slots": 64}
    clients = 4

    def ask(self, host, path):
        """(status, text); (0, ...) when nobody answers in time."""
        url = self.cluster.http_urls()[host]
        try:
            with urllib.request.urlopen(url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()
        except OSError as failure:
            return 0, str(failure)

    def becomes(self, host, status, words=""):
        found = []

        def holds():
            found[:] = [self.ask(host, "/readyz")]
            return found[0][0] == status and words in found[0][1]
        try:
            harness.wait_until(holds, f"{host}: {status} {words}", 90)
        except AssertionError as failure:
            raise AssertionError(f"{failure}; last: {found[0]}") from None
        return found[0][1]

    def setUp(self):
        super().setUp()
        for host in ("host1", "host2", "host3"):
            self.becomes(host, 200)

    def test_draining(self):
        harness.run(harness.BFTCTL, "drain", self.cluster.dir / "hosts" / "host2", check=True)
        self.becomes("host2", 503, "draining")
        self.assertEqual(self.ask("host2", "/livez"), (200, "alive\n"))
        self.assertEqual(self.ask("host1", "/readyz")[0], 200)
        status = harness.run(harness.BFTCTL, "status", self.cluster.dir)
        self.assertEqual(status.returncode, 5)
        self.assertIn("not ready: draining", status.stdout)
        self.requests_flow()
        harness.run(harness.BFTCTL, "drain", "--undo", self.cluster.dir / "hosts" / "host2", check=True)
        self.becomes("host2", 200)

    def test_database_hangs(self):
        self.cluster.signal("host3", "database", signal.SIGSTOP)
        try:
            self.becomes("host3", 503, "the database lags")
            self.assertEqual(self.ask("host3", "/livez")[0], 200)
            self.requests_flow(host="host1")
        finally:
            self.cluster.signal("host3", "database", signal.SIGCONT)
        self.becomes("host3", 200)

    def test_database_is_away(self):
        self.cluster.signal("host3", "database", signal.SIGKILL)
        self.becomes("host3", 503, "the database is away")
        self.cluster.script("start-host", "host3")
        self.becomes("host3", 200)

    def test_quarantine(self):
        self.cluster.query("host2", "UPDATE warehouse SET w_ytd = w_ytd + 1; SELECT 1")
        self.becomes("host2", 503, "out of service and being rebuilt")
        self.assertEqual(self.ask("host2", "/livez")[0], 200)
        self.becomes("host2", 200)
        self.all_is_well()

    def test_catching_up(self):
        """Who was away comes back with less than the others have."""
        self.cluster.signal("host1", "node", signal.SIGSTOP)
        before = self.cluster.foremost("host2")
        try:
            harness.wait_until(lambda: self.cluster.foremost("host2") > before + 2000, "the others go on")
        finally:
            self.cluster.signal("host1", "node", signal.SIGCONT)
        self.becomes("host1", 503)
        self.becomes("host1", 200)
        self.all_is_well()

    def test_no_quorum(self):
        for host in ("host2", "host3"):
            self.cluster.signal(host, "node", signal.SIGSTOP)
        try:
            self.becomes("host1", 503)
            self.assertEqual(self.ask("host1", "/livez")[0], 200)
        finally:
            for host in ("host2", "host3"):
                self.cluster.signal(host, "node", signal.SIGCONT)
        self.becomes("host1", 200)
        self.all_is_well()


if __name__ == "__main__":
    harness.main()
