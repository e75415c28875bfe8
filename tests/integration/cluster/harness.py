"""Clusters of real processes for the tests beside this file. Everything waits on conditions.

BFT_BUILD names the folder of the built programs.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BFT_BUILD", ROOT / "build" / "dev"))
BFTNODE = BUILD / "src" / "node" / "bftnode"
BFTCTL = BUILD / "src" / "node" / "bftctl"
TPCC = BUILD / "bench" / "tpcc"
# Sanitized programs on a loaded machine are slow; conditions that come true end a wait at once.
PATIENCE = float(os.environ.get("BFT_PATIENCE", "120"))


def run(*command, timeout=PATIENCE, env=None, check=False):
    """The finished process, with its output as text."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, errors="replace",
                          timeout=timeout, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_until(condition, what, patience=PATIENCE):
    """The condition's first true value."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.05)


class Cluster:
    """deploy/cluster.sh in a folder of its own. Use it as a context manager: it always stops everything."""

    def __init__(self, **options):
        self.options = options
        self.dir = None
        self.node_arguments = {}

    def __enter__(self):
        # Short: unix sockets live below it.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bft-", dir="/tmp"))
        try:
            words = [word for name, values in self.options.items()
                     for value in (values if isinstance(values, list) else [values])
                     for word in (f"--{name.replace('_', '-')}", value)]
            self.script("init", *words)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        if (self.dir / "cluster.env").exists():
            run(ROOT / "deploy" / "cluster.sh", "stop", self.dir, env=self.env())
        if failure and failure[0] is not None:
            self.show_logs()
        if not os.environ.get("BFT_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def env(self):
        extra = {f"BFT_NODE_ARGS_{host}": words for host, words in self.node_arguments.items()}
        return {"BFT_BUILD": str(BUILD), "BFT_READY_SECONDS": str(int(PATIENCE)), **extra}

    def script(self, command, *words):
        return run(ROOT / "deploy" / "cluster.sh", command, self.dir, *words, env=self.env(),
                   timeout=2 * PATIENCE, check=True)

    def show_logs(self):
        for log in sorted(self.dir.glob("hosts/*/log/*.log")):
            lines = log.read_text(errors="replace").splitlines()
            if lines:
                print(f"--- {log}", *lines[-25:], sep="\n")

    def log(self, host, name="node"):
        path = self.dir / "hosts" / host / "log" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def sockets(self, without=()):
        all_sockets = self.script("sockets").stdout.split()
        return [s for s in all_sockets if not any(f"/hosts/{host}/" in s for host in without)]

    def load(self, warehouses, scale):
        self.script("start-databases")
        sockets = [word for s in self.sockets() for word in ("--socket", s)]
        run(TPCC / "tpcc_load", *sockets, "--user", "root", "--warehouses", warehouses, "--scale", scale, "--app",
            ROOT / "config" / "apps" / "tpcc", check=True)

    def script_everywhere(self, command):
        """On all hosts at once."""
        running = [subprocess.Popen([ROOT / "deploy" / "cluster.sh", command, self.dir, host],
                                    env={**os.environ, **self.env()}) for host in self.hosts()]
        if any([process.wait(timeout=2 * PATIENCE) for process in running]):
            raise AssertionError(f"{command} failed")

    def signal(self, host, process, number):
        """To the host's 'node', 'usig' or 'tpm'."""
        os.kill(int((self.dir / "hosts" / host / "run" / f"{process}.pid").read_text().split()[0]), number)

    def start(self):
        self.script("start")

    def start_loaded(self, warehouses, scale=0.01):
        self.warehouses, self.scale = warehouses, scale
        self.load(warehouses, scale)
        self.start()

    def drive(self, seconds=3600, clients=8):
        """The TPC-C driver, running; SIGINT ends it early and well."""
        self.result_file = self.dir / "result.json"
        self.driver_log = self.dir / "driver.log"
        with open(self.driver_log, "w") as log:
            return self.start_driver(seconds, clients, log)

    def start_driver(self, seconds, clients, log):
        return subprocess.Popen(
            [TPCC / "tpcc_drive", "--config", self.dir / "clients" / "bench", "--warehouses", str(self.warehouses),
             "--scale", str(self.scale), "--clients", str(clients), "--seconds", str(seconds), "--drain", "120",
             "--json", self.result_file],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def finished(self, driver):
        """The driver's result, after it ended well: no request failed."""
        if driver.wait(timeout=4 * PATIENCE) != 0:
            output = self.driver_log.read_text(errors="replace")
            raise AssertionError(f"the driver ended with status {driver.returncode}:\n{output}")
        return json.loads(self.result_file.read_text())

    def check_databases(self, without=()):
        sockets = [word for s in self.sockets(without) for word in ("--socket", s)]
        return run(TPCC / "tpcc_check", *sockets, "--user", "root", timeout=4 * PATIENCE)

    def status(self):
        return json.loads(run(BFTCTL, "status", "--json", self.dir).stdout)

    def executed(self, host):
        document = self.status()["hosts"][host]
        return document["voter"]["executed"] if document and "voter" in document else 0

    def documents(self):
        return {host: document for host, document in self.status()["hosts"].items() if document}

    @staticmethod
    def replicas(documents):
        return [replica for document in documents.values() for replica in document.get("replicas", [])]

    def view(self, documents=None):
        """The newest view that a replica is in."""
        return max((r["view"] for r in self.replicas(documents or self.documents())), default=0)

    def leader(self):
        """The host whose primary orders in the newest view, if any."""
        documents = self.documents()
        leading = [(d["primary"]["view"], host) for host, d in documents.items()
                   if d.get("primary", {}).get("leading")]
        return max(leading)[1] if leading and max(leading)[0] >= self.view(documents) else None

    def caught_up(self, host):
        """In the newest view; a replica also as far as the others were a moment ago."""
        before, now = self.documents(), self.documents()
        goals = {}
        for replica in self.replicas(before):
            goals[replica["group"]] = max(goals.get(replica["group"], 0), replica["delivered"])
        own, view = now.get(host), self.view(before)
        if not own or own.get("primary", {}).get("view", view) < view:
            return False
        return all(r["view"] >= view and r["active"] and r["delivered"] >= goals.get(r["group"], 0)
                   for r in own.get("replicas", []))

    def call(self, *words, client="admin"):
        return run(BFTCTL, "call", "--client", self.dir / "clients" / client, *words)

    def hosts(self):
        return self.script("hosts").stdout.split()


class Background:
    """A process of a test that is always ended."""

    def __init__(self, *command, **options):
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL, **options)

    def __enter__(self):
        return self.process

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def main():
    unittest.main(verbosity=2)
