#!/usr/bin/env python3
"""Every page of a host's HTTP front and of the gateway, without a JavaScript client: the daemons stay alive, say that they
are ready, and transactions come through."""
import unittest

import front
from harness import main


class FrontTest(unittest.TestCase):
    def test_pages(self):
        with front.cluster() as cluster:
            cluster.start()
            context = front.tls(cluster.dir)
            urls = front.fronts(cluster.dir)
            self.assertEqual(sorted(urls), ["host1", "host2", "host3"])
            for host, url in urls.items():
                with self.subTest(host=host):
                    for page in ("/livez", "/readyz"):
                        self.assertEqual(front.ask(url + page, context=context).status, 200, page)
                    self.assertEqual(front.ask(url + "/v1/manifest", context=context).text,
                                     (cluster.dir / "manifest.json").read_text())
                    self.assertEqual(front.ask(url + "/nowhere", context=context).status, 404)
                    for body in (b"{", b"[]", b'{"raw":1}', {"raw": "AA", "signature": "AA"}):
                        self.assertEqual(front.ask(url + "/v1/transactions", body, context=context).status, 400, body)
            with front.Gateway(cluster.dir) as gateway:
                self.assertEqual(gateway.call("create_account", [1, 1, "Ann", "100.00"]).status, 200)
                self.assertIn("100.00", gateway.call("query_account", [1, 1]).text)
                self.assertEqual(gateway.call("no_such_procedure", []).status, 404)
            for url in urls.values():
                self.assertEqual(front.ask(url + "/livez", context=context).status, 200)


if __name__ == "__main__":
    main()
