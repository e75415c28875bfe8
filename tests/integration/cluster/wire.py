"""A client's requests written by hand (proto/bftnode/wire.proto), to send what the client library never would."""
import hashlib
import struct
import subprocess
import tempfile


def varint(value):
    out = bytearray()
    while value > 0x7f:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def data(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def digest(tag, *parts):
    """base/sha256.hpp: numbers are (value, bytes), byte strings carry their length, digests do not."""
    text = tag.encode()
    out = struct.pack(">Q", len(text)) + text
    return hashlib.sha256(out + b"".join(parts)).digest()


def u64(value):
    return struct.pack(">Q", value)


def call(procedure, *integers):
    """catalog/value.hpp: the encoding of a call whose arguments are integers."""
    name = procedure.encode()
    out = b"\x01" + struct.pack(">I", len(name)) + name + struct.pack(">H", len(integers))
    return out + b"".join(b"\x01" + struct.pack(">q", value) for value in integers)


def sign(key_file, message):
    with tempfile.NamedTemporaryFile() as file:
        file.write(message)
        file.flush()
        return subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key_file, "-rawin", "-in", file.name],
                              capture_output=True, check=True).stdout


def request(key_file, cluster, client, cseq, partitions, operation, signed_by=None):
    """A Request of its own bundle; `signed_by` is another key file for a signature that is not this client's."""
    raw = (number(1, client) + number(2, partitions[0]) + number(3, cseq) + number(4, cseq) +
           data(5, b"".join(varint(p) for p in partitions)) + data(7, operation))
    leaf = digest("mk-leaf", digest("req", u64(len(raw)), raw))
    root = digest("mk-root", u64(1), leaf)
    bundle = digest("bundle", bytes.fromhex(cluster), u64(client), root)
    return data(1, raw) + number(3, 1) + data(5, sign(signed_by or key_file, bundle))


ROLES = {"primary": 1, "replica": 2, "client": 4}


def endpoint(role, group=0, index=0, client=0):
    return number(1, ROLES[role]) + number(2, group) + number(3, index) + number(4, client)


def frame(client, to, body):
    content = data(1, endpoint("client", client=client)) + data(2, to) + data(10, body)
    return struct.pack(">I", len(content)) + content


REPLY, REJECTED = 22, 23
REASONS = {1: "malformed", 2: "unknown_partition", 3: "unknown_procedure", 4: "bad_arguments", 5: "wrong_partitions",
           6: "bad_signature", 7: "over_quota", 8: "stale", 9: "not_a_client"}


def fields(message):
    """{field: value} of a message without repeated fields; enough for answers."""
    out, at = {}, 0

    def read():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = read()
        if key & 7 == 0:
            out[key >> 3] = read()
        else:
            size = read()
            out[key >> 3] = message[at:at + size]
            at += size
    return out


def read_frame(stream):
    """The next frame's fields; frames without content are signs of life."""
    def exactly(count):
        out = b""
        while len(out) < count:
            got = stream.recv(count - len(out))
            if not got:
                raise ConnectionError("closed by the other side")
            out += got
        return out

    while True:
        size, = struct.unpack(">I", exactly(4))
        if size:
            return fields(exactly(size))
