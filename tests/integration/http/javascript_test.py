#!/usr/bin/env python3
"""The JavaScript client against real replicas over TLS 1.3, and receipts from either implementation in the other."""
import json
import unittest

import front
from harness import BFTCTL, main, run


# Of bftctl verify-receipt: nobody signed that, or it is no receipt at all.
PROVES_NOTHING = (1, 2)


class JavaScriptTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = front.cluster()
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__, None, None, None)
        cls.cluster.start()
        cls.gateway = front.Gateway(cls.cluster.dir)
        cls.gateway.__enter__()
        cls.addClassCleanup(cls.gateway.__exit__)
        for branch, account in ((1, 1), (2, 7)):
            cls.gateway.call("create_account", [branch, account, "Ann", "100.00"])
        cls.manifest = cls.cluster.dir / "manifest.json"
        cls.pin = json.loads(cls.manifest.read_text())["digest"]

    def node(self, *words, trust=True):
        env = {"NODE_EXTRA_CA_CERTS": str(self.cluster.dir / "http-ca.crt")} if trust else {}
        done = run("node", front.HERE / "javascript.js", *words, env=env, check=True)
        return json.loads(done.stdout)

    def call(self, client, procedure, arguments, *more, **options):
        key = self.cluster.dir / "clients" / client / "client.key"
        return self.node("call", self.manifest, self.pin, key, client, procedure, json.dumps(arguments), *more, **options)

    def save(self, document):
        file = self.cluster.dir / "saved.json"
        file.write_text(json.dumps(document))
        return file

    def native(self, document):
        return run(BFTCTL, "verify-receipt", self.save(document), "--manifest", self.manifest, "--digest", self.pin)

    def javascript(self, document):
        return self.node("verify", self.manifest, self.pin, self.save(document))

    def spoilt(self, receipt):
        """One after the other, receipts that prove nothing."""
        changes = {
            "outcome": lambda r: r["answer"].update(outcome="duplicate"),
            "slot": lambda r: r["answer"].update(slot=str(int(r["answer"]["slot"]) + 1)),
            "time": lambda r: r["answer"].update(ts_ms="1"),
            "request": lambda r: r.update(request=r["request"][:-4] + "AAAA"),
            "result": lambda r: r.update(result=r["result"][:-4] + "____"),
            "one signature": lambda r: r.update(signatures=r["signatures"][:1]),
            "one signer twice": lambda r: r.update(signatures=[r["signatures"][0]] * 2),
            "another host's": lambda r: [s.update(position=(s["position"] + 1) % 3) for s in r["signatures"]],
            "another cluster": lambda r: r.update(cluster="00" * 32),
            "another group": lambda r: r.update(group=r["group"] % 2 + 1),
        }
        for name, change in changes.items():
            copy = json.loads(json.dumps(receipt))
            change(copy)
            yield name, copy

    def test_tls(self):
        for host, url in front.fronts(self.cluster.dir).items():
            with self.subTest(host):
                spoken = self.node("tls", url, self.cluster.dir / "http-ca.crt")
                self.assertEqual(spoken["newest"], "TLSv1.3")
                self.assertIn("PROTOCOL_VERSION", spoken["1.2"])
                self.assertIn("SELF_SIGNED", self.node("tls", url, trust=False)["newest"].replace(
                    "UNABLE_TO_VERIFY_LEAF_SIGNATURE", "SELF_SIGNED"))

    def test_who_does_not_know_the_authority_hears_nothing(self):
        done = self.call("web", "query_account", [1, 1], trust=False)
        self.assertEqual((done["error"], done["kind"], len(done["silent"])), ("NotConfirmed", "timeout", 3))

    def test_receipts_of_javascript_are_good_for_the_native_checker(self):
        for client, more in (("web", ()), ("web1", ()), ("web", ("page",))):
            procedure, arguments = ("statement", [1, 1, 5]) if more else ("query_account", [1, 1])
            with self.subTest(client=client, page=bool(more)):
                done = self.call(client, procedure, arguments, *more)
                self.assertEqual(sorted(done["confirmedBy"]), ["host1", "host2", "host3"], done)
                good = self.native(done["receipt"])
                self.assertEqual(good.returncode, 0, good.stderr)
                self.assertIn("good: signed by host", good.stdout)
                self.assertIn(f"({client})", good.stdout)
                if more:
                    self.assertIn("html", done["receipt"])
                    changed = {**done["receipt"], "html": done["receipt"]["html"] + " "}
                    self.assertEqual(self.native(changed).returncode, 1)
                for name, bad in self.spoilt(done["receipt"]):
                    self.assertIn(self.native(bad).returncode, PROVES_NOTHING, name)

    def test_receipts_of_the_native_client_are_good_for_javascript(self):
        answer = self.gateway.call("send_payment", [1, 1, 2, 7, "1.50", "tea"], "?receipt=1").json()
        good = self.javascript(answer)
        self.assertTrue(good["valid"], good)
        self.assertGreaterEqual(len(good["hosts"]), 2)
        self.assertEqual(good["call"]["procedure"], "send_payment")
        names, receipts = zip(*self.spoilt(answer["receipt"]))
        for name, judged in zip(names, self.javascript(list(receipts))):
            self.assertFalse(judged["valid"], name)
        for name, bad in zip(names, receipts):
            self.assertIn(self.native(bad).returncode, PROVES_NOTHING, name)

    def test_another_clusters_manifest_is_refused(self):
        done = run("node", front.HERE / "javascript.js", "verify", self.manifest, "00" * 32, self.save({}))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("pinned is 0000", done.stderr)


if __name__ == "__main__":
    main()
