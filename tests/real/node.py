"""A silverback process on free loopback ports, and clients for its two APIs."""

import json
import pathlib
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

CONFIG = """
[common]
user = ""
graph-prefix = "own"
metric-interval = "1s"
[whisper]
schemas-file = "{folder}/schemas.conf"
[tcp]
listen = "127.0.0.1:{tcp}"
[udp]
listen = "127.0.0.1:{tcp}"
[carbonserver]
enabled = true
listen = "127.0.0.1:{node_api}"
[graphite-api]
enabled = true
listen = "127.0.0.1:{graphite_api}"
[storage]
engine = "block"
path = "{folder}/data"
[block]
duration = "10s"
[[logging]]
file = "{folder}/silverback.log"
level = "info"
"""

SCHEMAS = """
[all]
pattern = .*
retentions = 1s:1d,1m:30d
"""


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_until(what, happened, seconds=30):
    """Asks again and again until `happened` says something true, and gives that back."""
    for _ in range(seconds * 10):
        result = happened()
        if result:
            return result
        time.sleep(0.1)
    raise AssertionError(f"{what}: did not happen within {seconds} s")


class Node:
    """The process; it can be killed and started again on the same folder and ports."""

    def __init__(self, binary, folder, schemas=SCHEMAS):
        self.binary = binary
        self.folder = pathlib.Path(folder)
        self.tcp, self.node_api, self.graphite_api = free_ports(3)
        text = CONFIG.format(
            folder=folder, tcp=self.tcp, node_api=self.node_api, graphite_api=self.graphite_api
        )
        (self.folder / "silverback.toml").write_text(text)
        (self.folder / "schemas.conf").write_text(schemas)
        self.start()

    def start(self):
        command = [self.binary, "-config", str(self.folder / "silverback.toml")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("data in "):
                return
        raise AssertionError(f"silverback ended with {self.process.wait()}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def log(self):
        return (self.folder / "silverback.log").read_text()

    def graphite(self, path, body=None, headers=None):
        """Status and body of a request to the Graphite API."""
        return request(f"http://127.0.0.1:{self.graphite_api}{path}", body, headers)

    def find(self, query):
        """Every leaf below a pattern of one level or more, with `**` for all levels."""
        status, body = self.graphite("/metrics/index.json")
        assert status == 200, (status, body)
        prefix = query.removesuffix("**")
        return sorted(name for name in json.loads(body) if name.startswith(prefix))

    def fetch(self, names, from_s, until_s):
        """Known points by series: {name: {time_s: value}}, over the node API's protobuf."""
        message = b"".join(
            field(1, field(1, name.encode()) + number(2, from_s) + number(3, until_s))
            for name in names
        )
        url = f"http://127.0.0.1:{self.node_api}/render/?format=carbonapi_v3_pb"
        status, body = request(url, message, {"Content-Type": "application/octet-stream"})
        if status == 404:
            return {}
        assert status == 200, (status, body)
        return dict(fetched(bytes(series)) for key, series in fields(body) if key == 1)


def request(url, body=None, headers=None):
    asked = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(key, value):
    return varint(key << 3) + varint(value)


def field(key, value):
    return varint(key << 3 | 2) + varint(len(value)) + value


def fields(message):
    """Keys and values of a protobuf message."""
    at = 0

    def take_varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = take_varint()
        key, kind = tag >> 3, tag & 7
        if kind == 0:
            yield key, take_varint()
            continue
        size = {1: 8, 2: None, 5: 4}[kind]
        if size is None:
            size = take_varint()
        yield key, message[at : at + size]
        at += size


def fetched(message):
    """Name and known points of a FetchResponse."""
    name, start_s, step_s, values = "", 0, 1, []
    for key, value in fields(message):
        if key == 1:
            name = value.decode()
        elif key == 4:
            start_s = value
        elif key == 6:
            step_s = value
        elif key == 9:
            values += [one for (one,) in struct.iter_unpack("<d", value)]
    slots = ((start_s + at * step_s, value) for at, value in enumerate(values))
    return name, {time_s: value for time_s, value in slots if value == value}
