"""Random expressions: graphite-web over whisper files beside a silverback with the same points.

usage: graphite_web_differential.py [--seed N] [--count N] BINARY DJANGO_ADMIN
       (see graphite-web-differential.sh)

Expressions are made from graphite-web's own functions with arguments of the types that
`/functions` lists. A difference counts as known when it is explained by a quirk of
graphite-web that docs/compatibility.md lists; the rules are in QUIRKS.
"""

import argparse
import collections
import json
import math
import pathlib
import random
import re
import shutil
import socket
import sys
import tempfile
import time
import urllib.parse

import whisper
from graphite_web import GraphiteWeb
from node import Node, wait_until

VECTORS = pathlib.Path(__file__).parent.parent / "vectors" / "render"

SCHEMAS = """
[fine]
pattern = ^fine\\.
retentions = 10s:15d
[coarse]
pattern = ^coarse\\.
retentions = 5m:15d
[all]
pattern = .*
retentions = 1m:15d
"""

HOURS = 8

# What stands where a series list is wanted.
PATHS = [
    "servers.web1.cpu.user",
    "servers.web2.cpu.user",
    "servers.web*.cpu.user",
    "servers.*.cpu.{user,system}",
    "servers.*.cpu.*",
    "servers.web?.load",
    "servers.db-[0-9].load",
    "counters.*",
    "sparse.*",
    "sparse.a",
    "signed.*",
    "flat.*",
    "missing.such",
]
MIXED_PATHS = ["fine.a", "coarse.*", "{fine,coarse}.a", "*.a"]

TEXTS = {
    ("applyByNode", "templateFunction"): ["sumSeries(%.cpu.*)", "scale(%.load,2)", "%.cpu.user"],
    ("applyByNode", "newName"): ["%.sum", "n"],
    ("reduceSeries", "reduceFunction"): ["asPercent", "divideSeries", "sumSeries", "diffSeries"],
    ("reduceSeries", "reduceMatchers"): ["user", "system"],
    ("integralByInterval", "intervalUnit"): ["1h", "10min", "1d"],
    ("smartSummarize", "alignTo"): ["minutes", "hours", "days", "weeks", "months"],
    ("exclude", "pattern"): ["web1", "user$", "^servers", "[", "(web|db)"],
    ("grep", "pattern"): ["web1", "user$", "^servers", "a.*b", "(web|db)"],
    ("useSeriesAbove", "search"): ["user"],
    ("useSeriesAbove", "replace"): ["system"],
    ("alias", "newName"): ["x", "x y", "a.b.c", "f(x)", "é"],
    ("aliasQuery", "search"): ["user"],
    ("aliasQuery", "replace"): ["system"],
    ("aliasQuery", "newName"): ["value %d", "%g units", "%.1f"],
    ("aliasSub", "search"): ["(^.*$)", "web(.)", "^[^.]*\\.", "e", "x*"],
    ("aliasSub", "replace"): ["\\1 A", "", "_", "\\g<0>!"],
    ("legendValue", "valuesTypes"): ["last", "avg", "max", "min", "total", "si", "binary", "none"],
    ("color", "theColor"): ["red", "00ff00"],
    ("stacked", "stack"): ["s"],
    ("threshold", "label"): ["line"],
    ("threshold", "color"): ["blue"],
    ("verticalLine", "label"): ["mark"],
    ("verticalLine", "color"): ["blue"],
    ("cactiStyle", "units"): ["b", "ms"],
    ("consolidateBy", "consolidationFunc"): ["sum", "average", "min", "max", "first", "last"],
    ("seriesByTag", "tagExpressions"): ["name=none"],
}
for alias, name in (("reduce", "reduceSeries"),):
    for (function, parameter), texts in list(TEXTS.items()):
        if function == name:
            TEXTS[alias, parameter] = texts

# Random, of this server only, or without a twin here: events and tags have no points.
LEFT_OUT = {"randomWalk", "randomWalkFunction", "events", "seriesByTag", "identity", "mapSeries", "map"}

HOLT_WINTERS = [
    "holtWintersAberration",
    "holtWintersConfidenceArea",
    "holtWintersConfidenceBands",
    "holtWintersForecast",
]

AGGREGATIONS = [
    "average", "avg", "avg_zero", "count", "current", "diff", "last", "max", "median", "min",
    "multiply", "range", "rangeOf", "stddev", "sum", "total",
]
CALLBACKS = ["sum", "avg", "max", "minSeries", "averageSeries", "countSeries", "diffSeries", "rangeOf"]


def text_of(value):
    return f'"{value}"' if "'" in value else f"'{value}'"


