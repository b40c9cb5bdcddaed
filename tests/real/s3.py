"""Backups of a silverback in a bucket; see s3.sh.

usage: s3.py SILVERBACK MOTO_SERVER
"""

import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

import boto3

BUCKET = "backups"
NOW = int(time.time()) // 60 * 60


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, ask):
    for _ in range(600):
        try:
            if ask():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{what} never happened")


def start_bucket(moto, environment):
    port = free_port()
    process = subprocess.Popen([moto, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    wait_for("the bucket", lambda: urlopen(Request(f"{url}/{BUCKET}", method="PUT")).status == 200)
    environment.update(
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_REGION="us-east-1",
        AWS_ENDPOINT_URL=url,
        AWS_ALLOW_HTTP="true",
    )
    return process, url


class Node:
    """A silverback over `folder`/data."""

    def __init__(self, binary, folder):
        file = Path(folder) / "node.toml"
        file.write_text(
            '[common]\nuser = ""\nmetric-interval = "1h"\n[whisper]\nschemas-file = ""\n'
            '[tcp]\nlisten = "127.0.0.1:0"\n[udp]\nenabled = false\n'
            '[graphite-api]\nenabled = true\nlisten = "127.0.0.1:0"\n'
            '[admin]\nenabled = true\nlisten = "127.0.0.1:0"\n[block]\nduration = "1s"\n'
            f'[storage]\nengine = "block"\npath = "{folder}/data"\n[[logging]]\nfile = "stderr"\n'
        )
        self.log = open(Path(folder) / "log", "w")
        self.process = subprocess.Popen(
            [binary, "-config", str(file)], stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.addresses = {}
        for line in self.process.stdout:
            if line.startswith("data in"):
                return
            _, service, address = line.split()
            self.addresses[service] = address
        raise SystemExit(f"silverback did not start: {(Path(folder) / 'log').read_text()}")

    def send(self, lines):
        host, port = self.addresses["carbon-tcp"].split(":")
        with socket.create_connection((host, int(port))) as carbon:
            carbon.sendall(lines.encode())

    def event(self, text):
        body = json.dumps({"what": "large", "tags": [], "data": text}).encode()
        urlopen(f"http://{self.addresses['graphite-api']}/events/", data=body).read()

    def values(self):
        query = f"target=b.*&from={NOW - 9000}&until={NOW}&format=json&maxDataPoints=1000000"
        with urlopen(f"http://{self.addresses['graphite-api']}/render?{query}") as answer:
            found = json.load(answer)
        return {
            series["target"]: [point for point in series["datapoints"] if point[0] is not None]
            for series in found
        }

    def admin(self):
        return f"http://{self.addresses['admin-api']}"

    def stop(self):
        self.process.terminate()
        self.process.wait()


def noise(series, chance):
    """Two hours of minutes."""
    return "".join(
        f"b.s{series} {chance.random()} {NOW - minute * 60}\n" for minute in range(1, 120)
    )


def main():
    binary, moto = sys.argv[1:]
    environment = dict(os.environ)
    place = f"s3://{BUCKET}/some/node"
    chance = random.Random(7)

    def run(*args, code=0):
        done = subprocess.run(
            [binary, *args, "--json"], env=environment, capture_output=True, text=True
        )
        if done.returncode != code:
            raise SystemExit(f"{args}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout.splitlines()[0]) if code == 0 else done.stderr

    with tempfile.TemporaryDirectory() as root:
        bucket, url = start_bucket(moto, environment)
        node = None
        try:
            os.mkdir(f"{root}/one")
            node = Node(binary, f"{root}/one")

            def blocks():
                return len(os.listdir(f"{root}/one/data/blocks"))

            def is_full(names):
                values = node.values()
                return len(values) == names and all(len(known) == 119 for known in values.values())

            def fill(series):
                node.send("".join(noise(at, chance) for at in series))
                wait_for("the points", lambda: is_full(series[-1] + 1))

            def restored(name, *more):
                run("restore", "--from", place, "--to", f"{root}/{name}/data", *more)
                other = Node(binary, f"{root}/{name}")
                values = other.values()
                other.stop()
                return values

            fill(range(20))
            wait_for("a block", lambda: blocks() > 0)
            first = run("backup", "--to", place, "--server", node.admin())
            assert first["copiedFiles"] == first["files"], first
            then = node.values()
            # The file of events has more than one part.
            for at in range(30):
                node.event(f"{at} " + chance.randbytes(400_000).hex())
            fill(range(20, 40))
            second = run("backup", "--to", place, "--server", node.admin())
            assert second["copiedBytes"] > 16 << 20, second
            now = node.values()
            third = run("backup", "--to", place, "--server", node.admin())
            assert third["copiedBytes"] < second["bytes"] / 10, (second, third)

            os.mkdir(f"{root}/old")
            os.mkdir(f"{root}/new")
            assert restored("old", "--backup", first["backup"]) == then
            assert restored("new") == now

            # Killed in the middle, it leaves the ones before.
            node.event(chance.randbytes(400_000).hex())
            fill(range(40, 60))
            killed = subprocess.Popen(
                [binary, "backup", "--to", place, "--server", node.admin()], env=environment
            )
            time.sleep(0.05)
            killed.kill()
            killed.wait()
            os.mkdir(f"{root}/after")
            assert restored("after", "--backup", third["backup"]) == now

            # An object that was changed is found.
            store = boto3.client(
                "s3", endpoint_url=url, region_name="us-east-1",
                aws_access_key_id="key", aws_secret_access_key="secret",
            )
            listing = f"some/node/backups/{third['backup']}.json"
            listing = store.get_object(Bucket=BUCKET, Key=listing)["Body"].read()
            files = json.loads(listing.splitlines()[0])["files"]
            largest = max(files, key=lambda file: file["bytes"])
            damaged = f"some/node/objects/{largest['sha256']}"
            store.put_object(Bucket=BUCKET, Key=damaged, Body=b"other bytes")
            told = run("restore", "--from", place, "--to", f"{root}/bad", "--backup",
                       third["backup"], code=1)
            assert "checksum" in told, told
            assert not os.path.exists(f"{root}/bad")

            last = run("backup", "--to", place, "--keep", "1", "--server", node.admin())
            assert last["removed"] >= 3, last
            print(f"backups in a bucket: ok; {second['bytes']} bytes, then {third['copiedBytes']}")
        finally:
            if node:
                node.process.kill()
                node.process.wait()
            bucket.terminate()
            bucket.wait()


main()
