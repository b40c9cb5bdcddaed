"""Hands one folder of whisper files from a silverback to a go-carbon and back.

usage: go_carbon.py SILVERBACK GO_CARBON (see go-carbon.sh)
"""

import hashlib
import json
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from node import WHISPER_CONFIG, Node, fetch, free_ports, wait_until

SCHEMAS = """
[packed]
pattern = ^real\\.packed\\.
retentions = 1s:30m,10s:2h,1m:1d
compressed = true
[all]
pattern = .*
retentions = 1s:30m,10s:2h,1m:1d
"""

AGGREGATION = """
[sum]
pattern = \\.sum
xFilesFactor = 0
aggregationMethod = sum
[last]
pattern = \\.last
xFilesFactor = 0.2
aggregationMethod = last
[rest]
pattern = .*
xFilesFactor = 0.5
aggregationMethod = average
"""

# Seconds back in time, each well inside of another archive, and its step.
WINDOWS_S = {500: 1, 6000: 10, 70000: 60}
NAMES = [f"real.{kind}.{method}" for kind in ("plain", "packed") for method in ("average", "sum", "last")]
TAGGED = ["real.tagged;a=1;b=2", "real.sum;host=one.two"]
failures = []


def check(what, holds, detail=""):
    print(f"{'ok    ' if holds else 'FAILED'} {what}{f': {detail}' if detail != '' else ''}", flush=True)
    if not holds:
        failures.append(what)


def path_of(name):
    """Of a series' file, in the folder."""
    if ";" in name:
        digest = hashlib.sha256(name.encode()).hexdigest()
        return f"_tagged/{digest[:3]}/{digest[3:6]}/{digest}.wsp"
    return name.replace(".", "/") + ".wsp"


def name_by_path(name):
    """What go-carbon finds a file by: series with tags have no other name there."""
    return path_of(name).removesuffix(".wsp").replace("/", ".")


class GoCarbon:
    """The process, on the folder and with the configuration of a node, but for ports."""

    def __init__(self, binary, node):
        self.tcp, self.node_api, spare = free_ports(3)
        text = WHISPER_CONFIG.format(
            folder=node.folder, tcp=self.tcp, node_api=self.node_api, graphite_api=spare
        )
        text = text.replace("silverback.log", "go-carbon.log")
        # Names of tagged series would go to another program.
        text = text.replace("[tags]\n", f'[tags]\nlocal-dir = "{node.folder}/tagging"\n')
        file = node.folder / "go-carbon.toml"
        file.write_text(text)
        self.process = subprocess.Popen([binary, "-config", str(file)])
        wait_until("go-carbon listens", lambda: self.is_open(self.tcp) and self.is_open(self.node_api))

    def is_open(self, port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def send(self, points):
        Node.send(self, points)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)


def points_of(chance, first_s, count):
    """Some points of each series, shuffled, some of them late by a little."""
    points = []
    for name in NAMES + TAGGED:
        times = [first_s + at for at in range(count) if chance.random() < 0.9]
        points += [(name, round(chance.uniform(-1e3, 1e3), 2), time_s) for time_s in times]
    # In order by time, as senders are, but for neighbours.
    points.sort(key=lambda point: point[2] + chance.randrange(2))
    return points


def feed(server, points):
    for part in range(0, len(points), 400):
        server.send(points[part : part + 400])
        time.sleep(0.1)


class Folder:
    """What Silverback's own command finds in the files, whoever serves them."""

    def __init__(self, binary, node):
        self.binary, self.folder = binary, node.folder / "whisper"

    def known(self, name, from_s, until_s):
        file = self.folder / path_of(name)
        if not file.exists():
            return {}
        command = [self.binary, "whisper", "fetch", "--json", f"--from={from_s}", f"--until={until_s}", file]
        answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        slots = zip(range(answer["start"], answer["end"], answer["step"]), answer["values"])
        return {time_s: value for time_s, value in slots if value is not None}

    def wait_for(self, points):
        """Until all of them are in files."""
        expected = {}
        for name, value, time_s in points:
            expected.setdefault(name, {})[time_s] = value
        from_s = min(time_s for _, _, time_s in points) - 1

        def all_there():
            until_s = int(time.time())
            return all(
                self.known(name, from_s, until_s).items() >= wanted.items()
                for name, wanted in expected.items()
            )

        wait_until("points are in their files", all_there)


