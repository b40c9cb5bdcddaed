"""Compares what graphite-web tells of a silverback with what the silverback itself tells.

usage: front_end.py BINARY DJANGO_ADMIN (see graphite-web.sh)
"""

import json
import pathlib
import shutil
import socket
import sys
import tempfile
import time
import urllib.parse

from graphite_web import GraphiteWeb
from node import Node, wait_until

MINUTES = 10
failures = []


def check(what, holds, detail=""):
    print(f"{'ok    ' if holds else 'FAILED'} {what}{f': {detail}' if detail != '' else ''}", flush=True)
    if not holds:
        failures.append(what)


def feed(node):
    """Known points; gives back the time of the first."""
    first_s = int(time.time()) // 60 * 60 - 60 * MINUTES
    lines = []
    for minute in range(MINUTES):
        time_s = first_s + 60 * minute
        for number, machine in enumerate(("web01", "web02", "db-1")):
            lines.append(f"servers.{machine}.cpu.user {minute + number / 4} {time_s}")
            lines.append(f"servers.{machine}.cpu.system {number} {time_s}")
    lines.append(f"filled 1 {first_s}\n")
    with socket.create_connection(("127.0.0.1", node.tcp)) as stream:
        stream.sendall("\n".join(lines).encode())
    wait_until("all points are read", lambda: "filled" in node.find("**"))
    return first_s


def compare(node, web, what, path, simplify):
    """The same request to both; the answers must say the same and not nothing."""
    (web_status, web_body), (own_status, own_body) = web.get(path), node.graphite(path)
    if (web_status, own_status) != (200, 200):
        check(what, False, f"status {web_status} and {own_status}: {web_body[-300:]!r}")
        return
    answers = [simplify(json.loads(body)) for body in (web_body, own_body)]
    same = answers[0] == answers[1] and answers[0]
    detail = len(answers[0]) if same else f"{answers[0]!r:.200} and {answers[1]!r:.200}"
    check(what, same, detail)


def nodes(answer):
    return sorted((one["text"], one["id"], bool(one["leaf"])) for one in answer)


def own_aside(answer):
    """Names but for the server's own metrics, which come and go between two requests."""
    return sorted(name for name in answer if not name.startswith("own."))


def series(answer):
    return [(one["target"], one["datapoints"]) for one in answer]


def main():
    folder = tempfile.mkdtemp(prefix="silverback-graphite-web-")
    node = Node(str(pathlib.Path(sys.argv[1]).resolve()), folder)
    web = None
    try:
        first_s = feed(node)
        web = GraphiteWeb(
            str(pathlib.Path(sys.argv[2]).absolute()), folder, [f"127.0.0.1:{node.node_api}"]
        )
        times = f"from={first_s - 1}&until={first_s + 60 * MINUTES - 1}&format=json"
        for query in ("servers.*", "servers.*.cpu.*", "servers.web0[12].cpu.{user,system}", "*"):
            path = f"/metrics/find?query={urllib.parse.quote(query)}"
            compare(node, web, f"find {query}", path, nodes)
        compare(node, web, "expand", "/metrics/expand?query=servers.*.cpu.*",
                lambda answer: sorted(answer["results"]))
        for target in (
            "servers.web01.cpu.user",
            "servers.*.cpu.{user,system}",
            "sumSeries(servers.*.cpu.user)",
            "alias(averageSeries(servers.web*.cpu.user), 'mean')",
            'aliasSub(servers.*.cpu.user, "(^.*$)", "\\1 A")',
            "scale(servers.web01.cpu.user, 10)",
            "aliasByNode(servers.*.cpu.user, 1)",
        ):
            path = f"/render?target={urllib.parse.quote(target)}&{times}"
            compare(node, web, f"render {target}", path, series)
        # An empty answer must not take the node out of service: what follows still works.
        status, body = web.get(f"/render?target=no.such.series&{times}")
        check("render of nothing", (status, body) == (200, b"[]"), (status, body[:100]))
        one = f"/render?target=servers.db-1.cpu.user&{times}"
        compare(node, web, "render after it", one, series)
        # graphite-web takes a node out of service for a minute on every status but 200.
        compare(node, web, "index.json", "/metrics/index.json", own_aside)
        compare(node, web, "render after it", one, series)
        for path in ("/tags/autoComplete/tags?limit=9", "/tags/autoComplete/values?tag=name&limit=9"):
            status, body = web.get(path)
            check(path, status == 200, f"status {status}, {body[:100]!r}")
        compare(node, web, "render after them", one, series)
    except Exception as error:
        check("the run itself", False, repr(error))
    finally:
        if web is not None:
            web.end()
        node.kill()
    if failures:
        print(f"{len(failures)} checks failed; see {folder}")
        return 1
    shutil.rmtree(folder)
    print("all checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
