"""Compares what Python whisper's scripts and graphite-web find in the files of a silverback with
what the silverback says.

usage: whisper_tools.py BINARY FOLDER_OF_SCRIPTS (see whisper-tools.sh)
"""

import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

import whisper
from graphite_web import GraphiteWeb
from node import WHISPER_CONFIG, Node, wait_until

SCHEMAS = """
[one]
pattern = ^tools\\.one\\.
retentions = 1s:1h
[two]
pattern = ^tools\\.two\\.
retentions = 1s:10m,10s:2h
[three]
pattern = ^tools\\.three\\.
retentions = 10s:1h,1m:6h,5m:7d
"""

AGGREGATION = """
[sum]
pattern = \\.sum$
xFilesFactor = 0
aggregationMethod = sum
[max]
pattern = \\.max$
xFilesFactor = 0.1
aggregationMethod = max
[rest]
pattern = .*
xFilesFactor = 0.5
aggregationMethod = average
"""

METHODS = {"average": 0.5, "sum": 0.0, "max": 0.1}
STEPS = {"one": 1, "two": 1, "three": 10}
RETENTIONS = {"one": 3600, "two": 7200, "three": 604800}
failures = []


def check(what, holds, detail=""):
    print(f"{'ok    ' if holds else 'FAILED'} {what}{f': {detail}' if detail != '' else ''}", flush=True)
    if not holds:
        failures.append(what)


