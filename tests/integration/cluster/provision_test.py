#!/usr/bin/env python3
"""deploy/provision/local on a real cluster under TPC-C: a host's daemons end and come back by its word, and the host takes
part again."""
import json
import subprocess

import harness


class Local(harness.UnderLoad):
    def ask(self, action, host):
        done = subprocess.run(
            [harness.ROOT / "deploy" / "provision" / "local"], capture_output=True, text=True, timeout=harness.PATIENCE,
            input=json.dumps({"version": 1, "action": action, "cluster": "local", "host": host, "settings": {
                "folder": str(self.cluster.dir / "hosts" / host), "programs": str(harness.BFTNODE.parent)}}))
        answer = json.loads(done.stdout)
        self.assertEqual((done.returncode, answer["ok"]), (0, True), done.stdout + done.stderr)
        return answer

    def test_a_host_goes_and_comes_back(self):
        # What deploy/cluster.sh has started is known to it.
        self.assertEqual(self.ask("start", "host2")["changed"], False)
        stopped = self.ask("stop", "host2")
        self.assertEqual((stopped["state"], stopped["changed"]), ("stopped", True))
        self.requests_flow("requests flow without host2")
        begun = self.ask("start", "host2")
        self.assertEqual((begun["state"], begun["changed"]), ("running", True))
        self.assertEqual(begun["pids"], {name: self.cluster.pid("host2", name) for name in ("usig", "node")})
        self.all_is_well()
        self.assertEqual(self.ask("status", "host2")["state"], "running")


if __name__ == "__main__":
    harness.main()
