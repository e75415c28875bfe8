#!/usr/bin/env python3
"""1,000 idle and 100 busy HTTP clients, and hostile ones between them: the busy do not notice.

BFT_LOAD_SECONDS (20) is how long the busy ones are busy.
"""
import asyncio
import json
import os
import random
import resource
import time
import unittest
import urllib.parse

import front
from harness import main

SECONDS = float(os.environ.get("BFT_LOAD_SECONDS", "20"))
IDLE, BUSY_SIGNED, BUSY_GATEWAY = 1000, 50, 50
SLOW, OVERSIZED, ABORTED, MALFORMED = 200, 20, 50, 50
MEMORY_MAX_KB = 300 * 1024
# What AddressSanitizer keeps of freed memory (256 MB) is not the daemons'.
os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=16")


def head(method, path, host, length=None):
    body = f"Content-Type: application/json\r\nContent-Length: {length}\r\n" if length is not None else ""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{body}\r\n".encode()


async def read_response(reader):
    """Status and body; (0, ..) when the server closed."""
    lines = await reader.readuntil(b"\r\n\r\n")
    status = int(lines.split(b" ", 2)[1])
    length = 0
    for line in lines.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, await reader.readexactly(length)


class Load:
    def __init__(self, cluster, gateway):
        self.dir = cluster.dir
        self.urls = front.fronts(cluster.dir)
        self.gateway = urllib.parse.urlparse(gateway.url)
        self.context = front.tls(cluster.dir)
        self.connecting = asyncio.Semaphore(50)
        self.latencies = {"signed": [], "gateway": []}
        self.failures = []
        self.under_way = set()
        self.hostile = {}
        self.over = False

    async def connect(self, url):
        parts = urllib.parse.urlparse(url)
        async with self.connecting:
            return await asyncio.open_connection(parts.hostname, parts.port,
                                                 ssl=self.context if parts.scheme == "https" else None,
                                                 server_hostname=parts.hostname if parts.scheme == "https" else None)

    async def idle(self):
        """Asks once, then keeps its connection; at the end it must be there still."""
        reader, writer = await self.connect(self.urls["host1"])
        writer.write(head("GET", "/livez", "x"))
        status, _ = await read_response(reader)
        assert status == 200
        return reader, writer

    async def still_there(self, connection):
        reader, writer = connection
        writer.write(head("GET", "/livez", "x"))
        status, _ = await read_response(reader)
        writer.close()
        return status == 200

    async def busy_signed(self, requests):
        """A browser without its f+1: fresh signed requests, one after the other, to one host each."""
        reader, writer = await self.connect(random.choice(list(self.urls.values())))
        while not self.over and requests:
            # One host of three waits for forward_after before it tells the primary: meanwhile the others must not
            # run further ahead than the acknowledged numbers follow (signed.js), as no client does.
            cseq = int(requests[0]["cseq"])
            if self.under_way and cseq - min(self.under_way) >= 100:
                await asyncio.sleep(0.01)
                continue
            self.under_way.add(cseq)
            body = json.dumps(requests.pop(0)["request"]).encode()
            began = time.monotonic()
            writer.write(head("POST", "/v1/transactions", "x", len(body)) + body)
            status, answer = await read_response(reader)
            self.latencies["signed"].append(time.monotonic() - began)
            self.under_way.remove(cseq)
            if status != 200:
                self.failures.append((status, answer[:300]))
        writer.close()

    async def busy_gateway(self, number):
        reader, writer = await asyncio.open_connection(self.gateway.hostname, self.gateway.port)
        while not self.over:
            body = json.dumps([1 + number % 5, 1]).encode()
            began = time.monotonic()
            writer.write(head("POST", "/v1/call/query_account", "x", len(body)) + body)
            status, answer = await read_response(reader)
            self.latencies["gateway"].append(time.monotonic() - began)
            if status not in (200, 409):
                self.failures.append((status, answer[:300]))
        writer.close()

    def count(self, what):
        self.hostile[what] = self.hostile.get(what, 0) + 1

    async def slow(self):
        """A header, byte by byte, until the server has had enough."""
        reader, writer = await self.connect(self.urls["host1"])
        try:
            for byte in b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\n" + b"X-Slow: y\r\n" * 1000:
                if self.over:
                    break
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.2)
        except (OSError, asyncio.IncompleteReadError):
            pass
        self.count("slow ended" if not self.over else "slow at the end")
        writer.close()

    async def one_answer(self, name, sent, wanted):
        reader, writer = await self.connect(self.urls["host1"])
        try:
            writer.write(sent)
            await writer.drain()
        except OSError:
            pass
        try:
            status, _ = await read_response(reader)
            self.count(f"{name} {status}")
            if status != wanted:
                self.failures.append((name, status))
        except (OSError, asyncio.IncompleteReadError):
            self.count(f"{name} closed")
        writer.close()

    async def oversized(self):
        await self.one_answer("oversized", head("POST", "/v1/transactions", "x", 1 << 30) + b"x" * 65536, 413)

    async def malformed(self):
        body = random.choice([b"{", b"[]", b'{"raw":1}', b"[" * 10000, b"\xff\xfe"])
        await self.one_answer("malformed", head("POST", "/v1/transactions", "x", len(body)) + body, 400)

    async def aborted(self):
        _, writer = await self.connect(self.urls["host1"])
        writer.write(head("POST", "/v1/transactions", "x", 500_000) + b"x" * 1000)
        await writer.drain()
        writer.transport.abort()
        self.count("aborted")

    async def run(self, requests):
        idle = await asyncio.gather(*(self.idle() for _ in range(IDLE)))
        busy = [asyncio.create_task(self.busy_signed(requests)) for _ in range(BUSY_SIGNED)]
        busy += [asyncio.create_task(self.busy_gateway(i)) for i in range(BUSY_GATEWAY)]
        hostile = [asyncio.create_task(self.slow()) for _ in range(SLOW)]
        for name, count in (("oversized", OVERSIZED), ("aborted", ABORTED), ("malformed", MALFORMED)):
            hostile += [asyncio.create_task(getattr(self, name)()) for _ in range(count)]
        await asyncio.sleep(SECONDS)
        # While all of them are here, somebody new is served.
        began = time.monotonic()
        reader, writer = await self.connect(self.urls["host1"])
        writer.write(head("GET", "/readyz", "x"))
        status, _ = await read_response(reader)
        writer.close()
        self.newcomer = (status, time.monotonic() - began)
        self.over = True
        await asyncio.gather(*busy, *hostile)
        self.kept = sum(await asyncio.gather(*(self.still_there(one) for one in idle)))


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


