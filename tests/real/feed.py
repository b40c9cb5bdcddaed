"""Feeds a silverback with collectd, directly and through carbon-c-relay, and checks what it has.

usage: feed.py BINARY (see run.sh)
"""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse

from node import Node, free_ports, wait_until

FEED_SECONDS = 20
AFTER_KILL_SECONDS = 8
CHECK_GRAPHITE = "/usr/lib/nagios/plugins/check_graphite"

COLLECTD = """
Hostname "real.host"
FQDNLookup false
BaseDir "{folder}/collectd"
PIDFile "{folder}/collectd.pid"
PluginDir "/usr/lib/collectd"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin logfile
<Plugin logfile>
  LogLevel "warning"
  File "{folder}/collectd.log"
</Plugin>
LoadPlugin cpu
LoadPlugin load
LoadPlugin memory
LoadPlugin df
LoadPlugin interface
LoadPlugin write_graphite
<Plugin write_graphite>
  <Node "direct">
    Host "127.0.0.1"
    Port "{direct}"
    Protocol "tcp"
    Prefix "direct."
    EscapeCharacter "_"
    StoreRates true
  </Node>
  <Node "relayed">
    Host "127.0.0.1"
    Port "{relayed}"
    Protocol "tcp"
    Prefix "relayed."
    EscapeCharacter "_"
    StoreRates true
  </Node>
</Plugin>
"""

RELAY = """
cluster silverback forward 127.0.0.1:{tcp};
match * send to silverback stop;
statistics submit every 1 seconds prefix with relay send to silverback stop;
listen type linemode 127.0.0.1:{relay} proto tcp;
"""

failures = []


def check(what, holds, detail=""):
    print(f"{'ok    ' if holds else 'FAILED'} {what}{f': {detail}' if detail != '' else ''}", flush=True)
    if not holds:
        failures.append(what)


class Senders:
    """collectd and the relay."""

    def __init__(self, node):
        self.node = node
        (self.relay_port,) = free_ports(1)
        (node.folder / "relay.conf").write_text(RELAY.format(tcp=node.tcp, relay=self.relay_port))
        command = ["carbon-c-relay", "-f", str(node.folder / "relay.conf"), "-w", "1"]
        self.relay_log = open(node.folder / "relay.log", "w")
        self.relay = subprocess.Popen(command, stdout=self.relay_log, stderr=self.relay_log)
        wait_until("carbon-c-relay listens", lambda: is_open(self.relay_port))
        self.collectd = None

    def start_collectd(self):
        text = COLLECTD.format(
            folder=self.node.folder,
            direct=self.node.tcp,
            relayed=self.relay_port,
        )
        (self.node.folder / "collectd.conf").write_text(text)
        (self.node.folder / "collectd").mkdir(exist_ok=True)
        command = ["/usr/sbin/collectd", "-f", "-C", str(self.node.folder / "collectd.conf")]
        self.collectd = subprocess.Popen(command, stdout=self.relay_log, stderr=self.relay_log)

    def stop_collectd(self):
        self.collectd.terminate()
        self.collectd.wait(timeout=30)

    def end(self):
        for process in (self.collectd, self.relay):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def is_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def relay_counter(node, name, from_s):
    """Last value of a counter of the relay, from its own statistics."""
    points = node.fetch([f"relay.{name}"], from_s, int(time.time())).get(f"relay.{name}", {})
    return int(points[max(points)]) if points else 0


def total(node, name, from_s):
    """Sum of an own metric that tells growth."""
    points = node.fetch([f"own.{name}"], from_s, int(time.time())).get(f"own.{name}", {})
    return int(sum(points.values()))


def check_feed(node, senders, from_s):
    """What came in while everything was well."""
    senders.start_collectd()
    time.sleep(FEED_SECONDS)
    senders.stop_collectd()
    # The relay sends its statistics every second, and own metrics are stored as often.
    time.sleep(3)
    until_s = int(time.time())
    names = {kind: node.find(f"{kind}.**") for kind in ("direct", "relayed")}
    check("series of collectd", len(names["direct"]) >= 15, len(names["direct"]))
    bare = {kind: [name.removeprefix(kind) for name in found] for kind, found in names.items()}
    check("the relay passes on the same series", bare["direct"] == bare["relayed"])
    for plugin in ("cpu", "load", "memory", "df", "interface"):
        count = sum(f".{plugin}" in name for name in names["direct"])
        check(f"series of plugin {plugin}", count > 0, count)
    direct = node.fetch(names["direct"], from_s, until_s)
    relayed = node.fetch(names["relayed"], from_s, until_s)
    stored = {"direct": count_of(direct), "relayed": count_of(relayed)}
    check("points stored", stored["direct"] > 10 * len(direct), stored)
    same = {name.removeprefix("direct"): points for name, points in direct.items()}
    same = same == {name.removeprefix("relayed"): points for name, points in relayed.items()}
    check("every point came both ways with the same value", same)
    refused = total(node, "tcp.lines_bad_value", from_s)
    check("nan values are refused and counted", refused > 0 and "nan" in node.log(), refused)
    relay_own = count_of(node.fetch(node.find("relay.**"), from_s, until_s))
    sent = relay_counter(node, "metricsSent", from_s)
    dropped = relay_counter(node, "metricsDropped", from_s)
    # Half of the refused lines came through the relay; its last statistics are under way.
    accounted = stored["relayed"] + relay_own + refused / 2
    detail = f"{sent} sent, {dropped} dropped, {accounted:.0f} accounted for"
    slack = 2 * len(node.find("relay.**"))
    check("the relay's counters agree", dropped == 0 and abs(sent - accounted) <= slack, detail)
    return direct


def count_of(series):
    return sum(len(points) for points in series.values())


