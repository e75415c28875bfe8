#!/usr/bin/env python3
"""The gateway with nothing but curl, and receipts, also where a host lies."""
import concurrent.futures
import json
import os
import signal
import unittest

import front
from harness import BFTCTL, main, run, wait_until


def curl(gateway, procedure, arguments, query=""):
    done = run("curl", "-sS", "-w", "\n%{http_code}", "-H", "Content-Type: application/json", "-d",
               json.dumps(arguments), f"{gateway.url}/v1/call/{procedure}{query}", check=True)
    body, status = done.stdout.rsplit("\n", 1)
    return int(status), json.loads(body)


class GatewayTest(unittest.TestCase):
    def verify(self, cluster, document, manifest=None):
        file = cluster.dir / "receipt.json"
        file.write_text(json.dumps(document))
        return run(BFTCTL, "verify-receipt", file, "--manifest", manifest or cluster.dir / "manifest.json")

    def test_payments_by_curl(self):
        with front.cluster() as cluster:
            cluster.start()
            with front.Gateway(cluster.dir) as gateway:
                for branch, account in ((1, 1), (2, 7)):
                    status, _ = curl(gateway, "create_account", [branch, account, "Ann", "100.00"])
                    self.assertEqual(status, 200)
                pay = {"branch": 1, "account": 1, "to_branch": 2, "to_account": 7, "amount": "60.00", "memo": "rent"}
                self.assertEqual(curl(gateway, "send_payment", pay)[0], 200)
                status, poor = curl(gateway, "send_payment", pay)
                self.assertEqual((status, poor["outcome"]), (409, "aborted"))
                _, account = curl(gateway, "query_account", [2, 7])
                self.assertEqual(account["result_sets"][0][0][3], "160.00")
            self.token_is_needed(cluster)

    def token_is_needed(self, cluster):
        token = cluster.dir / "token"
        token.write_text("correct-horse-battery\n")
        os.chmod(token, 0o600)
        with front.Gateway(cluster.dir, client="web", more=f'token_file = "{token}"') as gateway:
            self.assertEqual(gateway.call("query_account", [1, 1]).status, 401)
            wrong = {"Authorization": "Bearer correct-horse-batterx"}
            self.assertEqual(gateway.call("query_account", [1, 1], headers=wrong).status, 401)
            right = {"Authorization": "Bearer correct-horse-battery"}
            self.assertEqual(gateway.call("query_account", [1, 1], headers=right).status, 200)

    def test_idempotency_keys(self):
        """However often a key is sent, and whatever becomes of the caller, the payment happens once."""
        with front.cluster() as cluster:
            cluster.start()
            more = "give_up_after_ms = 3000"
            with front.Gateway(cluster.dir, more=more) as gateway:
                for branch, account in ((1, 1), (2, 7)):
                    wait_until(lambda: gateway.call("create_account", [branch, account, "Ann", "100.00"]).status in (200, 409),
                               "an account")
                pay = [1, 1, 2, 7, "10.00", "rent"]

                def send(key, arguments=pay, **options):
                    return gateway.call("send_payment", arguments, headers={"Idempotency-Key": key}, **options)

                def answered(key):
                    """As a careful caller does: asks again after a 504, which a loaded machine may bring."""
                    def attempt():
                        got = send(key)
                        return got if got.status != 504 else None
                    return wait_until(attempt, "the answer")

                def balance():
                    got = wait_until(lambda: [one for one in [gateway.call("query_account", [2, 7])] if one.status == 200], "it")
                    return got[0].json()["result_sets"][0][0][3]
                with concurrent.futures.ThreadPoolExecutor(12) as pool:
                    at_once = list(pool.map(lambda _: answered("once"), range(12)))
                self.assertEqual({one.status for one in at_once}, {200})
                self.assertEqual(len({one.text for one in at_once}), 1)
                again = send("once")
                self.assertEqual((again.status, again.text), (200, at_once[0].text))
                self.assertEqual(again.headers["Idempotency-Replayed"], "true")
                self.assertEqual(balance(), "110.00")
                other = send("once", [1, 1, 2, 7, "10.01", "rent"])
                self.assertEqual((other.status, other.json()["error"]["code"]), (422, "key_reused"))
                self.assertEqual(send("x" * 256).status, 400)
                self.assertEqual(send("two words").status, 400)
                self.assertEqual(balance(), "110.00")

                # Nobody answers for a while: the caller is told so, asks again, and gets the answer to its first call.
                for host in ("host2", "host3"):
                    cluster.signal(host, "node", signal.SIGSTOP)
                late = send("late")
                self.assertEqual((late.status, late.json()["error"]["code"]), (504, "no_answer"))
                for host in ("host2", "host3"):
                    cluster.signal(host, "node", signal.SIGCONT)
                answer = answered("late")
                self.assertEqual(answer.status, 200)
                self.assertEqual(send("late").text, answer.text)
                self.assertEqual(balance(), "120.00")
                status = front.ask(gateway.url + "/v1/status").json()
                self.assertEqual((status["keys_under_way"], status["keys_remembered"]), (0, 2))

    def test_receipts(self):
        with front.cluster() as cluster:
            # Its answers are right, its signatures are not: who wants a receipt does without it.
            cluster.node_arguments["host2"] = "--insecure-misbehave=forged-signature"
            cluster.start()
            with front.Gateway(cluster.dir) as gateway:
                curl(gateway, "create_account", [1, 1, "Ann", "100.00"])
                _, answer = curl(gateway, "query_account", [1, 1], "?receipt=1")
            good = self.verify(cluster, answer)
            self.assertEqual(good.returncode, 0, good.stderr)
            self.assertIn("signed by host1, host3", good.stdout)
            receipt = answer["receipt"]

            def spoilt(change):
                copy = json.loads(json.dumps(receipt))
                change(copy)
                return self.verify(cluster, copy).returncode
            self.assertEqual(spoilt(lambda r: None), 0)
            self.assertEqual(spoilt(lambda r: r["answer"].update(outcome="aborted")), 1)
            self.assertEqual(spoilt(lambda r: r["answer"].update(slot="1")), 1)
            self.assertEqual(spoilt(lambda r: r.update(result=r["result"][:-2] + "AA")), 1)
            self.assertEqual(spoilt(lambda r: r.update(request=r["request"][:-2] + "AA")), 1)
            self.assertEqual(spoilt(lambda r: r["signatures"].pop()), 1)
            self.assertEqual(spoilt(lambda r: r.update(signatures=[r["signatures"][0]] * 2)), 1)
            self.assertEqual(spoilt(lambda r: r.update(cluster="00" * 32)), 1)
            self.assertEqual(spoilt(lambda r: r["answer"].update(slot="x")), 2)

            manifest = json.loads((cluster.dir / "manifest.json").read_text())
            manifest["hosts"][1]["key"] = manifest["hosts"][2]["key"]
            changed = cluster.dir / "changed.json"
            changed.write_text(json.dumps(manifest))
            self.assertEqual(self.verify(cluster, receipt, changed).returncode, 2)


if __name__ == "__main__":
    main()
