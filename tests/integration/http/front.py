"""What the tests of the HTTP front share: a cluster of the payment application, a gateway, signed requests."""
import json
import pathlib
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cluster"))
import harness  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PAYMENT = harness.ROOT / "config" / "apps" / "payment"


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def cluster(**more):
    return harness.Cluster(app=PAYMENT, http="tls", clients="web load", web_clients=1, **more)


def fronts(cluster_dir):
    """Base URLs of the hosts' fronts, by host name."""
    manifest = json.loads((cluster_dir / "manifest.json").read_text())
    return {host["name"]: host["http"] for host in manifest["hosts"] if "http" in host}


def tls(cluster_dir):
    return ssl.create_default_context(cafile=str(cluster_dir / "http-ca.crt"))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.text = status, headers, body

    def json(self):
        return json.loads(self.text)


def ask(url, body=None, method=None, headers=None, context=None, timeout=60):
    """The server's answer, whatever its status. A body that is no bytes goes as JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    heads = {"Content-Type": "application/json"} if data is not None else {}
    request = urllib.request.Request(url, data=data, method=method, headers={**heads, **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as response:
            return Answer(response.status, response.headers, response.read().decode())
    except urllib.error.HTTPError as failure:
        with failure:
            return Answer(failure.code, failure.headers, failure.read().decode())


def signed(cluster_dir, client, count, procedure, arguments):
    """Signed requests of `client`, each with its group."""
    done = harness.run("node", HERE / "signed.js", cluster_dir / "manifest.json",
                       cluster_dir / "clients" / client / "client.key", client, count, procedure,
                       json.dumps(arguments), check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


class Gateway:
    """bftnode --role=gateway with the key of `client`."""

    def __init__(self, cluster_dir, client="bench", more=""):
        self.url = f"http://127.0.0.1:{free_port()}"
        config = cluster_dir / f"gateway-{client}.toml"
        config.write_text(f'[gateway]\nclient = "clients/{client}"\n{more}\n[http]\nlisten = "{self.url[7:]}"\n')
        self.log = cluster_dir / f"gateway-{client}.log"
        self.command = [harness.BFTNODE, "--role=gateway", "--config", config]

    def __enter__(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen([str(word) for word in self.command], stdin=subprocess.DEVNULL, stderr=log)
        harness.wait_until(self.is_ready, f"the gateway, see {self.log}")
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended:\n{self.log.read_text()}")
        try:
            return ask(self.url + "/readyz").status == 200
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(harness.PATIENCE)

    def call(self, procedure, arguments, query="", **options):
        return ask(f"{self.url}/v1/call/{procedure}{query}", arguments, **options)


class Prism:
    """A proxy that checks each request and each response against docs/openapi.yaml and says what it finds."""

    def __init__(self, upstream, ca=None):
        self.url = f"http://127.0.0.1:{free_port()}"
        if not (HERE / "node_modules").exists():
            harness.run("npm", "ci", "--prefix", HERE, "--ignore-scripts", "--no-audit", "--no-fund", check=True,
                        timeout=900)
        self.command = ["node", str(HERE / "node_modules" / "@stoplight" / "prism-cli" / "dist" / "index.js"), "proxy",
                        str(harness.ROOT / "docs" / "openapi.yaml"), upstream, "-p", re.search(r"\d+$", self.url)[0]]
        self.env = {**harness.os.environ, **({"NODE_EXTRA_CA_CERTS": str(ca)} if ca else {})}

    def __enter__(self):
        self.process = subprocess.Popen(self.command, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def answers():
            if self.process.poll() is not None:
                raise AssertionError("Prism ended")
            try:
                return ask(self.url + "/livez").status == 200
            except OSError:
                return False
        harness.wait_until(answers, "Prism")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def violations(answer, of=("request", "response")):
    """What Prism found."""
    found = json.loads(answer.headers.get("sl-violations") or "[]")
    return [one for one in found if one["location"][0] in of]