class Maker:
    """Makes random expressions."""

    def __init__(self, seed, functions, until_s):
        self.random = random.Random(seed)
        self.functions = functions
        self.names = sorted(set(functions) - LEFT_OUT)
        self.until_s = until_s

    def expression(self, depth=3):
        if depth == 0 or self.random.random() < 0.25:
            return self.random.choice(MIXED_PATHS if self.random.random() < 0.05 else PATHS)
        return self.call(self.random.choice(self.names), depth - 1)

    def call(self, name, depth):
        arguments, keywords = [], False
        for parameter in self.functions[name]["params"]:
            if not parameter.get("required") and self.random.random() < 0.5:
                if parameter.get("multiple"):
                    break
                keywords = True
                continue
            times = self.random.randint(1, 3) if parameter.get("multiple") else 1
            for _ in range(times):
                argument = self.argument(name, parameter, depth)
                if keywords and (parameter.get("multiple") or "eries" in parameter["type"]):
                    break
                arguments.append(f"{parameter['name']}={argument}" if keywords else argument)
        separator = self.random.choice([",", ", "])
        if arguments and self.random.random() < 0.1 and "=" not in arguments[0]:
            rest = separator.join(arguments[1:])
            is_series = "eries" in self.functions[name]["params"][0]["type"]
            if is_series and "=" not in rest:
                return f"{arguments[0]}|{name}({rest})"
        return f"{name}({separator.join(arguments)})"

    def argument(self, function, parameter, depth):
        choose, kind = self.random.choice, parameter["type"]
        if parameter.get("options"):
            if kind not in ("aggFunc", "aggOrSeriesFunc"):
                return text_of(str(choose(parameter["options"])))
        if function in HOLT_WINTERS and kind == "interval":
            return text_of(choose(["30min", "1h", "20min"]))
        if kind in ("seriesList", "seriesLists"):
            if kind == "seriesLists":
                return f"mapSeries({choose(PATHS[3:5])},1)"
            return self.expression(depth)
        if kind == "aggFunc":
            return text_of(choose(AGGREGATIONS))
        if kind == "aggOrSeriesFunc":
            return text_of(choose(CALLBACKS))
        if kind == "boolean":
            return choose(["true", "false", "True"])
        if kind == "float" and "Percentile" in function or function == "percentileOfSeries":
            return choose(["1", "25.5", "50", "95", "99.9", "100"])
        if kind == "float":
            return choose(["0.5", "1", "2", "10", "-3", "50", "95", "25.5", "1e3"])
        if kind == "integer" and function == "log":
            return choose(["2", "3", "10"])
        if kind == "integer":
            return choose(["1", "2", "3", "5", "10"])
        if function == "applyByNode" and kind == "node":
            return choose(["0", "1"])
        if kind in ("node", "nodeOrTag", "tag"):
            if kind == "tag" or (kind == "nodeOrTag" and self.random.random() < 0.1):
                return "'name'"
            return choose(["0", "1", "2", "3", "-1"])
        if kind == "interval":
            return text_of(choose(["1min", "5min", "10min", "1h", "7min", "90s", "2h"]))
        if kind == "intOrInterval":
            return choose(["1", "3", "5", "'5min'", "'10min'", "'1h'"])
        if kind == "intOrInf":
            return choose(["1", "3", "inf"])
        if kind == "date":
            return text_of(choose(["-30min", "now", str(self.until_s - 1234), "-2h"]))
        if kind == "any":
            return choose(["100", "50.5", self.expression(depth)])
        if kind == "string":
            return text_of(choose(TEXTS.get((function, parameter["name"]), ["x"])))
        raise ValueError(f"no argument of type {kind}")


def points(until_s):
    """Names, steps and values; all end at `until_s`."""
    chance = random.Random(7)
    series = {}

    def add(name, step_s, value):
        slots = HOURS * 3600 // step_s
        times = [until_s - until_s % step_s - step_s * back for back in range(slots)][::-1]
        known = [(time_s, value(i)) for i, time_s in enumerate(times)]
        series[name] = (step_s, [(time_s, float(v)) for time_s, v in known if v is not None])

    for number, machine in enumerate(("web1", "web2", "web3", "db-1", "db-2")):
        add(f"servers.{machine}.cpu.user", 60, lambda i, n=number: round(50 + 20 * math.sin(i / 9 + n) + chance.random(), 2))
        add(f"servers.{machine}.cpu.system", 60, lambda i, n=number: (i * 7 + n) % 13)
        add(f"servers.{machine}.load", 60, lambda i, n=number: chance.random() * n)
    for number in (1, 2):
        add(f"counters.c{number}", 60, lambda i, n=number: (i * 100 * n) % 9973)
    add("sparse.a", 60, lambda i: i if i % 5 < 2 else None)
    add("sparse.b", 60, lambda i: 1.5 * i if chance.random() < 0.7 else None)
    add("sparse.c", 60, lambda i: i if i % 10 == 0 else None)
    add("signed.a", 60, lambda i: 100 * math.sin(i / 5))
    add("signed.b", 60, lambda i: chance.gauss(0, 1e6))
    add("flat.a", 60, lambda i: 3)
    add("flat.zero", 60, lambda i: 0)
    add("fine.a", 10, lambda i: i % 17)
    add("coarse.a", 300, lambda i: i)
    add("coarse.b", 300, lambda i: -i / 2)
    return series


