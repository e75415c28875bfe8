#!/usr/bin/env python3
"""Catalogue E on real processes: clients that are slow, deaf, many, or greedy; the others do not notice."""
import itertools
import re
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import unittest

import harness


class BadClients(harness.UnderLoad):
    options = {"groups": 2, "partitions": 2, "clients": "flood"}

    def address(self, host):
        text = (self.cluster.dir / "clients" / "flood" / "client.toml").read_text()
        name, port = re.search(rf"""name = ['"]{host}['"]\s+address = ['"]([^'"]+):(\d+)""", text).groups()
        return name, int(port)

    def links(self):
        return {host: document["network"] for host, document in self.cluster.documents().items()}

    def connect(self, host):
        stream = socket.create_connection(self.address(host), timeout=harness.PATIENCE)
        self.addCleanup(stream.close)
        return stream

    def test_e7_connections_that_say_nothing_or_one_byte_at_a_time(self):
        """E7: slow-loris. Their connections are closed after a while; peers and clients keep theirs."""
        before = self.requests_flow(more=200)
        streams = [self.connect(host) for host in ("host1", "primary1") for _ in range(150)]
        timeouts = {host: links["timeouts"] for host, links in self.links().items()}
        # A TLS record that never ends, fed for as long as somebody listens.
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)
        closed = 0

        seconds = 0.0
        for byte in itertools.cycle(hello):
            for stream in list(streams):
                try:
                    stream.send(bytes([byte]))
                except OSError:
                    streams.remove(stream)
                    closed += 1
            if not streams:
                break
            seconds = max(seconds, self.requests_flow(more=50))
        print(f"    {closed} connections closed; 200 transactions took {before:.1f} s before, 50 took {seconds:.1f} s "
              "at worst meanwhile", flush=True)
        for host in ("host1", "primary1"):
            self.assertGreater(self.links()[host]["timeouts"], timeouts[host])
        self.all_is_well()

    def test_e7_a_client_that_never_reads(self):
        """E7: as a client with a good key that takes no answer; its own connection suffers, nobody else's."""
        key = self.cluster.dir / "clients" / "flood" / "client.key"
        certificate = self.cluster.dir / "certificate.pem"
        harness.run("openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=x", "-days", 1, "-out", certificate,
                    check=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_alpn_protocols(["bftnode/1"])
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(certificate, key)
        streams = [context.wrap_socket(self.connect(host)) for host in ("host1", "host2", "host3") for _ in range(8)]
        for stream in streams:
            stream.sendall(struct.pack(">I", 0))
        self.requests_flow(more=200)
        for stream in streams:
            stream.close()
        self.all_is_well()

    def test_e12_a_flood(self):
        """E12: one client has a thousand requests under way all the time. It slows the others down, since the databases work
        on what was ordered before; it starves nobody: nobody waits longer than it does itself."""
        before = self.medians(self.cluster.driver_log)
        log = self.cluster.dir / "flood.log"
        with open(log, "w") as out:
            flood = subprocess.Popen(
                [harness.TPCC / "tpcc_drive", "--config", self.cluster.dir / "clients" / "flood", "--warehouses", "2",
                 "--scale", "0.01", "--clients", "1000", "--seconds", "3600", "--drain", "120",
                 "--record", self.cluster.dir / "acknowledged.flood"], stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.addCleanup(flood.wait)
        self.addCleanup(flood.kill)
        # The first answers found short queues.
        harness.wait_until(lambda: len(self.progress(log)) >= 5, "the flood has begun")
        theirs, ours = self.medians(log), self.medians(self.cluster.driver_log)
        flood.send_signal(signal.SIGINT)
        self.assertEqual(flood.wait(timeout=2 * harness.PATIENCE), 0, log.read_text()[-2000:])
        print(f"    p50 {before:.0f} ms alone, {ours:.0f} ms beside a flood that waits {theirs:.0f} ms", flush=True)
        self.assertLess(ours, 2 * theirs)
        self.all_is_well()

    @staticmethod
    def progress(log):
        """(rate, p50 in ms) of each second in which a driver had answers."""
        lines = re.findall(r"(\d+) txn/s +p50 +([0-9.]+) ms", log.read_text(errors="replace"))
        return [(int(rate), float(p50)) for rate, p50 in lines if int(rate) > 0]

    def medians(self, log):
        """The median p50 of the next five such seconds."""
        begin = len(self.progress(log))
        found = harness.wait_until(lambda: self.progress(log)[begin + 1:] if len(self.progress(log)) >= begin + 6 else None,
                                   f"progress in {log}")
        return statistics.median(p50 for _, p50 in found)


if __name__ == "__main__":
    harness.main()
