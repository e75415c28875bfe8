#!/usr/bin/env python3
"""Provisioners (docs/provisioning.md): what they answer, and what they run. `ssh`, `scp` and `aws` are played back: each call
must be the next one that is written down here, and gets the answer beside it."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLAYER = """#!/usr/bin/env python3
import json, os, pathlib, sys
folder = pathlib.Path(__file__).parent
left = json.loads((folder / "calls").read_text())
words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
if not left or any(want not in (got, "*") for want, got in zip(left[0]["words"], words)) or len(left[0]["words"]) != len(words):
    (folder / "wrong").write_text(json.dumps({"got": words, "wanted": left[0]["words"] if left else None}))
    sys.exit("not what was expected")
(folder / "calls").write_text(json.dumps(left[1:]))
print(left[0].get("says", ""), end="")
print(left[0].get("complains", ""), end="", file=sys.stderr)
sys.exit(left[0].get("status", 0))
"""


class Provisioner(unittest.TestCase):
    name = None

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="bft-provision-"))) \
            if hasattr(self, "enterContext") else self.temporary()
        for program in ("ssh", "scp", "aws"):
            (self.folder / program).write_text(PLAYER)
            (self.folder / program).chmod(0o755)

    def temporary(self):
        folder = tempfile.TemporaryDirectory(prefix="bft-provision-")
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def ask_raw(self, text, name=None):
        done = subprocess.run([ROOT / "deploy" / "provision" / (name or self.name)], input=text, capture_output=True, text=True,
                              timeout=60, env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"})
        self.assertEqual(done.stdout.count("\n"), 1, done.stdout + done.stderr)
        return done.returncode, json.loads(done.stdout)

    def ask(self, action, settings, calls=(), host="host4"):
        """The answer, after exactly these calls."""
        (self.folder / "calls").write_text(json.dumps(list(calls)))
        status, answer = self.ask_raw(json.dumps({"version": 1, "action": action, "cluster": "demo", "host": host, "settings": settings}))
        wrong = self.folder / "wrong"
        self.assertFalse(wrong.exists(), wrong.read_text() if wrong.exists() else "")
        self.assertEqual(json.loads((self.folder / "calls").read_text()), [], "calls that were not made")
        self.assertEqual(status == 0, answer["ok"])
        self.assertEqual(status, 0 if answer["ok"] else 1 if answer["again"] else 2)
        return answer

    def refused(self, answer, text):
        self.assertFalse(answer["ok"])
        self.assertFalse(answer["again"])
        self.assertIn(text, answer["error"])

    def failed(self, answer, text):
        self.assertFalse(answer["ok"])
        self.assertTrue(answer["again"])
        self.assertIn(text, answer["error"])


class Contract(Provisioner):
    def test_each_describes_itself(self):
        for name in ("local", "systemd", "ec2"):
            status, answer = self.ask_raw('{"version": 1, "action": "describe"}', name)
            self.assertEqual((status, answer["ok"], answer["provisioner"]), (0, True, name))
            self.assertLessEqual({"start", "stop", "status"}, set(answer["actions"]))

    def test_what_is_no_request(self):
        good = {"version": 1, "action": "status", "cluster": "demo", "host": "host4", "settings": {}}
        for text, why in [("", "not JSON"), ("[]", "an object"), ("{" * 100000, "not JSON"), (" " * (1 << 20) + "{}", "at most"),
                          (json.dumps({**good, "version": 2}), "version 1"), (json.dumps({**good, "action": "burn"}), "no action"),
                          (json.dumps({**good, "host": "a b; reboot"}), "must be a name"), (json.dumps({**good, "cluster": 7}), "must be a name"),
                          (json.dumps({**good, "hots": "x"}), "unknown fields: hots"), (json.dumps({**good, "settings": []}), "an object"),
                          (json.dumps({**good, "settings": {"patience": True, "region": "r", "folder": "/x", "machine": "m"}}), "")]:
            for name in ("local", "systemd", "ec2"):
                status, answer = self.ask_raw(text, name)
                self.assertEqual(status, 2, (name, text[:100], answer))
                self.refused(answer, why)


class Local(Provisioner):
    name = "local"

    def setUp(self):
        super().setUp()
        self.home = self.folder / "host4"
        self.home.mkdir()
        (self.home / "node.toml").write_text("")
        self.settings = {"folder": str(self.home), "programs": str(self.folder), "patience": 10}
        self.daemon("trap 'exit 0' TERM; while :; do read -r -t 1 <> <(:) || :; done")
        self.addCleanup(self.end)

    def daemon(self, text):
        (self.folder / "bftnode").write_text(f'#!/usr/bin/env bash\necho "$*" >>"{self.folder}/begun"\n{text}\n')
        (self.folder / "bftnode").chmod(0o755)

    def end(self):
        self.ask("stop", self.settings)

    def test_start_and_stop_are_idempotent(self):
        self.assertEqual(self.ask("status", self.settings)["state"], "stopped")
        begun = self.ask("start", {**self.settings, "arguments": ["--page-cost-ms", "5"]})
        self.assertEqual((begun["ok"], begun["state"], begun["changed"]), (True, "running", True), begun)
        # Two processes: either may be the first to write.
        self.assertEqual(sorted((self.folder / "begun").read_text().splitlines(), reverse=True),
                         [f"--role=usig --config {self.home}/node.toml", f"--role=network --config {self.home}/node.toml --page-cost-ms 5"])
        again = self.ask("start", self.settings)
        self.assertEqual((again["state"], again["changed"], again["pids"]), ("running", False, begun["pids"]))
        os.kill(begun["pids"]["node"], signal.SIGKILL)
        while self.ask("status", self.settings)["state"] == "running":
            time.sleep(0.01)
        self.assertEqual(self.ask("status", self.settings)["state"], "starting")
        mended = self.ask("start", self.settings)
        self.assertEqual((mended["state"], mended["pids"]["usig"]), ("running", begun["pids"]["usig"]))
        self.assertEqual(self.ask("stop", self.settings)["changed"], True)
        self.assertEqual(self.ask("stop", self.settings), {"version": 1, "ok": True, "host": "host4", "state": "stopped", "changed": False})

    def test_a_pid_that_is_somebody_elses_now(self):
        (self.home / "run").mkdir()
        (self.home / "run" / "node.pid").write_text(f"{os.getpid()} 1\n")
        self.assertEqual(self.ask("status", self.settings)["state"], "stopped")
        self.assertEqual(self.ask("stop", self.settings)["changed"], False)

    def test_a_daemon_that_ends_at_once(self):
        self.daemon("exit 2")
        self.failed(self.ask("start", self.settings), "has ended with status 2")

    def test_what_is_wrong_with_the_settings(self):
        self.refused(self.ask("start", {"folder": "hosts/host4"}), "absolute path")
        self.refused(self.ask("start", {"folder": "/nowhere"}), "no node.toml")
        self.refused(self.ask("start", {}), "folder is missing")
        self.refused(self.ask("start", {**self.settings, "colour": "red"}), "unknown settings: colour")


class Systemd(Provisioner):
    name = "systemd"
    settings = {"machine": "admin@192.0.2.7", "ssh": ["-i", "/keys/k"]}
    units = ["bftnode-usig@host4.service", "bftnode@host4.service"]

    def there(self, line, **answer):
        return {"words": ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-i", "/keys/k", "--", "admin@192.0.2.7", line], **answer}

    def shown(self, *states):
        return self.there("systemctl show --property=LoadState,ActiveState " + " ".join(self.units),
                          says="\n".join(f"LoadState=loaded\nActiveState={state}\n" for state in states))

    def installed(self, is_it):
        return self.there("sh -c 'test -e /etc/bftnode/host4/node.toml && echo yes || echo no'", says=f"{is_it}\n")

    def test_status(self):
        for states, state, more in [(("active", "active"), "running", []), (("active", "activating"), "starting", []),
                                    (("inactive", "inactive"), "stopped", [self.installed("yes")]),
                                    (("inactive", "inactive"), "absent", [self.installed("no")])]:
            answer = self.ask("status", self.settings, [self.shown(*states), *more])
            self.assertEqual((answer["state"], answer["changed"]), (state, False))
        self.failed(self.ask("status", self.settings, [self.shown("active", "failed")]), "a unit has failed")
        self.failed(self.ask("status", self.settings, [self.there("systemctl show --property=LoadState,ActiveState " + " ".join(self.units),
                             status=255, complains="ssh: connect to host 192.0.2.7 port 22: No route to host\n")]), "No route to host")

    def test_a_host_that_runs_is_left_alone(self):
        self.assertEqual(self.ask("start", self.settings, [self.shown("active", "active")])["changed"], False)

    def test_a_new_host_is_installed(self):
        answer = self.ask("start", {**self.settings, "folder": "/clusters/demo/hosts/host4"}, [
            self.shown("inactive", "inactive"), self.installed("no"), self.there("rm -rf /tmp/bftnode-host4"),
            self.there("mkdir -m 0700 /tmp/bftnode-host4"),
            {"words": ["scp", "-q", "-r", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", "-i", "/keys/k", "--",
                       "/clusters/demo/hosts/host4", "admin@192.0.2.7:/tmp/bftnode-host4/"]},
            self.there("sudo bftctl install /tmp/bftnode-host4/host4"), self.there("rm -rf /tmp/bftnode-host4"),
            self.there("sudo systemctl daemon-reload"), self.there("sudo systemctl enable --now --no-block " + " ".join(self.units)),
            self.shown("active", "activating")])
        self.assertEqual((answer["state"], answer["changed"]), ("starting", True))

    def test_nothing_to_install(self):
        self.refused(self.ask("start", self.settings, [self.shown("inactive", "inactive"), self.installed("no")]), "does not say what to install")

    def test_stop(self):
        for states in (("active", "active"), ("active", "failed")):
            answer = self.ask("stop", self.settings, [self.shown(*states), *(
                self.there(f"sudo systemctl disable --now {unit}") for unit in reversed(self.units))])
            self.assertEqual((answer["state"], answer["changed"]), ("stopped", True))
        self.assertEqual(self.ask("stop", self.settings, [self.shown("inactive", "inactive"), self.installed("yes")])["changed"], False)

    def test_names_that_ssh_would_take_for_options(self):
        for machine in ("-oProxyCommand=reboot", "a b", "x;y", "u@-v"):
            self.refused(self.ask("status", {"machine": machine}), "NAME or USER@NAME")


class Ec2(Provisioner):
    """Answers in the form that the AWS CLI gives them."""
    name = "ec2"
    settings = {"region": "eu-central-1", "image": "ami-1", "key": "k", "group": "sg-1"}

    def aws(self, *words, says=None, **answer):
        return {"words": ["aws", "--region", "eu-central-1", "--output", "json", "ec2", *words],
                "says": json.dumps(says) if says is not None else "", **answer}

    def found(self, *states):
        machines = [{"InstanceId": f"i-{n}", "State": {"Code": 16, "Name": state}, "PrivateIpAddress": "10.0.0.9",
                     **({"PublicIpAddress": "192.0.2.9"} if state == "running" else {})} for n, state in enumerate(states)]
        return self.aws("describe-instances", "--filters", "Name=tag:bftnode,Values=demo", "Name=tag:bftnode-host,Values=host4",
                        "Name=instance-state-name,Values=pending,running,stopping,stopped",
                        says={"Reservations": [{"ReservationId": "r-1", "Instances": [machine]} for machine in machines]})

    def run_instances(self, **answer):
        tags = "Tags=[{Key=bftnode,Value=demo},{Key=bftnode-host,Value=host4},{Key=Name,Value=bft-demo-host4}]"
        return self.aws("run-instances", "--image-id", "ami-1", "--instance-type", "c7i.xlarge", "--count", "1", "--client-token", "*",
                        "--metadata-options", "HttpTokens=required", "--block-device-mappings",
                        "DeviceName=/dev/xvda,Ebs={VolumeSize=40,VolumeType=gp3}", "--tag-specifications",
                        f"ResourceType=instance,{tags}", f"ResourceType=volume,{tags}", "--key-name", "k", "--security-group-ids", "sg-1", **answer)

    def test_a_machine_comes_and_goes(self):
        answer = self.ask("start", self.settings, [self.found(), self.run_instances(says={"Instances": [{"InstanceId": "i-0"}]}),
                                                   self.aws("wait", "instance-running", "--instance-ids", "i-0"), self.found("running")])
        self.assertEqual(answer, {"version": 1, "ok": True, "host": "host4", "state": "running", "changed": True,
                                  "machine": {"id": "i-0", "public_address": "192.0.2.9", "private_address": "10.0.0.9"}})
        self.assertEqual(self.ask("start", self.settings, [self.found("running")])["changed"], False)
        stopped = self.ask("stop", self.settings, [self.found("running"), self.aws("stop-instances", "--instance-ids", "i-0", says={}),
                                                   self.aws("wait", "instance-stopped", "--instance-ids", "i-0"), self.found("stopped")])
        self.assertEqual((stopped["state"], stopped["changed"], stopped["machine"]["public_address"]), ("stopped", True, None))
        again = self.ask("start", self.settings, [self.found("stopped"), self.aws("start-instances", "--instance-ids", "i-0", says={}),
                                                  self.aws("wait", "instance-running", "--instance-ids", "i-0"), self.found("running")])
        self.assertEqual((again["state"], again["changed"]), ("running", True))
        removed = self.ask("remove", self.settings, [self.found("running"), self.aws("terminate-instances", "--instance-ids", "i-0", says={}),
                                                     self.aws("wait", "instance-terminated", "--instance-ids", "i-0")])
        self.assertEqual((removed["state"], removed["changed"]), ("absent", True))
        self.assertEqual(self.ask("remove", self.settings, [self.found()])["changed"], False)

    def test_a_caller_that_died_before_the_answer(self):
        answer = self.ask("start", self.settings, [self.found("pending"), self.aws("wait", "instance-running", "--instance-ids", "i-0"),
                                                   self.found("running")])
        self.assertEqual(answer["state"], "running")

    def test_what_goes_wrong(self):
        full = self.run_instances(status=254, complains="\nAn error occurred (InsufficientInstanceCapacity) when calling the RunInstances "
                                  "operation (reached max retries: 2): no capacity\n")
        self.failed(self.ask("start", self.settings, [self.found(), full]), "InsufficientInstanceCapacity")
        self.failed(self.ask("start", self.settings, [self.found("running", "running")]), "2 machines carry the tags of host4: i-0, i-1")
        gone = [self.found(), self.run_instances(says={"Instances": [{"InstanceId": "i-0"}]}),
                self.aws("wait", "instance-running", "--instance-ids", "i-0"), self.found()]
        self.failed(self.ask("start", self.settings, gone), "ended as soon as it began")
        self.refused(self.ask("start", {"region": "eu-central-1"}, [self.found()]), "settings.image is missing")
        self.refused(self.ask("status", {}), "region is missing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
