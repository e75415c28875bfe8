#!/usr/bin/env python3
"""Bad input: each gives one clear error that says what to do, or a counted drop for peers, and loses nothing."""
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import unittest

import harness
import wire


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


class BadInput(unittest.TestCase):
    """One cluster for all cases: none of them may do it any harm."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster(groups=1, partitions=2)
        cls.cluster.__enter__()
        try:
            cls.cluster.start_loaded(warehouses=2)
        except BaseException:
            cls.cluster.__exit__(AssertionError, None, None)
            raise

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    def setUp(self):
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="bft-bad-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.scratch, ignore_errors=True)
        self.addCleanup(self.assert_cluster_is_well)

    def assert_cluster_is_well(self):
        call = self.cluster.call("stock_level", 1, 1, 15)
        self.assertEqual(call.returncode, 0, call.stderr)
        status = harness.run(harness.BFTCTL, "status", "--wait", 30, self.cluster.dir)
        self.assertEqual(status.returncode, 0, status.stdout)

    # --- calls ---------------------------------------------------------------------------------------

    def assert_bad_call(self, words, *parts):
        call = self.cluster.call(*words)
        self.assertEqual(call.returncode, 2, call.stdout + call.stderr)
        self.assertEqual(len(lines(call.stderr)), 1, call.stderr)
        for part in parts:
            self.assertIn(part, call.stderr)

    def test_unknown_procedure(self):
        self.assert_bad_call(["stock_levle", 1, 1, 15], "stock_levle", "did you mean 'stock_level'?")

    def test_wrong_number_of_arguments(self):
        self.assert_bad_call(["stock_level", 1], "stock_level")

    def test_wrong_type(self):
        self.assert_bad_call(["stock_level", 1, "text:many", 15], "stock_level", "d_id")

    def test_value_out_of_range(self):
        self.assert_bad_call(["stock_level", 1, 11, 15], "stock_level", "d_id")

    def test_undeclared_partition(self):
        self.assert_bad_call(["stock_level", 77, 1, 15], "77")

    # --- clients -------------------------------------------------------------------------------------

    def copy_of_client(self):
        home = self.scratch / "client"
        shutil.copytree(self.cluster.dir / "clients" / "admin", home)
        return home

    def new_key(self, file):
        pathlib.Path(file).unlink(missing_ok=True)
        harness.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", file, check=True)
        pathlib.Path(file).chmod(0o600)

    def refused_keys(self):
        hosts = self.cluster.status()["hosts"].values()
        return sum(host["network"]["refused_key"] for host in hosts if host)

    def test_unknown_client_key(self):
        home = self.copy_of_client()
        self.new_key(home / "client.key")
        before = self.refused_keys()
        call = harness.run(harness.BFTCTL, "call", "--client", home, "--timeout", 3, "stock_level", 1, 1, 15)
        self.assertIn(call.returncode, (1, 4), call.stderr)
        self.assertIn("bftctl: ", call.stderr)
        self.assertGreater(self.refused_keys(), before, "counted where it was refused")

    def test_client_key_open_to_others(self):
        home = self.copy_of_client()
        (home / "client.key").chmod(0o644)
        call = harness.run(harness.BFTCTL, "call", "--client", home, "stock_level", 1, 1, 15)
        self.assertIn(call.returncode, (1, 2), call.stderr)
        self.assertIn("client.key", call.stderr)

    def test_client_of_another_cluster(self):
        home = self.copy_of_client()
        text = (home / "client.toml").read_text()
        other = re.sub(r"(?m)^(cluster = .)[0-9a-f]{64}", r"\g<1>" + "00" * 32, text)
        self.assertNotEqual(other, text)
        (home / "client.toml").write_text(other)
        call = harness.run(harness.BFTCTL, "call", "--client", home, "--timeout", 3, "stock_level", 1, 1, 15)
        self.assertIn(call.returncode, (1, 4), call.stderr)

    # --- the wire ------------------------------------------------------------------------------------

    def address(self, host):
        text = (self.cluster.dir / "clients" / "admin" / "client.toml").read_text()
        found = re.search(rf"""name = ['"]{host}['"]\s+address = ['"]([^'"]+):(\d+)""", text)
        name, port = found.groups()
        return name, int(port)

    def tls(self, key, host="host1"):
        """A connection as the holder of `key`: self-signed, as all certificates here."""
        certificate = self.scratch / "certificate.pem"
        harness.run("openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=x", "-days", 1, "-out", certificate,
                    check=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(["bftnode/1"])
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(certificate, key)
        stream = context.wrap_socket(socket.create_connection(self.address(host), timeout=harness.PATIENCE))
        self.addCleanup(stream.close)
        return stream

    def assert_closed_by_peer(self, stream):
        try:
            while stream.recv(65536):
                pass
        except (ssl.SSLError, ConnectionError):
            pass  # a reset is as good as an end

    def status_of(self, host):
        return self.cluster.status()["hosts"][host]

    def test_wrong_tls_certificate(self):
        key = self.scratch / "foreign.key"
        self.new_key(key)
        before = self.status_of("host1")["network"]["refused_key"]
        try:
            stream = self.tls(key)
            stream.sendall(struct.pack(">I", 0))
            self.assert_closed_by_peer(stream)
        except (ssl.SSLError, ConnectionError):
            pass
        harness.wait_until(lambda: self.status_of("host1")["network"]["refused_key"] > before, "it is counted")

    def test_no_tls_at_all(self):
        with socket.create_connection(self.address("host1"), timeout=harness.PATIENCE) as stream:
            stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
            self.assert_closed_by_peer(stream)

    def test_oversized_frame(self):
        stream = self.tls(self.cluster.dir / "clients" / "bench" / "client.key")
        stream.sendall(struct.pack(">I", 0))
        stream.sendall(struct.pack(">I", 0x7fffffff) + b"x" * 1000)
        self.assert_closed_by_peer(stream)

    def test_malformed_frame(self):
        before = self.status_of("host1")["drops"].get("malformed", 0)
        stream = self.tls(self.cluster.dir / "clients" / "bench" / "client.key")
        stream.sendall(struct.pack(">I", 0))
        for junk in (b"\xff" * 100, b"\x0a\x80\x80\x80\x80\x01", b"\0"):
            stream.sendall(struct.pack(">I", len(junk)) + junk)
        harness.wait_until(lambda: self.status_of("host1")["drops"].get("malformed", 0) >= before + 3,
                           "each is dropped and counted")

    # --- requests ------------------------------------------------------------------------------------

    def answer_to(self, host, to, partitions, signed_by=None):
        """What `host` says to a stock_level of warehouse 1, as client `bench`."""
        home = self.cluster.dir / "clients" / "bench"
        text = (home / "client.toml").read_text()
        cluster = re.search(r"(?m)^cluster = '([0-9a-f]{64})'", text).group(1)
        client = int(re.search(r"(?m)^client = (\d+)", text).group(1))
        cseq = time.time_ns() // 1000
        body = wire.request(home / "client.key", cluster, client, cseq, partitions, wire.call("stock_level", 1, 1, 15),
                            signed_by)
        stream = self.tls(home / "client.key", host)
        stream.sendall(struct.pack(">I", 0) + b"".join(wire.frame(client, each, body) for each in to))
        while True:
            frame = wire.read_frame(stream)
            for kind in (wire.REPLY, wire.REJECTED):
                if kind not in frame:
                    continue
                message = wire.fields(frame[kind])
                rid = message if kind == wire.REJECTED else wire.fields(message[4])
                if rid[3 if kind == wire.REJECTED else 4] == cseq:
                    return kind, message

    def executed(self):
        """How many transactions every host has executed, as soon as all have executed the same."""
        def counts():
            return {self.cluster.executed(host) for host in ("host1", "host2", "host3")}
        return harness.wait_until(lambda: counts().pop() if len(counts()) == 1 else None, "all hosts are as far")

    def assert_rejected(self, reason, words, partitions, signed_by=None):
        counts = []
        for _ in range(3):  # a checkpoint's item counts, too, and may come in between once
            before = self.executed()
            for host, to in (("host1", wire.endpoint("replica", group=1, index=0)), ("primary1", wire.endpoint("primary"))):
                kind, message = self.answer_to(host, [to], partitions, signed_by)
                self.assertEqual(kind, wire.REJECTED, host)
                self.assertEqual(wire.REASONS[message[4]], reason, message)
                self.assertIn(words, message[5].decode())
            counts.append(self.executed() - before)
            if counts[-1] == 0:
                return
        self.fail(f"of what was rejected something was executed each time: {counts}")

    def test_request_written_by_hand_is_taken(self):
        """Else the two tests below would show nothing."""
        everybody = [wire.endpoint("replica", group=1, index=0)]
        kind, message = self.answer_to("host1", everybody, [1])
        self.assertEqual(kind, wire.REPLY, message)

    def test_bad_client_signature(self):
        other = self.cluster.dir / "clients" / "admin" / "client.key"
        self.assert_rejected("bad_signature", "signature does not verify", [1], signed_by=other)

    def test_partition_that_the_call_does_not_touch(self):
        self.assert_rejected("wrong_partitions", "declares 1, 2", [1, 2])

    def test_partition_that_was_not_declared(self):
        self.assert_rejected("wrong_partitions", "touches the partitions 1, but the request declares 2", [2])

    # --- hosts ---------------------------------------------------------------------------------------

    def bftnode(self, role, config):
        """A daemon that must not start: its output."""
        done = harness.run(harness.BFTNODE, f"--role={role}", "--config", config)
        self.assertIn(done.returncode, (1, 2), done.stdout + done.stderr)
        return done.stdout + done.stderr

    def copy_of_host(self, host, **changes):
        """Another folder with the same identity."""
        home = self.scratch / host
        home.mkdir()
        source = self.cluster.dir / "hosts" / host
        for name in ("node.toml", "cluster.toml", "identity.key", "usig.tokens", "usig.secrets"):
            shutil.copy2(source / name, home / name)
        shutil.copytree(source / "app", home / "app")
        text = (home / "node.toml").read_text()
        for old, new in changes.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        (home / "node.toml").write_text(text)
        return home / "node.toml"

    def test_second_node_with_the_same_identity(self):
        home = self.cluster.dir / "hosts" / "host1"
        self.assertRegex(self.bftnode("replica,voter", home / "node.toml"), "(?i)another|in use|held|already")

    def test_second_usig_service_finds_the_tpm_busy(self):
        config = self.copy_of_host("host1")
        self.assertRegex(self.bftnode("usig", config), "(?i)TPM.*(busy|another process|in use|does not answer)")

    def test_tpm_missing(self):
        config = self.copy_of_host("host1", **{"/tpm.sock": "/no.sock"})
        output = self.bftnode("usig", config)
        self.assertRegex(output, "(?i)TPM")
        self.assertIn("no.sock", output)

    def test_tpm_of_another_cluster(self):
        state, path = self.scratch / "tpm", self.scratch / "t"
        state.mkdir()
        config = self.copy_of_host("host1", **{f"{self.cluster.dir}/hosts/host1/tpm.sock": str(path)})
        with harness.Background("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--flags",
                                "not-need-init,startup-clear", "--server", f"type=unixio,path={path}", "--ctrl",
                                f"type=unixio,path={path}.ctrl"):
            harness.wait_until(pathlib.Path(f"{path}.ctrl").exists, "the TPM is there")
            self.assertRegex(self.bftnode("usig", config), "(?i)TPM")
            # ... and one that serves another cluster.
            topology = (self.cluster.dir / "topology.toml").read_text()
            other = self.scratch / "topology.toml"
            other.write_text(topology.replace(f"{self.cluster.dir}/hosts/host1/tpm.sock", str(path)))
            harness.run(harness.BFTCTL, "init", "--topology", other, "--dir", self.scratch / "other")
            self.assertRegex(self.bftnode("usig", config), "(?i)TPM")

    def test_wrong_key_in_the_hosts_folder(self):
        config = self.copy_of_host("host1")
        shutil.copy2(self.cluster.dir / "hosts" / "host2" / "identity.key", config.parent / "identity.key")
        check = harness.run(harness.BFTNODE, "--check-config", "--config", config)
        self.assertEqual(check.returncode, 2)
        self.assertIn("it belongs to host 'host2'", check.stderr)
        self.assertIn("is not the key", self.bftnode("replica,voter", config))

    def test_broken_configuration_is_reported_at_once(self):
        config = self.copy_of_host("host1", **{"[usig]": "[usgi]", "workers = 1": "workers = \"one\""})
        check = harness.run(harness.BFTNODE, "--check-config", "--config", config)
        self.assertEqual(check.returncode, 2)
        self.assertRegex(check.stderr, r"node\.toml:\d+:\d+: unknown key 'usgi'; did you mean 'usig'\?")
        self.assertRegex(check.stderr, r"node\.toml:\d+:\d+: 'database.workers' must be a whole number")
        self.assertEqual(harness.run(harness.BFTNODE, "--config", config).returncode, 2)


class BadHost(unittest.TestCase):
    """Faults that a host of its own suffers; the rest of the cluster works on."""

    def test_database_down_at_start(self):
        with harness.Cluster(groups=1, partitions=2) as cluster:
            cluster.start_loaded(warehouses=2)
            database = cluster.dir / "hosts" / "host3" / "mariadb"
            cluster.script("kill-host", "host3")
            cluster.script("start-host", "host3")
            harness.wait_until(lambda: "node_started" in cluster.log("host3"), "host3 is back")
            cluster.script("kill-host", "host3")
            done = self.start_daemon_without_database(cluster)
            self.assertIn("database", done.lower())
            self.assertIn(str(database / "mysqld.sock"), done)
            result = cluster.finished(cluster.drive(seconds=2))
            self.assertEqual(result["failed"], 0)
            cluster.script("start-host", "host3")
            harness.wait_until(lambda: cluster.check_databases().returncode == 0, "host3 caught up")

    def start_daemon_without_database(self, cluster):
        """What it says: it may give up or wait, but it says why."""
        config = cluster.dir / "hosts" / "host3" / "node.toml"
        with harness.Background(harness.BFTNODE, "--role=voter", "--config", config) as process:
            output = ""
            while "mysqld.sock" not in output:
                line = process.stdout.readline()
                if not line:
                    break
                output += line
            return output

    def test_disk_full(self):
        """The log of one host cannot grow: it stops, says so, and goes on when there is room again."""
        with harness.Cluster(groups=1, partitions=2) as cluster:
            cluster.load(2, 0.01)
            cluster.warehouses, cluster.scale = 2, 0.01
            data = cluster.dir / "hosts" / "host2" / "data"
            data.mkdir(mode=0o700)
            mount = harness.run("mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", data)
            if mount.returncode != 0:
                self.skipTest("a small disk can only be mounted by root")
            try:
                self.fill_disk(cluster, data / "filler")
            finally:
                cluster.script("stop")
                harness.run("umount", "-l", data)

    def fill_disk(self, cluster, filler):
        cluster.start()
        driver = cluster.drive(seconds=8)
        harness.wait_until(lambda: cluster.executed("host1") > 20, "the run has begun")
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], capture_output=True, check=False)
        result = cluster.finished(driver)
        self.assertEqual(result["failed"], 0)
        harness.wait_until(lambda: "No space left" in cluster.log("host2") + cluster.log("host2", "usig"),
                           "host2 says what is wrong")
        filler.unlink()
        # With the TPM goes the session that could finish a certificate whose record found no room.
        cluster.script("kill-host", "host2")
        cluster.script("start-host", "host2")
        harness.wait_until(lambda: cluster.check_databases().returncode == 0, "host2 caught up")
        status = harness.run(harness.BFTCTL, "status", "--wait", harness.PATIENCE, cluster.dir)
        self.assertEqual(status.returncode, 0, status.stdout)
        self.assertNotRegex(cluster.log("host2", "usig"), "usig_(hole|forgotten)", "no value was spent in vain")


if __name__ == "__main__":
    harness.main()