def form_as_browser(fields):
    """encodeURIComponent, as Grafana's front end."""
    quoted = ((key, urllib.parse.quote(value, safe="!'()*~")) for key, value in fields)
    return "&".join(f"{key}={value}" for key, value in quoted).encode()


def form_as_go(fields):
    """url.Values.Encode, as Grafana's back end: sorted, blanks as plus signs."""
    return urllib.parse.urlencode(sorted(fields), safe="~").encode()


def check_grafana(node, direct):
    """A panel in both of Grafana's encodings, with what comes before it."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    now_s = int(time.time())
    times = [("from", str(now_s - 300)), ("until", str(now_s)), ("format", "json")]
    health = form_as_go([*times, ("target", "constantLine(100)"), ("maxDataPoints", "100")])
    status, body = node.graphite("/render", health, form)
    check("health check", status == 200 and json.loads(body)[0]["datapoints"], status)
    status, body = node.graphite(
        f"/metrics/find?from={now_s - 300}&until={now_s}", b"query=direct.*", form
    )
    found = [entry["text"] for entry in json.loads(body)]
    check("find as the query editor", status == 200 and found == ["real_host"], found)
    pattern = "direct.real_host.memory.memory-{free,used}"
    expected = sorted(name for name in direct if name.endswith(("memory-free", "memory-used")))
    target = f'aliasSub({pattern}, "(^.*$)", "\\1 A")'
    panel = [("target", target), *times, ("maxDataPoints", "1000")]
    answers = [node.graphite("/render", encode(panel), form) for encode in (form_as_browser, form_as_go)]
    check("both encodings get one answer", answers[0] == answers[1])
    status, body = answers[0]
    check("panel", status == 200, status)
    series = json.loads(body) if status == 200 else []
    names = sorted(one["target"] for one in series)
    check("its series", names == [f"{name} A" for name in expected], names)
    for one in series:
        points = {time_s: value for value, time_s in one["datapoints"] if value is not None}
        name = one["target"].removesuffix(" A")
        check(f"its points of {name}", points == direct.get(name), len(points))
    for path in ("/functions", "/version", "/tags/autoComplete/tags?limit=10", "/events/get_data?from=-1h&until=now"):
        status, _ = node.graphite(path)
        check(path, status == 200, status)


def check_check_graphite(node):
    """Debian's check_graphite, by its exit codes."""
    used = "direct.real_host.memory.memory-used"
    for what, target, limits, code in [
        ("OK", used, ("1e15", "2e15"), 0),
        ("WARNING", used, ("1", "2e15"), 1),
        ("CRITICAL", used, ("1", "2"), 2),
        ("OK of two series", "direct.real_host.memory.memory-{used,free}", ("1e15", "2e15"), 0),
        ("CRITICAL without data", "direct.no.such.series", ("1", "2"), 2),
    ]:
        run_check(node, what, target, limits, code)
    run_check(node, "OK with --percentile", used, ("1e15", "2e15"), 0, "--percentile", "95")


def run_check(node, what, target, limits, code, *options):
    command = [
        *("python3", CHECK_GRAPHITE, "-U", f"http://127.0.0.1:{node.graphite_api}"),
        *("-t", target, "--from", "-5minutes", "-W", limits[0], "-C", limits[1], *options),
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = (result.stdout + result.stderr).strip()
    holds = result.returncode == code and said.startswith(what.split(" ")[0] + ":")
    check(f"check_graphite {what}", holds, f"exit code {result.returncode}, {said[:60]!r}")


def check_kill(node, senders, before, from_s):
    """kill -9 while both feed it."""
    # The second that is not over may still get points.
    until_s = int(time.time()) - 1
    senders.start_collectd()
    time.sleep(4)
    names = node.find("direct.**") + node.find("relayed.**")
    seen = node.fetch(names, from_s, int(time.time()))
    node.kill()
    node.start()
    restart_s = int(time.time())
    now = node.fetch(names, from_s, restart_s)
    lost = sum(now.get(name, {}).get(time_s) != value
               for name, points in seen.items() for time_s, value in points.items())
    check("all that was read before kill -9 is there after it", seen and lost == 0,
          f"{count_of(seen)} points, {lost} lost")
    old = {name: {t: v for t, v in now[name].items() if t <= until_s} for name in before}
    check("and nothing else of the time before", old == before, count_of(before))
    time.sleep(AFTER_KILL_SECONDS)
    later = node.fetch(names, restart_s + 2, int(time.time()))
    for kind in ("direct", "relayed"):
        points = sum(len(points) for name, points in later.items() if name.startswith(kind))
        check(f"{kind} points come in again", points > 0, points)
    senders.stop_collectd()


def main():
    folder = tempfile.mkdtemp(prefix="silverback-real-")
    node = Node(str(pathlib.Path(sys.argv[1]).resolve()), folder)
    senders = None
    try:
        senders = Senders(node)
        from_s = int(time.time()) - 5
        before = check_feed(node, senders, from_s)
        check_grafana(node, before)
        check_check_graphite(node)
        check_kill(node, senders, before, from_s)
        check("seals happened meanwhile", "sealed" in node.log())
        code = node.stop()
        check("a stop in good order", code == 0, f"exit code {code}")
    except Exception as error:
        check("the run itself", False, repr(error))
    finally:
        if senders is not None:
            senders.end()
        if node.process.poll() is None:
            node.kill()
    size = sum(f.stat().st_size for f in pathlib.Path(folder, "data").rglob("*") if f.is_file())
    print(f"data folder: {size} bytes")
    if failures:
        print(f"{len(failures)} checks failed; see {folder}")
        return 1
    shutil.rmtree(folder)
    print("all checks passed")
    return 0


sys.exit(main())
