"""The network between the hosts of a cluster, for tests: every connection between two hosts, and between a client
and a host, passes through this process, which can cut it, delay it, make it narrow, break it or forget it.

Nodes know each other by key, so a node that is told another address notices nothing. What is asked for holds for
all bytes from one end to another, whoever of the two dialled the connection that carries them.

The ends' names are those of hosts, and of clients ("bench").
"""
import asyncio
import itertools
import re
import socket
import struct
import threading

CHUNK = 16 * 1024
# Chunks that wait in one direction of one connection, beside the kernel's buffers.
CHUNKS_MAX = 32


class Way:
    """What happens to bytes from one end to another."""

    def __init__(self, loop):
        self.loop = loop
        self.open = asyncio.Event()
        self.open.set()
        self.delay = 0.0
        self.rate = None
        self.free_at = 0.0
        self.bytes = 0

    async def pass_through(self, size, came_at):
        """Returns when these bytes have arrived at the other end."""
        await self.open.wait()
        due = came_at + self.delay
        if self.rate:
            self.free_at = max(self.loop.time(), self.free_at) + size / self.rate
            due = max(due, self.free_at)
        wait = due - self.loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
            await self.open.wait()
        self.bytes += size


class Connection:
    """A TCP connection in two halves."""

    def __init__(self, network, dialler, target):
        self.network, self.dialler, self.target = network, dialler, target
        self.forgotten = False
        self.writers = []
        self.tasks = []

    async def run(self, reader, writer, port):
        self.writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return self.reset()
        self.writers.append(far_writer)
        self.tasks = [asyncio.ensure_future(coroutine) for coroutine in (
            self.carry(reader, far_writer, self.network.ways[self.dialler, self.target]),
            self.carry(far_reader, writer, self.network.ways[self.target, self.dialler]))]
        await asyncio.wait(self.tasks, return_when=asyncio.FIRST_COMPLETED)
        if self.forgotten:
            await asyncio.wait(self.tasks)
        return self.close()

    async def carry(self, reader, writer, way):
        chunks = asyncio.Queue(CHUNKS_MAX)
        sender = asyncio.ensure_future(self.send(chunks, writer, way))
        try:
            await self.take(reader, chunks, way)
            await chunks.put((way.loop.time(), b""))
            await sender
        finally:
            sender.cancel()

    @staticmethod
    async def take(reader, chunks, way):
        try:
            while data := await reader.read(CHUNK):
                await chunks.put((way.loop.time(), data))
        except OSError:
            pass  # a reset ends it as well

    async def send(self, chunks, writer, way):
        """Until the end of what came, which must not arrive before what came earlier."""
        while True:
            came_at, data = await chunks.get()
            await way.pass_through(len(data), came_at)
            if not data:
                return
            if self.forgotten:
                continue
            try:
                writer.write(data)
                await writer.drain()
            except OSError:
                return self.close()

    def close(self):
        for task in self.tasks:
            task.cancel()
        for writer in self.writers:
            writer.close()
        self.network.connections.discard(self)

    def reset(self, half=None):
        """RST to both ends, or to one only (0: who dialled): the other one learns nothing."""
        if half is not None:
            self.forgotten = True
        for number, writer in enumerate(self.writers):
            if half is None or number == half:
                sock = writer.get_extra_info("socket")
                if sock is not None and sock.fileno() >= 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
        if half is None:
            self.close()


class Network:
    """Context manager, for a cluster that is made and not started. Its methods may be called from any thread."""

    def __init__(self, cluster, clients=("bench",)):
        self.cluster, self.clients = cluster, clients
        self.ways, self.connections = {}, set()
        self.loop = asyncio.new_event_loop()
        self.servers = []
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.hosts = self.cluster.hosts()
        self.ends = [*self.hosts, *self.clients]
        self.thread.start()
        self.do(self.open())
        return self

    def __exit__(self, *_):
        self.do(self.shut())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout=30)

    async def open(self):
        addresses = {}
        for end in self.ends:
            file = self.file_of(end)
            text = file.read_text()
            for host in self.hosts:
                pattern = rf"""(name = ['"]{host}['"]\s+address = ['"])127\.0\.0\.1:(\d+)"""
                port = addresses.setdefault(host, int(re.search(pattern, text).group(2)))
                if host == end:
                    continue
                through = await self.listen(end, host, port)
                text = re.sub(pattern, rf"\g<1>127.0.0.1:{through}", text)
            file.write_text(text)

    def file_of(self, end):
        if end in self.clients:
            return self.cluster.dir / "clients" / end / "client.toml"
        return self.cluster.dir / "hosts" / end / "cluster.toml"

    async def listen(self, source, target, port):
        for way in ((source, target), (target, source)):
            self.ways.setdefault(way, Way(self.loop))

        async def accepted(reader, writer):
            connection = Connection(self, source, target)
            self.connections.add(connection)
            await connection.run(reader, writer, port)

        server = await asyncio.start_server(accepted, "127.0.0.1", 0)
        self.servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def shut(self):
        for server in self.servers:
            server.close()
        for connection in list(self.connections):
            connection.reset()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    # --- what can happen ---

    def change(self, ways, action):
        async def on_loop():
            for way in ways:
                if way in self.ways:
                    action(self.ways[way])
        self.do(on_loop())

    def all_ways(self):
        return list(self.ways)

    @staticmethod
    def both(pairs):
        return [way for a, b in pairs for way in ((a, b), (b, a))]

    def cut_one_way(self, *ways):
        """Nothing gets from `a` to `b` any more, as if every packet were lost: what is sent waits."""
        self.change(ways, lambda way: way.open.clear())

    def mend(self, *ways):
        self.change(ways, lambda way: way.open.set())

    def cut(self, *pairs):
        self.cut_one_way(*self.both(pairs))

    def split(self, *sides):
        """Sides that cannot reach each other; who is on none of them is reached by all."""
        self.cut(*[(a, b) for one, other in itertools.combinations(sides, 2) for a in one for b in other])

    def shape(self, ways=None, delay=0.0, rate=None):
        """Seconds on the way, and bytes in a second, of each way."""
        def set_to(way):
            way.delay, way.rate, way.free_at = delay, rate, 0.0
        self.change(ways or self.all_ways(), set_to)

    def heal(self):
        """All is well again, also for connections that were cut."""
        self.mend(*self.all_ways())
        self.shape()

    def among(self, pairs):
        wanted = None if pairs is None else {frozenset(pair) for pair in pairs}
        return [c for c in self.connections
                if not c.forgotten and (wanted is None or frozenset((c.dialler, c.target)) in wanted)]

    def reset(self, pairs=None, half=None):
        """RST on all connections (of these pairs). `half`: see Connection.reset. Returns how many there were."""
        async def on_loop():
            hit = self.among(pairs)
            for connection in hit:
                connection.reset(half)
            return len(hit)
        return self.do(on_loop())

    def forget(self, pairs=None):
        """As a NAT does that has lost its table: what is sent on these connections is lost, nobody is told, and new
        connections work."""
        async def on_loop():
            hit = self.among(pairs)
            for connection in hit:
                connection.forgotten = True
            return len(hit)
        return self.do(on_loop())
