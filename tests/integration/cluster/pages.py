"""Changes a row in an InnoDB file behind the server's back, so that the page's checksum still holds: as hardware that
lies, or somebody with access to the disk. For tests; the server must be down, after an orderly stop."""
import struct

PAGE = 16 * 1024


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc32c_table()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xff] ^ crc >> 8
    return crc ^ 0xffffffff


def replace_in_pages(file, old, new):
    """Replaces `old` by `new` (of one length) in every page of an .ibd file. Returns how many pages that changed.

    Files of full_crc32 (the default since MariaDB 10.5) end each page with CRC-32C of all that comes before.
    """
    assert len(old) == len(new) and old != new
    data = bytearray(file.read_bytes())
    changed = 0
    for begin in range(0, len(data), PAGE):
        page = bytes(data[begin:begin + PAGE])
        if old not in page:
            continue
        if struct.unpack(">I", page[-4:])[0] != crc32c(page[:-4]):
            raise AssertionError(f"page {begin // PAGE} of {file} has no full_crc32 checksum")
        body = page.replace(old, new)[:-4]
        data[begin:begin + PAGE] = body + struct.pack(">I", crc32c(body))
        changed += 1
    file.write_bytes(data)
    return changed
