"""What really went over a wire: tcpdump's packets, and what is in them."""

import os
import signal
import struct

from lab.shell import wait_for

_TLS_HANDSHAKE = 22
_SERVER_HELLO = 2
_SUPPORTED_VERSIONS = 43


class Capture:
    """Records TCP packets on an interface of a namespace from start() to stop()."""

    def __init__(self, namespace, interface, path, packet_filter="tcp"):
        self._namespace = namespace
        self._interface = interface
        self._filter = packet_filter
        self._path = path
        self._process = None

    def start(self):
        self._process = self._namespace.start(
            f"tcpdump-{os.path.basename(self._path)}",
            ["tcpdump", "-i", self._interface, "-n", "-U", "--immediate-mode", "-s", "0", "-Z", "root",
             "-B", "16384", "-w", self._path, self._filter])
        wait_for(lambda: self._process.check_running() and "listening on" in self._process.log(),
                 f"tcpdump on {self._interface} of {self._namespace.name}")
        return self

    def stop(self):
        """Ends the recording; raises if packets were lost, since absence would then prove nothing."""
        # It ends at once when asked to, whatever it has not taken from the kernel yet: only one that
        # sleeps has taken all.
        wait_for(self._process.sleeping, f"{self._process.name} to have read all packets")
        self._process.signal(signal.SIGINT)
        self._process.wait()
        log = self._process.log()
        if "0 packets dropped by kernel" not in log:
            raise RuntimeError(f"tcpdump lost packets:\n{log}")
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def streams(self):
        """Bytes sent in each direction of each connection: {(source, port, destination, port): bytes}."""
        segments = {}
        for packet in _packets(self._path):
            parsed = _tcp_segment(packet)
            if parsed:
                key, sequence, syn, payload = parsed
                segments.setdefault(key, []).append((sequence, syn, payload))
        return {key: _in_order(parts) for key, parts in segments.items()}

    def contains(self, marker):
        """Whether any stream has the bytes of the marker."""
        return any(marker in stream for stream in self.streams().values())

    def tls_versions(self):
        """The versions that servers chose, one for each connection that began inside the recording."""
        return [version for version in map(_server_hello_version, self.streams().values()) if version]


def _packets(path):
    """Link type and bytes of each packet of a pcap file (not pcapng), microsecond or nanosecond."""
    with open(path, "rb") as file:
        content = file.read()
    if len(content) < 24:
        return
    order = "<" if content[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link_type = struct.unpack(order + "I", content[20:24])[0]
    at = 24
    while at + 16 <= len(content):
        captured, = struct.unpack(order + "I", content[at + 8:at + 12])
        yield link_type, content[at + 16:at + 16 + captured]
        at += 16 + captured


def _tcp_segment(packet):
    """((source, port, destination, port), sequence, whether SYN, payload), or None if it is not TCP."""
    link_type, data = packet
    if link_type == 1:  # Ethernet
        ether_type, data = data[12:14], data[14:]
    elif link_type == 276:  # Linux "any", version 2
        ether_type, data = data[0:2], data[20:]
    else:
        raise ValueError(f"pcap link type {link_type}")
    if ether_type == b"\x08\x00":
        header = (data[0] & 15) * 4
        if data[9] != 6:
            return None
        length = struct.unpack("!H", data[2:4])[0]
        source, destination = data[12:16], data[16:20]
        data = data[header:length]
    elif ether_type == b"\x86\xdd":
        if data[6] != 6:
            return None
        length = struct.unpack("!H", data[4:6])[0]
        source, destination = data[8:24], data[24:40]
        data = data[40:40 + length]
    else:
        return None
    source_port, destination_port, sequence = struct.unpack("!HHI", data[:8])
    return ((source, source_port, destination, destination_port), sequence, bool(data[13] & 2),
            data[(data[12] >> 4) * 4:])


def _in_order(parts):
    """A stream's bytes from its segments, each once; relative to the first sequence number seen."""
    start = next((sequence + 1 for sequence, syn, _ in parts if syn), None)
    if start is None:
        start = min(sequence for sequence, _, _ in parts)
    # Sequence numbers are 32 bits and wrap.
    placed = sorted(((sequence - start) % 2**32, payload) for sequence, _, payload in parts if payload)
    stream = bytearray()
    for at, payload in placed:
        if at >= 2**31:
            continue
        if at > len(stream):
            stream.extend(b"\0" * (at - len(stream)))
        stream[at:at + len(payload)] = payload
    return bytes(stream)


def _server_hello_version(stream):
    """The version in a ServerHello at the start of a stream ("TLSv1.3"), or None if none is there."""
    if len(stream) < 44 or stream[0] != _TLS_HANDSHAKE or stream[5] != _SERVER_HELLO:
        return None
    names = {0x0301: "TLSv1.0", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}
    version = struct.unpack("!H", stream[9:11])[0]
    at = 11 + 32  # random
    at += 1 + stream[at]  # session id
    at += 2 + 1  # cipher suite, compression
    end = at + 2 + struct.unpack("!H", stream[at:at + 2])[0]
    at += 2
    while at + 4 <= end:
        kind, length = struct.unpack("!HH", stream[at:at + 4])
        if kind == _SUPPORTED_VERSIONS:
            version = struct.unpack("!H", stream[at + 4:at + 6])[0]
        at += 4 + length
    return names.get(version, hex(version))