def feed(node, web, series):
    """The same points to both."""
    lines = []
    for name, (step_s, values) in series.items():
        path = web.whisper / (name.replace(".", "/") + ".wsp")
        path.parent.mkdir(parents=True, exist_ok=True)
        whisper.create(str(path), [(step_s, 15 * 86400 // step_s)])
        whisper.update_many(str(path), [(time_s, value) for time_s, value in values])
        lines += [f"{name} {value!r} {time_s}" for time_s, value in values]
    with socket.create_connection(("127.0.0.1", node.tcp)) as stream:
        stream.sendall("\n".join(lines + ["filled 1 -1", ""]).encode())
    last = list(series)[-1]
    wait_until("all points are read", lambda: last in node.find("**"))


def near(a, b, scale):
    if a is None or b is None:
        return a is b
    return abs(a - b) <= 1e-9 * max(abs(a), abs(b), scale)


def grid(datapoints):
    times = [time_s for _, time_s in datapoints]
    step_s = times[1] - times[0] if len(times) > 1 else None
    return f"{len(times)} points from {times[:1]} by {step_s}"


def difference(theirs, ours):
    """What differs between two lists of series, in a few words; None when nothing does."""
    if len(theirs) != len(ours):
        return f"{len(theirs)} series, here {len(ours)}"
    for one, other in zip(theirs, ours):
        if one["target"] != other["target"]:
            return f"name {one['target']!r}, here {other['target']!r}"
        left, right = one["datapoints"], other["datapoints"]
        if [time_s for _, time_s in left] != [time_s for _, time_s in right]:
            return f"times: {grid(left)}, here {grid(right)}"
        left = [None if v is None or math.isinf(v) else v for v, _ in left]
        right = [v for v, _ in right]
        scale = max((abs(v) for v in left if v is not None), default=0)
        # Sums of large numbers that cancel out have no digits left to compare.
        scale = scale if scale < 1e6 else scale * 1e3
        for index, (a, b) in enumerate(zip(left, right)):
            if not near(a, b, scale):
                return f"value {index} of {one['target']!r}: {a}, here {b}"
        if not same_tags(one["tags"], other["tags"]):
            return f"tags {one['tags']}, here {other['tags']}"
    return None


def same_tags(left, right):
    def same(a, b):
        try:
            return a == b or near(float(a), float(b), 0)
        except ValueError:
            return False

    return left.keys() == right.keys() and all(same(left[tag], right[tag]) for tag in left)


# Id, and whether a target with this difference meets it. Ids are those of docs/compatibility.md.
QUIRKS = []


def quirk(name):
    def register(rule):
        QUIRKS.append((name, rule))
        return rule

    return register


REFETCHING = "moving exponentialMoving holtWinters linearRegression timeShift timeStack smartSummarize hitcount useSeriesAbove".split()


def calls(target, *names):
    return any(re.search(rf"\b{name}\w*\(", target) for name in names)


@quirk("pipe-refetch")
def _(target, detail, query):
    return "|" in target and calls(target, *REFETCHING)


@quirk("wall-clock-dates")
def _(target, detail, query):
    return calls(target, "timeSlice", "linearRegression", "verticalLine")


@quirk("lenient-parse")
def _(target, detail, query):
    return "cannot parse target" in detail


@quirk("null-name")
def _(target, detail, query):
    return calls(target, "verticalLine") and "None" in detail


@quirk("release-1.1.10")
def _(target, detail, query):
    # These are so in graphite-web's master branch, which is followed where the two differ.
    between_steps = calls(target, "asPercent", "pct") and detail.startswith("times")
    return between_steps or "do not contains" in detail


@quirk("ema-offset")
def _(target, detail, query):
    return calls(target, "exponentialMovingAverage")


@quirk("percent-step")
def _(target, detail, query):
    return is_mixed(target) and calls(target, "asPercent", "pct")


@quirk("mixed-window")
def _(target, detail, query):
    return is_mixed(target) and calls(target, "moving")


@quirk("window-not-multiple")
def _(target, detail, query):
    coarse = calls(target, "summarize", "smartSummarize", "hitcount", "compressPeriodicGaps")
    odd = "'90s'" in target or "'7min'" in target or is_mixed(target)
    return calls(target, "moving", "holtWinters") and (odd or coarse)


@quirk("float-noise")
def _(target, detail, query):
    # Squares of times since 1970 have more digits than a double.
    huge = calls(target, "stdev") and calls(target, "time", "timeFunction")
    return huge or (calls(target, "exp") and calls(target, "cactiStyle", "legendValue"))


@quirk("late-begin")
def _(target, detail, query):
    return calls(target, "smartSummarize") and re.search(r"'(hours|days|weeks|months)'", target)


@quirk("blank-names")
def _(target, detail, query):
    # Nodes of names such as `f(a.b Current:1)`: it depends on what the parser makes of them.
    return calls(target, "cactiStyle", "legendValue")


@quirk("refetch-pairs")
def _(target, detail, query):
    return calls(target, "linearRegression", "holtWintersAberration")


@quirk("reference-shift")
def _(target, detail, query):
    # Only a reference of another grid is longer than the series.
    return calls(target, "transformNull") and re.search(r"^(times|value)", detail) and target.count("(") > 1


@quirk("shared-tags")
def _(target, detail, query):
    return detail.startswith("tags") and calls(target, "holtWintersConfidence")


# What makes series of other steps than they were stored with.
MIXING = ("fine", "coarse", "*.a", "constantLine", "threshold", "Line(", "compressPeriodicGaps", "countSeries()")


def is_mixed(target):
    return any(name in target for name in MIXING)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--show", type=int, default=20, help="differences that are printed")
    parser.add_argument("binary")
    parser.add_argument("django_admin")
    flags = parser.parse_args()
    page = (VECTORS.parents[2] / "docs" / "compatibility.md").read_text()
    missing = [name for name, _ in QUIRKS if f"`{name}`" not in page]
    assert not missing, f"docs/compatibility.md lacks {missing}"
    folder = tempfile.mkdtemp(prefix="silverback-differential-")
    node = Node(str(pathlib.Path(flags.binary).resolve()), folder, schemas=SCHEMAS)
    web = None
    try:
        web = GraphiteWeb(str(pathlib.Path(flags.django_admin).absolute()), folder)
        failed = run(flags, node, web)
    finally:
        if web is not None:
            web.end()
        node.kill()
    if failed:
        print(f"FAILED; see {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def listed_functions():
    cases = json.loads((VECTORS / "cases-endpoints.json").read_text())
    return next(case for case in cases if case["id"] == "p-functions-013")["expect"]


def run(flags, node, web):
    until_s = int(time.time()) // 60 * 60 - 17
    feed(node, web, points(until_s))
    maker = Maker(flags.seed, listed_functions(), until_s)
    outcomes, unexplained = collections.Counter(), []
    for number in range(flags.count):
        target = maker.expression() if number % 4 else maker.call(maker.names[number // 4 % len(maker.names)], 1)
        from_s = until_s - maker.random.choice([600, 3600, 3600, 7200, 5000])
        query = {"target": target, "from": from_s, "until": until_s, "now": until_s, "format": "json"}
        if maker.random.random() < 0.2:
            query["maxDataPoints"] = maker.random.choice([1, 7, 50])
        if maker.random.random() < 0.1:
            query["xFilesFactor"] = maker.random.choice([0.3, 0.5, 1])
        outcome, detail = compare(node, web, target, query)
        outcomes[outcome] += 1
        if outcome == "DIFFERENT":
            unexplained.append((urllib.parse.urlencode(query), target, detail))
    for outcome, times in outcomes.most_common():
        print(f"{times:6} {outcome}")
    for query, target, detail in unexplained[: flags.show]:
        print(f"\n{target}\n  {detail}\n  /render?{query}")
    return bool(unexplained) or outcomes["the same"] < flags.count // 2


def compare(node, web, target, query):
    path = "/render?" + urllib.parse.urlencode(query)
    our_status, our_body = node.graphite(path)
    if our_status >= 500:
        return "DIFFERENT", f"status {our_status} here: {our_body[:200]}"
    try:
        their_status, their_body = web.get(path)
    except TimeoutError:
        web.start_again()
        return f"hang: no answer, here {our_status}", None
    if their_status >= 500:
        return f"crash: status 500, here {our_status}", None
    if their_status != our_status:
        told = (our_body if our_status >= 400 else their_body)[:300].decode(errors="replace")
        detail = f"status {their_status}, here {our_status}: {told}"
        if (their_body, our_status) == (b"[]", 400):
            return "known: crash (a mistake is told although no series meets it)", None
    elif our_status == 400:
        return "the same: 400", None
    else:
        detail = difference(json.loads(their_body), json.loads(our_body))
        if detail is None:
            return "the same" if their_body != b"[]" else "the same: nothing", None
    for name, rule in QUIRKS:
        if rule(target, detail, query):
            return f"known: {name}", None
    return "DIFFERENT", detail


if __name__ == "__main__":
    sys.exit(main())