class Scripts:
    """Python whisper's scripts."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def run(self, name, *arguments):
        command = [self.folder / "python", self.folder / f"whisper-{name}.py", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def fetch(self, file, from_s, until_s):
        """Known points of a file."""
        out = self.run("fetch", "--json", f"--from={from_s}", f"--until={until_s}", file)
        answer = json.loads(out)
        times = range(answer["start"], answer["end"], answer["step"])
        slots = zip(times, answer["values"])
        return {time_s: value for time_s, value in slots if value is not None}


def names():
    return [f"tools.{archives}.{method}" for archives in STEPS for method in METHODS]


def path_of(node, name):
    return node.folder / "whisper" / (name.replace(".", "/") + ".wsp")


def feed(node, seed):
    """Points with gaps, late ones and ones that are sent again; gives back how many came."""
    chance = random.Random(seed)
    now_s = int(time.time())
    points = []
    for name in names():
        step_s = STEPS[name.split(".")[1]]
        for slot in range(300):
            if chance.random() < 0.8:
                time_s = now_s - (300 - slot) * step_s + chance.randrange(step_s)
                points.append((name, round(chance.uniform(-1e3, 1e3), 3), time_s))
    chance.shuffle(points)
    # In several parts, so that files are made by the first and changed by the others.
    for part in range(0, len(points), 500):
        node.send(points[part : part + 500])
        time.sleep(0.2)
    node.send([(name, 42.0, now_s) for name in names()])
    return now_s


def is_written(node):
    """Whether every file has its last point, and so has all of them."""
    for name in names():
        file = path_of(node, name)
        if not file.exists():
            return False
        now_s = int(time.time())
        fetched = whisper.fetch(str(file), now_s - 60 * STEPS[name.split(".")[1]], now_s)
        if 42.0 not in fetched[1]:
            return False
    return True


def check_files(node, scripts, now_s):
    for name in names():
        file = path_of(node, name)
        archives, method = name.split(".")[1:]
        info = json.loads(scripts.run("info", "--json", file))
        right = (info["aggregationMethod"], round(info["xFilesFactor"], 3), info["maxRetention"])
        expected = (method, METHODS[method], RETENTIONS[archives])
        check(f"whisper-info {name}", right == expected and info["fileSize"] == file.stat().st_size, right)
        # From the finest archive to the coarsest; well inside of each, for time goes on.
        for archive in info["archives"]:
            from_s = now_s - archive["retention"] * 9 // 10
            found = scripts.fetch(file, from_s, now_s)
            told = node.fetch([name], from_s, now_s).get(name, {})
            check(f"whisper-fetch {name}, {archive['secondsPerPoint']} s", found == told and found, len(found))
        dump = scripts.run("dump", file)
        check(f"whisper-dump {name}", f"aggregation method: {method}" in dump and "Archive 0 data" in dump)


def check_changes(node, scripts, now_s):
    """Files that others make of ours, and of which ours are made."""
    ours = path_of(node, "tools.two.average")
    copy = ours.with_name("copy.wsp")
    shutil.copy(ours, copy)
    diff = json.loads(scripts.run("diff", "--json", ours, copy))
    same = all(not archive["points"] and not archive["datapoint"] for archive in diff["archives"])
    same = same and diff["archives"][0]["total"] > 200
    check("whisper-diff of a copy", same, diff if not same else "")
    wait_until("the copy is found", lambda: "tools.two.copy" in node.find("tools.two.**"))
    from_s = now_s - 500
    ours_told, copy_told = (node.fetch([name], from_s, now_s).get(name)
                            for name in ("tools.two.average", "tools.two.copy"))
    check("the copy says the same", ours_told == copy_told and ours_told)

    scripts.run("create", ours.with_name("merged.wsp"), "1s:10m", "10s:2h", "--aggregationMethod=average")
    scripts.run("merge", ours, ours.with_name("merged.wsp"))
    wait_until("the merged file is found", lambda: "tools.two.merged" in node.find("tools.two.**"))
    told = node.fetch(["tools.two.merged"], from_s, now_s).get("tools.two.merged")
    check("whisper-merge into a new file", told == ours_told)

    # Python writes to a file while the server does too.
    late_s = now_s - 30
    scripts.run("update", ours, f"{late_s}:1234.5")
    told = node.fetch(["tools.two.average"], from_s, now_s)["tools.two.average"]
    check("whisper-update shows at once", told.get(late_s) == 1234.5, told.get(late_s))
    node.send([("tools.two.average", 77.5, now_s - 31)])
    wait_until("both are there", lambda: {1234.5, 77.5} <= set(scripts.fetch(ours, from_s, now_s).values()))
    found = scripts.fetch(ours, from_s, now_s)
    check("and a point of ours beside it", found == node.fetch(["tools.two.average"], from_s, now_s)["tools.two.average"])
    check("at its time", (found[late_s], found[now_s - 31]) == (1234.5, 77.5))

    # Other archives, made by Python, while the server runs.
    scripts.run("resize", "--nobackup", ours, "1s:20m", "10s:3h")
    node.send([("tools.two.average", 78.5, now_s - 32)])
    wait_until("a point after the resize", lambda: 78.5 in scripts.fetch(ours, from_s, now_s).values())
    info = json.loads(scripts.run("info", "--json", ours))
    found = scripts.fetch(ours, from_s, now_s)
    check("whisper-resize is kept", info["maxRetention"] == 10800)
    check("and told", found == node.fetch(["tools.two.average"], from_s, now_s)["tools.two.average"], len(found))


def check_front_end(node, django_admin, now_s):
    """graphite-web on the same folder, without asking the node."""
    web = GraphiteWeb(django_admin, node.folder, whisper=node.folder / "whisper")
    try:
        for name in names():
            step_s = STEPS[name.split(".")[1]]
            from_s, until_s = now_s - 250 * step_s, now_s - step_s
            path = f"/render?target={urllib.parse.quote(name)}&from={from_s}&until={until_s}&format=json"
            answers = [json.loads(ask(path)[1]) for ask in (web.get, node.graphite)]
            points = [answer[0]["datapoints"] if answer else None for answer in answers]
            same = points[0] == points[1] and points[0]
            check(f"graphite-web on the folder, {name}", same, "" if same else points)
    finally:
        web.end()


def main():
    folder = tempfile.mkdtemp(prefix="silverback-whisper-tools-")
    (pathlib.Path(folder) / "aggregation.conf").write_text(AGGREGATION)
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    scripts = Scripts(pathlib.Path(sys.argv[2]).absolute())
    seed = int(time.time())
    print(f"seed {seed}")
    node = Node(binary, folder, WHISPER_CONFIG, SCHEMAS)
    try:
        now_s = feed(node, seed)
        wait_until("all points are in files", lambda: is_written(node))
        check_files(node, scripts, now_s)
        check_front_end(node, scripts.folder / "django-admin", now_s)
        check_changes(node, scripts, now_s)
        log = node.log()
        check("nothing is wrong in the log", "ERROR" not in log, log[-500:] if "ERROR" in log else "")
    except Exception as error:
        check("the run itself", False, repr(error))
    finally:
        node.kill()
    if failures:
        print(f"{len(failures)} checks failed; see {folder}")
        return 1
    shutil.rmtree(folder)
    print("all checks passed")
    return 0


sys.exit(main())
