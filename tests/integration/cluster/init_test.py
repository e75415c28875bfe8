#!/usr/bin/env python3
"""bftctl init on real (software) TPMs: what it makes is right, and a failed attempt leaves nothing."""
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import unittest

import harness

PRIMARIES = ("primary1", "primary2")
HOSTS = (*PRIMARIES, "host1", "host2", "host3")


class Init(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bft-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.tpms = {host: self.start_tpm(host) for host in HOSTS}
        self.write_topology()
        self.out = self.dir / "cluster"

    def start_tpm(self, name, manufacturer=None):
        state = self.dir / f"{name}.state"
        state.mkdir()
        if manufacturer:
            harness.run("swtpm_setup", "--tpm2", "--tpmstate", f"dir://{state}", "--create-ek-cert", "--config",
                        manufacturer / "setup.conf", check=True)
        socket = self.dir / f"{name}.tpm"
        process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--flags", "not-need-init,startup-clear",
             "--server", f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        harness.wait_until(pathlib.Path(f"{socket}.ctrl").exists, f"TPM of {name}")
        return process

    def write_topology(self, **replace):
        text = f'name = "t"\nf = 1\napplication = "{harness.ROOT}/config/apps/tpcc"\nclients = ["c"]\n'
        text += '[[group]]\nid = 1\npartitions = [0, 1]\n'
        for number, host in enumerate(HOSTS):
            roles = '["primary"]' if host in PRIMARIES else '["replica", "voter"]'
            text += (f'[[host]]\nname = "{host}"\naddress = "127.0.0.1:{7000 + number}"\nroles = {roles}\n'
                     f'tcti = "swtpm:path={self.dir}/{host}.tpm"\n')
            if host not in PRIMARIES:
                text += f'database = {{ socket = "{self.dir}/{host}.sql", user = "root", name = "tpcc" }}\n'
        for old, new in replace.items():
            self.assertIn(old, text)
            text = text.replace(old, new)
        self.topology = self.dir / "topology.toml"
        self.topology.write_text(text)

    def init(self, *words):
        return harness.run(harness.BFTCTL, "init", "--topology", self.topology, "--dir", self.out, *words)

    def manufacturer(self):
        """The authority's folder."""
        at = self.dir / "manufacturer"
        at.mkdir()
        (at / "localca.conf").write_text(f"statedir = {at}\nsigningkey = {at}/signkey.pem\n"
                                         f"issuercert = {at}/issuercert.pem\ncertserial = {at}/certserial\n")
        (at / "localca.options").write_text("--platform-manufacturer t\n--platform-version 1\n--platform-model t\n")
        (at / "setup.conf").write_text(
            f"create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {at}/localca.conf\n"
            f"create_certs_tool_options = {at}/localca.options\n")
        return at

    def remake_tpm(self, host, **how):
        self.tpms[host].kill()
        self.tpms[host].wait()
        for name in (f"{host}.tpm", f"{host}.tpm.ctrl"):
            (self.dir / name).unlink(missing_ok=True)
        shutil.rmtree(self.dir / f"{host}.state")
        self.tpms[host] = self.start_tpm(host, **how)

    def assert_nothing_left(self):
        self.assertFalse(self.out.exists(), list(self.out.rglob("*")) if self.out.exists() else "")

    def test_makes_a_cluster_whose_files_are_right(self):
        done = self.init()
        self.assertEqual(done.returncode, 0, done.stderr)
        for host in HOSTS:
            home = self.out / "hosts" / host
            check = harness.run(harness.BFTCTL, "check", home / "node.toml")
            self.assertEqual(check.returncode, 0, check.stderr)
            for secret in ("identity.key", "usig.tokens", "usig.secrets"):
                self.assertEqual(stat.S_IMODE((home / secret).stat().st_mode), 0o600, secret)
        key = self.out / "clients" / "c" / "client.key"
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        admin = self.out / "admins" / "admin.key"
        self.assertEqual(stat.S_IMODE(admin.stat().st_mode), 0o600)
        self.assertEqual(list(self.out.glob("hosts/*/*admin*")), [], "it belongs to no host")
        files = {(self.out / "hosts" / host / "cluster.toml").read_bytes() for host in HOSTS}
        self.assertEqual(len(files), 1, "every host has the same cluster file")

    def test_a_databases_password_goes_along_with_its_host(self):
        """Each host's own, in its folder alone, and node.toml names it there, wherever the folder goes."""
        databases = {f'/{host}.sql", ': f'/{host}.sql", password_file = "{host}.password", ' for host in HOSTS if host not in PRIMARIES}
        self.write_topology(**databases)
        missing = self.init()
        self.assertEqual(missing.returncode, 1)
        self.assertIn("host1: the database's password: cannot read", missing.stderr)
        self.assert_nothing_left()
        for host in HOSTS:
            (self.dir / f"{host}.password").write_text(f"of {host}\n")
        done = self.init()
        self.assertEqual(done.returncode, 0, done.stderr)
        moved = self.dir / "elsewhere"
        self.out.rename(moved)
        for host in HOSTS:
            home = moved / "hosts" / host
            there = {file.name: file.read_text() for file in home.glob("*password*")}
            self.assertEqual(there, {} if host in PRIMARIES else {"database.password": f"of {host}\n"})
            for file in there:
                self.assertEqual(stat.S_IMODE((home / file).stat().st_mode), 0o600)
            check = harness.run(harness.BFTCTL, "check", home / "node.toml")
            self.assertEqual(check.returncode, 0, check.stderr)
        self.assertIn("password", (moved / "hosts" / "host1" / "node.toml").read_text())

    def test_never_overwrites_without_force(self):
        self.assertEqual(self.init().returncode, 0)
        key = self.out / "hosts" / "host1" / "identity.key"
        before = key.read_bytes()
        again = self.init()
        self.assertEqual(again.returncode, 1)
        self.assertIn("identity.key exists already", again.stderr)
        self.assertIn("nothing was changed", again.stderr)
        self.assertEqual(key.read_bytes(), before)

        forced = self.init("--force")
        self.assertEqual(forced.returncode, 0, forced.stderr)
        self.assertNotEqual(key.read_bytes(), before)
        aside = list(self.out.glob("before-*/hosts/host1/identity.key"))
        self.assertEqual([path.read_bytes() for path in aside], [before], "the old key is kept")

    def test_takes_no_tpm_of_another_cluster(self):
        self.assertEqual(self.init().returncode, 0)
        self.out = self.dir / "other"
        done = self.init()
        self.assertEqual(done.returncode, 1)
        self.assertIn("primary1: ", done.stderr)
        self.assertIn("provisioned already", done.stderr)
        self.assert_nothing_left()

    def test_a_missing_tpm_leaves_nothing_behind(self):
        self.tpms["host3"].kill()
        self.tpms["host3"].wait()
        done = self.init()
        self.assertEqual(done.returncode, 1)
        self.assertIn("host3: ", done.stderr)
        self.assert_nothing_left()
        # The other TPMs were given back: the next attempt needs no --force.
        (self.dir / "host3.tpm").unlink(missing_ok=True)
        shutil.rmtree(self.dir / "host3.state")
        self.start_tpm("host3")
        done = self.init()
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_ctrl_c_leaves_nothing_behind(self):
        slow = self.tpms["host2"]
        slow.send_signal(signal.SIGSTOP)
        with harness.Background(harness.BFTCTL, "init", "--topology", self.topology, "--dir", self.out) as process:
            os.set_blocking(process.stdout.fileno(), True)
            while "host1: key" not in process.stdout.readline():
                self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            slow.send_signal(signal.SIGCONT)
            output = process.communicate(timeout=harness.PATIENCE)[0]
            self.assertEqual(process.returncode, 130, output)
            self.assertIn("interrupted: nothing was made", output)
        self.assert_nothing_left()
        done = self.init()
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_errors_of_the_topology_come_at_once(self):
        self.write_topology(**{"f = 1": "f = 2", '["c"]': '["c c"]', "partitions = [0, 1]": "partitions = [1]"})
        done = self.init()
        self.assertEqual(done.returncode, 2)
        for part in ("2f+1 = 5 hosts", "at least f+1 = 3", "letters, digits", "no group owns partition 0", "topology.toml:"):
            self.assertIn(part, done.stderr)
        self.assert_nothing_left()

    def test_an_application_that_breaks_the_rules_is_refused_with_the_reason(self):
        app = self.dir / "app"
        shutil.copytree(harness.ROOT / "config" / "apps" / "tpcc", app)
        with open(app / "procedures.sql", "a") as sql:
            sql.write("\nCREATE PROCEDURE bad() BEGIN SELECT RAND(); END\n")
        self.write_topology(**{f"{harness.ROOT}/config/apps/tpcc": str(app)})
        done = self.init()
        self.assertEqual(done.returncode, 1)
        self.assertIn("procedures.sql:", done.stderr)
        self.assert_nothing_left()

    def known_keys(self, *words):
        """--tpm-ek for every host without certificate, as the refusals tell them one by one."""
        known = []
        while True:
            done = self.init(*words, *known)
            told = re.search(r"say --tpm-ek (\w+=[0-9a-f]{64})", done.stderr)
            if done.returncode == 0 or not told:
                return done, known
            self.assertEqual(done.returncode, 1)
            self.assert_nothing_left()
            self.assertNotIn(told[1], known)
            known += ["--tpm-ek", told[1]]

    @unittest.skipUnless(shutil.which("swtpm_setup"), "no swtpm_setup (Debian package swtpm-tools)")
    def test_every_tpm_has_to_prove_itself(self):
        authority = self.manufacturer()
        self.remake_tpm("host1", manufacturer=authority)
        trust = ["--tpm-ca", authority / "issuercert.pem"]
        done, known = self.known_keys(*trust)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(word.split("=")[0] for word in known[1::2]), ["host2", "host3", "primary1", "primary2"])
        lines = (self.out / "enrolments.txt").read_text().splitlines()
        self.assertEqual([line.split()[0] for line in lines[1:]], list(HOSTS))
        good = harness.run(harness.BFTCTL, "enroll", self.out, *trust, *known)
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertEqual(good.stdout.count(" good: "), len(HOSTS))

        # Without an authority nobody vouches; with another TPM behind the name the answer is wrong.
        unknown = harness.run(harness.BFTCTL, "enroll", self.out / "hosts" / "host1")
        self.assertEqual(unknown.returncode, 5, unknown.stdout)
        self.assertIn("none of the given authorities", unknown.stderr)
        swapped = harness.run(harness.BFTCTL, "enroll", self.out / "hosts" / "host2", *trust, "--tcti",
                              f"swtpm:path={self.dir}/host1.tpm")
        self.assertEqual(swapped.returncode, 5, "a real TPM, and another host's key")
        self.assertIn("another endorsement or attestation key", swapped.stderr)
        self.remake_tpm("host3")
        replaced = harness.run(harness.BFTCTL, "enroll", self.out / "hosts" / "host3", *known)
        self.assertEqual(replaced.returncode, 5)
        self.assertIn("this is another TPM", replaced.stderr)

    def test_software_in_place_of_a_tpm_needs_the_flag(self):
        self.write_topology(**{f"swtpm:path={self.dir}/{host}.tpm": "software:usig.software" for host in HOSTS})
        done = self.init()
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--insecure-software-usig", done.stderr)
        self.assertEqual(self.init("--insecure-software-usig").returncode, 0)
        check = harness.run(harness.BFTCTL, "check", self.out / "hosts" / "host1" / "node.toml")
        self.assertEqual(check.returncode, 0, check.stderr)


if __name__ == "__main__":
    harness.main()