class LoadTest(unittest.TestCase):
    def test_many_clients(self):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        with front.cluster() as cluster:
            cluster.start()
            with front.Gateway(cluster.dir) as gateway:
                for branch in range(1, 6):
                    gateway.call("create_account", [branch, 1, "Ann", "100.00"])
                before = cluster.status()["hosts"]["host1"]["memory_max_kb"]
                requests = front.signed(cluster.dir, "load", 20000, "query_account", [1, 1])
                load = Load(cluster, gateway)
                asyncio.run(load.run(requests))
                host1 = cluster.status()["hosts"]["host1"]
            self.show(load, host1, before)
            self.assertEqual(load.failures, [])
            self.assertEqual(load.kept, IDLE)
            self.assertEqual(load.newcomer[0], 200)
            for name, latencies in load.latencies.items():
                self.assertGreater(len(latencies), 100, name)
            self.assertLess(host1["memory_max_kb"] - before, MEMORY_MAX_KB)
            self.assertEqual(host1["http"]["body_bytes"], 0)
            self.assertEqual(host1["http"]["unanswered"], 0)

    def show(self, load, host1, before):
        for name, latencies in load.latencies.items():
            print(f"{name}: {len(latencies)} answers in {SECONDS:.0f} s, "
                  + ", ".join(f"p{100 * part:g} {1000 * percentile(latencies, part):.0f} ms" for part in (0.5, 0.95, 0.99)))
        print(f"hostile: {load.hostile}")
        print(f"idle connections kept: {load.kept} of {IDLE}; a newcomer: {load.newcomer[0]} after "
              f"{1000 * load.newcomer[1]:.0f} ms")
        print(f"host1: memory at most {before} kB before, {host1['memory_max_kb']} kB after; {host1['http']}")


if __name__ == "__main__":
    main()