def answers(port, name_of, until_s):
    """What a program says of every series in every archive."""
    found = {}
    for name in NAMES + TAGGED:
        for window_s in WINDOWS_S:
            asked = name_of(name)
            told = fetch(port, [asked], until_s - window_s, until_s)
            found[name, window_s] = told.get(asked, {})
    return found


def settled(points, name, window_s, until_s):
    """Without the newest points of coarser archives of compressed files: until its finer points
    are no longer in the buffer of the file, go-carbon makes up such a point without regard to
    xFilesFactor, or does not see it (docs/format/cwhisper.md)."""
    step_s = WINDOWS_S[window_s]
    limit_s = until_s - 4 * step_s if step_s > 1 and "packed" in name else until_s
    return {time_s: value for time_s, value in points.items() if time_s <= limit_s}


def is_near(left, right):
    """The same times; sums of the same values in another order may differ in the last bits."""
    return left.keys() == right.keys() and all(
        abs(value - right[time_s]) <= 1e-12 * abs(value) for time_s, value in left.items()
    )


def compare(what, left, right, until_s, least):
    for name, window_s in left:
        one, other = (settled(told[name, window_s], name, window_s, until_s) for told in (left, right))
        same = is_near(one, other)
        detail = len(one)
        if not same:
            times = sorted(set(one) | set(other))
            differing = [(t, one.get(t), other.get(t)) for t in times]
            detail = [d for d in differing if d[1] != d[2]][:5]
        enough = len(one) >= least / WINDOWS_S[window_s] * 0.8
        check(f"{what}, {name}, last {window_s} s", same and enough, detail)


def main():
    silverback, go_carbon = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
    folder = tempfile.mkdtemp(prefix="silverback-go-carbon-")
    (pathlib.Path(folder) / "aggregation.conf").write_text(AGGREGATION)
    seed = int(time.time())
    print(f"seed {seed}")
    chance = random.Random(seed)
    node = Node(silverback, folder, WHISPER_CONFIG, SCHEMAS)
    files = Folder(silverback, node)
    peer = None
    try:
        first_s = int(time.time()) - 1200
        written = points_of(chance, first_s, 600)
        feed(node, written)
        files.wait_for(written)
        until_s = first_s + 600
        before = answers(node.node_api, str, until_s)
        check("end code of silverback", node.stop() == 0)

        peer = GoCarbon(go_carbon, node)
        wait_until("go-carbon has its index", lambda: fetch(peer.node_api, [NAMES[0]], first_s, until_s))
        told = answers(peer.node_api, name_by_path, until_s)
        compare("go-carbon after silverback", before, told, until_s, 300)

        written = points_of(chance, first_s + 600, 300)
        feed(peer, written)
        files.wait_for(written)
        until_s = first_s + 900
        before = answers(peer.node_api, name_by_path, until_s)
        peer.stop()

        node.start()
        wait_until("the walk", lambda: node.find("**"))
        compare("silverback after go-carbon", before, answers(node.node_api, str, until_s), until_s, 300)
        written = points_of(chance, first_s + 900, 200)
        feed(node, written)
        last = {name: value for name, value, time_s in sorted(written, key=lambda point: point[2])}
        wait_until("the last points", lambda: all(
            value in node.fetch([name], first_s, first_s + 1100)[name].values()
            for name, value in last.items()
        ))
        until_s = first_s + 1100
        before = answers(node.node_api, str, until_s)
        # A stop brings into files what is not there yet.
        node.stop()
        peer = GoCarbon(go_carbon, node)
        wait_until("go-carbon has its index", lambda: fetch(peer.node_api, [NAMES[0]], first_s, until_s))
        told = answers(peer.node_api, name_by_path, until_s)
        compare("go-carbon after both", before, told, until_s, 300)
        sparse = files.folder / path_of("real.plain.average")
        status = sparse.stat()
        check("sparse files stay sparse", status.st_blocks * 512 < status.st_size, status.st_blocks * 512)
    except Exception as error:
        check("the run itself", False, repr(error))
    finally:
        node.kill()
        if peer is not None:
            peer.process.kill()
    if failures:
        print(f"{len(failures)} checks failed; see {folder}")
        return 1
    shutil.rmtree(folder)
    print("all checks passed")
    return 0


sys.exit(main())
