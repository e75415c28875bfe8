#!/usr/bin/env python3
"""The running front and gateway against docs/openapi.yaml, judged by Prism."""
import json
import unittest
import urllib.request

import front
from harness import ROOT, main, run


class Contract(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.open = []

        def enter(thing):
            cls.open.append(thing)
            return thing.__enter__()
        cls.cluster = enter(front.cluster())
        cls.cluster.start()
        urls = front.fronts(cls.cluster.dir)
        cls.host1 = enter(front.Prism(urls["host1"], cls.cluster.dir / "http-ca.crt")).url
        cls.gateway = enter(front.Gateway(cls.cluster.dir))
        cls.checked_gateway = enter(front.Prism(cls.gateway.url)).url
        cls.gateway.call("create_account", {"branch": 1, "account": 1, "owner": "Ann", "opening": "100.00"})

    @classmethod
    def tearDownClass(cls):
        for thing in reversed(cls.open):
            thing.__exit__(None, None, None)

    def good(self, answer, status):
        """As documented, the request too."""
        self.assertEqual(answer.status, status, answer.text)
        self.assertEqual(front.violations(answer), [])
        return answer

    def bad(self, answer, status, code):
        """The request may be wrong; the answer must be a documented one all the same."""
        self.assertEqual(answer.status, status, answer.text)
        self.assertEqual(front.violations(answer, of=("response",)), [])
        self.assertEqual(answer.json()["error"]["code"], code)

    def request(self, procedure="query_account", arguments=(1, 1), client="web"):
        return front.signed(self.cluster.dir, client, 1, procedure, list(arguments))[0]["request"]

    def test_the_description_itself(self):
        done = run("node", front.HERE / "validate.js", ROOT / "docs" / "openapi.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_a_host_tells(self):
        for path in ("/livez", "/readyz", "/metrics", "/v1/status", "/v1/manifest", "/v1/pages"):
            with self.subTest(path):
                self.good(front.ask(self.host1 + path), 200)

    def test_transactions(self):
        self.good(front.ask(self.host1 + "/v1/transactions", self.request()), 200)
        self.good(front.ask(self.host1 + "/v1/transactions?signature=p256", self.request()), 200)
        self.good(front.ask(self.host1 + "/v1/transactions?wait=0", self.request()), 202)
        both = front.signed(self.cluster.dir, "web", 2, "query_account", [1, 1])
        answer = self.good(front.ask(self.host1 + "/v1/transactions",
                                     {"transactions": [one["request"] for one in both]}), 200)
        self.assertEqual(len(answer.json()["answers"]), 2)
        page = self.good(front.ask(self.host1 + "/v1/pages/statement", self.request("statement", (1, 1, 5))), 200)
        self.assertIn("page", page.json()["answer"])

    def test_the_same_request_is_answered_again(self):
        request = self.request("send_payment", (1, 1, 1, 1, "0.01", "to myself"))
        first = self.good(front.ask(self.host1 + "/v1/transactions", request), 200).json()
        again = self.good(front.ask(self.host1 + "/v1/transactions", request), 200).json()
        self.assertEqual(first["answer"], again["answer"])

    def test_refusals_are_signed(self):
        forged = self.request()
        forged["signature"] = forged["signature"][:-4] + "AAAA"
        answer = self.good(front.ask(self.host1 + "/v1/transactions", forged), 422).json()
        self.assertEqual(answer["refusal"]["reason"], "bad_signature")

    def test_wrong_requests(self):
        url = self.host1 + "/v1/transactions"
        # Prism passes on JSON only.
        straight = front.fronts(self.cluster.dir)["host1"] + "/v1/transactions"
        for body in (b"{", b"[" * 100000, b"\xff", b""):
            self.bad(front.ask(straight, body, context=front.tls(self.cluster.dir)), 400, "malformed")
        wrong_type = front.ask(straight, b"{}", headers={"Content-Type": "text/plain"}, context=front.tls(self.cluster.dir))
        self.bad(wrong_type, 415, "unsupported_media_type")
        self.bad(front.ask(straight, method="DELETE", context=front.tls(self.cluster.dir)), 405, "method_not_allowed")
        self.bad(front.ask(url, {"raw": "!", "signature": ""}), 400, "malformed")
        self.bad(front.ask(url, {"raw": "", "signature": "", "more": 1}), 400, "malformed")
        self.bad(front.ask(url, {"transactions": []}), 400, "malformed")
        self.bad(front.ask(url + "?wait=2", self.request()), 400, "malformed")
        self.bad(front.ask(self.host1 + "/v1/pages/nothing", self.request()), 404, "not_found")
        self.bad(front.ask(self.host1 + "/v1/pages/statement", self.request()), 400, "malformed")
        self.bad(front.ask(self.host1 + "/v1/events?client=x"), 400, "malformed")

    def test_commit_events(self):
        # Straight: Prism waits for the end of a response.
        url, context = front.fronts(self.cluster.dir)["host1"], front.tls(self.cluster.dir)
        me = front.signed(self.cluster.dir, "web", 1, "query_account", [1, 1])[0]
        bad_filter = front.ask(url + "/v1/events?signed=2", context=context)
        self.bad(bad_filter, 400, "malformed")
        with urllib.request.urlopen(url + "/v1/events?client=3&signed=1", context=context, timeout=60) as stream:
            self.assertEqual(stream.headers["Content-Type"], "text/event-stream")

            def next_event():
                while True:
                    line = stream.readline().decode()
                    self.assertNotEqual(line, "", "the stream ended")
                    if line.startswith("data: ") and "heartbeat" not in line:
                        return json.loads(line[6:])
            self.assertEqual(next_event()["type"], "hello")
            other = self.gateway.call("query_account", [1, 1])
            self.assertEqual(other.status, 200)
            answer = front.ask(url + "/v1/transactions", me["request"], context=context).json()
            event = next_event()
        self.assertEqual(event["type"], "commits")
        self.assertEqual(event["transactions"], [answer["answer"]])
        self.assertEqual(event["signature"]["bundle_count"], 1)
        self.assertEqual((event["group"], event["position"]), (answer["group"], answer["position"]))

    def test_gateway(self):
        url = self.checked_gateway + "/v1/call/"
        self.good(front.ask(url + "query_account", {"branch": 1, "account": 1}), 200)
        self.good(front.ask(url + "query_account?receipt=1", [1, 1]), 200)
        poor = {"branch": 1, "account": 1, "to_branch": 1, "to_account": 1, "amount": "9999999.00", "memo": ""}
        self.good(front.ask(url + "send_payment", poor), 409)
        self.bad(front.ask(url + "query_account", {"branch": 1}), 400, "bad_call")
        self.bad(front.ask(url + "nothing", {}), 404, "not_found")
        for path in ("/livez", "/readyz", "/metrics", "/v1/status"):
            self.good(front.ask(self.checked_gateway + path), 200)


if __name__ == "__main__":
    main()
