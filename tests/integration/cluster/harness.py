"""Clusters of real processes for the tests beside this file. Everything waits on conditions.

BFT_BUILD names the folder of the built programs.
"""
import atexit
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import links

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "bench" / "tpcc"))
import acknowledged  # noqa: E402

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

    def __init__(self, proxied=False, **options):
        """`proxied`: all connections pass through `net` (links.py)."""
        self.options = options
        self.proxied = proxied
        self.net = None
        self.dir = None
        self.begin = None
        self.drivers = []
        self.node_arguments = {}

    def __enter__(self):
        # Also after Ctrl-C or a timeout, when unittest calls nothing any more.
        atexit.register(self.stop)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        # Short: unix sockets live below it.
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bft-", dir="/tmp"))
        try:
            words = [word for name, values in self.options.items()
                     for value in (values if isinstance(values, list) else [values])
                     for word in (f"--{name.replace('_', '-')}", value)]
            self.script("init", *words)
            if self.proxied:
                self.net = links.Network(self).__enter__()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *failure):
        self.stop()
        atexit.unregister(self.stop)
        if self.net:
            self.net.__exit__()
        if failure and failure[0] is not None:
            self.show_logs()
        if not os.environ.get("BFT_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def stop(self):
        for driver in self.drivers:
            driver.kill()
        if self.dir and (self.dir / "cluster.env").exists():
            run(ROOT / "deploy" / "cluster.sh", "stop", self.dir, env=self.env())

    def env(self):
        extra = {f"BFT_NODE_ARGS_{host}": words for host, words in self.node_arguments.items()}
        return {"BFT_BUILD": str(BUILD), "BFT_READY_SECONDS": str(int(PATIENCE)), **extra}

    def script(self, command, *words, env=None):
        return run(ROOT / "deploy" / "cluster.sh", command, self.dir, *words, env={**self.env(), **(env or {})},
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

    def pid(self, host, process):
        """Of the host's 'node', 'usig', 'tpm' or 'database'."""
        file = self.dir / "hosts" / host / ("mariadb/mysqld.pid" if process == "database" else f"run/{process}.pid")
        return int(file.read_text().split()[0])

    def signal(self, host, process, number):
        os.kill(self.pid(host, process), number)

    def start(self):
        self.script("start")

    def start_loaded(self, warehouses, scale=0.01):
        self.warehouses, self.scale = warehouses, scale
        self.load(warehouses, scale)
        self.begin = acknowledged.Begin(lambda sql: self.query("host1", sql))
        self.start()

    def begin_load(self, test, warehouses=2, seen_by="host1"):
        """Starts all, and the TPC-C driver, which ends with `test` at the latest."""
        self.start_loaded(warehouses=warehouses)
        driver = self.drive()
        test.addCleanup(driver.wait)
        test.addCleanup(driver.kill)
        wait_until(lambda: self.executed(seen_by) > 20, "the run has begun")
        return driver

    def socket(self, host):
        return self.dir / "hosts" / host / "mariadb" / "mysqld.sock"

    def query(self, host, sql):
        """The rows of a SELECT, as tuples of text."""
        done = run("mariadb", "--no-defaults", f"--socket={self.socket(host)}", "--user=root", "--batch",
                   "--skip-column-names", "tpcc", "-e", sql, check=True)
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def drive(self, seconds=3600, clients=8):
        """The TPC-C driver, running; SIGINT ends it early and well."""
        self.result_file = self.dir / "result.json"
        self.driver_log = self.dir / "driver.log"
        with open(self.driver_log, "w") as log:
            return self.start_driver(seconds, clients, log)

    def start_driver(self, seconds, clients, log):
        # In a session of its own: Ctrl-C is for the test, which then ends the driver well.
        driver = subprocess.Popen(
            [TPCC / "tpcc_drive", "--config", self.dir / "clients" / "bench", "--warehouses", str(self.warehouses),
             "--scale", str(self.scale), "--clients", str(clients), "--seconds", str(seconds), "--drain", "120",
             "--json", self.result_file, "--record", self.dir / "acknowledged", "--timeline", self.dir / "timeline"],
            stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        self.drivers.append(driver)
        return driver

    def finished(self, driver):
        """The driver's result, after it ended well: no request failed."""
        if driver.wait(timeout=4 * PATIENCE) != 0:
            output = self.driver_log.read_text(errors="replace")
            raise AssertionError(f"the driver ended with status {driver.returncode}:\n{output}")
        return json.loads(self.result_file.read_text())

    def check_acknowledged(self, host="host1"):
        """Nothing that a driver was told is missing, nothing ran twice. Returns how much that was."""
        wrong, counts = acknowledged.check(lambda sql: self.query(host, sql), self.begin,
                                           sorted(self.dir.glob("acknowledged*")))
        if wrong:
            raise AssertionError("\n".join([f"{len(wrong)} differences in {host}'s database", *wrong[:20]]))
        return counts

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

    def http_urls(self):
        """Host -> URL of its HTTP front, as the topology gives it."""
        urls, host = {}, None
        for line in (self.dir / "topology.toml").read_text().splitlines():
            name, _, value = line.partition(" = ")
            if name == "name":
                host = value.strip('"')
            elif name == "http":
                urls[host] = value.strip('"')
        return urls

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

    def requests_flow(self, what="requests flow", more=20, host=None):
        """`more` transactions from now, in the database of `host` or the foremost. Seconds that it took."""
        began = time.monotonic()
        before = self.foremost(host)
        wait_until(lambda: self.foremost(host) >= before + more, what)
        return time.monotonic() - began

    def foremost(self, host=None):
        documents = self.documents()
        return max((self.next_of(document) for name, document in documents.items() if host in (None, name)), default=0)

    @staticmethod
    def next_of(document):
        return sum(document.get("voter", {}).get("next", {}).values())

    def all_is_well(self):
        """Everybody is in the newest view and as far as the others, databases too, and requests flow."""
        for host in self.hosts():
            wait_until(lambda: self.caught_up(host), f"{host} takes part again")
        # Fixed once: databases that work hard are never all at one point.
        goal = self.foremost()
        wait_until(lambda: all(self.next_of(document) >= goal for document in self.documents().values()
                               if "voter" in document), "all databases catch up")
        self.requests_flow()

    def call(self, *words, client="admin"):
        return run(BFTCTL, "call", "--client", self.dir / "clients" / client, *words)

    def hosts(self):
        return self.script("hosts").stdout.split()

    def groups(self):
        """Group -> partitions that it owns now, as f+1 replicas say."""
        document = json.loads(run(BFTCTL, "group", "list", "--format", "json", "--client", self.dir / "clients" / "admin",
                                  check=True).stdout)
        return {group["id"]: group["partitions"] for group in document["groups"]}

    def move_command(self, partitions, to, *words):
        return [BFTCTL, "partition", "move", *partitions, "--to", to, "--client", self.dir / "clients" / "admin",
                "--key", self.dir / "admins" / "admin.key", *words]

    def group(self, *words):
        return run(BFTCTL, "group", *words, "--client", self.dir / "clients" / "admin", "--key", self.dir / "admins" / "admin.key")

    def move(self, partitions, to, *words):
        return run(*self.move_command(partitions, to, *words))

    def moved(self, partitions, to):
        """As of move(), which has to go well; and they are served there."""
        done = self.move(partitions, to, "--format", "json")
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        print(done.stdout.strip(), flush=True)
        self.requests_flow(f"requests flow with {partitions} in group {to}")


class UnderLoad(unittest.TestCase):
    """One cluster for all cases of a class, with TPC-C running all the time. Each case disturbs it, and ends when all is
    well again. In the end no request has failed, everything acknowledged is there, nothing ran twice, and all
    databases are equal."""

    options = {"groups": 2, "partitions": 2}
    clients = 8

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(**cls.options)
        cls.cluster.__enter__()
        try:
            cls.cluster.start_loaded(warehouses=2)
            cls.driver = cls.cluster.drive(clients=cls.clients)
            wait_until(lambda: cls.cluster.executed("host1") > 20, "the run has begun")
        except BaseException:
            cls.cluster.__exit__(AssertionError, None, None)
            raise

    @classmethod
    def tearDownClass(cls):
        failure = AssertionError
        try:
            cls.driver.send_signal(signal.SIGINT)
            result = cls.cluster.finished(cls.driver)
            if result["failed"]:
                raise AssertionError(f"{result['failed']} requests failed")
            wait_until(lambda: cls.cluster.check_databases().returncode == 0, "all databases are equal")
            print("acknowledged and there, once:", cls.cluster.check_acknowledged(), flush=True)
            failure = None
        finally:
            cls.driver.kill()
            cls.driver.wait()
            cls.cluster.__exit__(failure, None, None)

    def setUp(self):
        self.began = time.monotonic()
        self.addCleanup(lambda: print(f"    {self.id()}: {time.monotonic() - self.began:.1f} s", flush=True))

    def requests_flow(self, *what, **how):
        return self.cluster.requests_flow(*what, **how)

    def all_is_well(self):
        self.cluster.all_is_well()


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
