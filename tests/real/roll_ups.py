"""Compares the archives of a database with those of a file of Python whisper's; see roll-ups.sh.

Points have ages that both take for the same archive and count alike: a file's ring forgets
slots of which a coarser one at its very end would still be computed, a database does not.
Values are quarters. Factors are such as files store a little more or less of, since that is in
single precision, and there are ratios of which just that share may be known.
"""
import argparse
import os
import random
import struct
import subprocess

import whisper

BASE = 1_600_000_000
METHODS = ["average", "sum", "last", "max", "min"]


class Silverback:
    """The example program, a line of answer for each line."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        line = " ".join(str(word) for word in words)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise SystemExit(f"Silverback ended at: {line}")
        return answer


def bits(value):
    return "%016x" % struct.unpack(">Q", struct.pack(">d", value))


def archives_of(random):
    """Each archive has room for some slots of the next one."""
    step = random.choice([1, 5, 10, 30])
    archives = [(step, random.randint(12, 60))]
    for _ in range(random.choice([0, 1, 1, 2, 2, 3])):
        ratio = random.choice([2, 3, 4, 5, 6, 10])
        step, points = archives[-1]
        archives[-1] = (step, max(points, 3 * ratio))
        reach = step * archives[-1][1]
        archives.append((step * ratio, reach // (step * ratio) + random.randint(8, 60)))
    return archives


class Round:
    def __init__(self, seed, silverback, work):
        self.random = random.Random(seed)
        self.silverback = silverback
        self.path = os.path.join(work, "s.wsp")
        self.archives = archives_of(self.random)
        self.now = BASE + self.random.randint(0, 100_000)
        self.log = []
        self.counts = {"points": 0, "expired": 0, "merged": 0}

    def reach(self, level):
        step, points = self.archives[level]
        return step * points

    def is_alike(self, age):
        for level, (step, _) in enumerate(self.archives):
            last = level + 1 == len(self.archives)
            margin = step if last else self.archives[level + 1][0]
            begin = 0 if level == 0 else self.reach(level - 1) + step + 1
            if begin <= age < self.reach(level) - margin:
                return True
        return False

    def run(self):
        method = self.random.choice(METHODS)
        factor = self.random.choice([0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.6, 0.7, 1])
        self.log.append(("create", self.archives, method, factor, self.now))
        if os.path.exists(self.path):
            os.unlink(self.path)
        whisper.create(self.path, self.archives, factor, method)
        text = ",".join("%d:%d" % archive for archive in self.archives)
        self.silverback.ask("create", text, method, factor, self.now)
        for _ in range(self.random.randint(5, 60)):
            self.step()
            self.compare()

    def step(self):
        kind = self.random.choice(["put", "put", "put", "wait", "wait", "seal", "seal", "expire",
                                   "expire", "compact", "kill"])
        if kind == "put":
            for _ in range(self.random.randint(1, 20)):
                self.put(self.random.choice([
                    0, self.random.randint(0, self.archives[0][0] * 5),
                    self.random.randint(0, self.reach(0)), self.random.randint(0, self.reach(-1))]))
        elif kind == "wait":
            self.now += self.random.choice([
                1, self.archives[0][0], self.random.randint(0, self.reach(0)),
                self.random.randint(0, self.reach(0)), self.random.randint(0, self.reach(-1))])
            self.log.append(("clock", self.now))
            self.silverback.ask("clock", self.now)
        else:
            self.log.append(kind)
            answer = self.silverback.ask(kind)
            if kind in ("expire", "compact"):
                self.counts["expired" if kind == "expire" else "merged"] += int(answer)

    def put(self, age):
        if not self.is_alike(age):
            return
        value = self.random.randint(-400, 400) / 4
        self.log.append(("put", self.now - age, value))
        whisper.update(self.path, value, self.now - age, now=self.now)
        if self.silverback.ask("put", self.now - age, bits(value)) != "1":
            raise AssertionError("the point was not stored")
        self.counts["points"] += 1

    def compare(self):
        for level, (step, _) in enumerate(self.archives):
            start = self.now - self.reach(level)
            (begin, _, step), values = whisper.fetch(
                self.path, start, self.now, now=self.now, archiveToSelect=step)
            known = [(begin + at * step, value) for at, value in enumerate(values)
                     if value is not None]
            expected = " ".join(f"{time} {bits(value)}" for time, value in known)
            found = self.silverback.ask("fetch", level, start, self.now)
            found = "" if found == "none" else found.removeprefix("known").strip()
            if found != expected:
                raise AssertionError(f"archive {level}\nSilverback: {found}\nPython:     {expected}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ops", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    silverback = Silverback(arguments.ops)
    totals = {}
    for number in range(arguments.rounds):
        one = Round(arguments.seed + number, silverback, arguments.work)
        try:
            one.run()
        except AssertionError as error:
            for entry in one.log:
                print(entry)
            raise SystemExit(f"round {number}, seed {arguments.seed + number}: {error}")
        for name, count in one.counts.items():
            totals[name] = totals.get(name, 0) + count
    if not totals["expired"] or not totals["merged"]:
        raise SystemExit(f"too few rounds to say anything: {totals}")
    print(f"{arguments.rounds} rounds agree: {totals}")


if __name__ == "__main__":
    main()
