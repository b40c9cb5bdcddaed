"""Compares Silverback's whisper files with Python whisper's; see whisper-differential.sh.

Three files live through each schedule: one that Python writes, one that Silverback writes, and
one that they take turns at. After every few writes both read all three.
"""
import argparse
import contextlib
import io
import os
import random
import runpy
import struct
import subprocess
import sys
import time

import whisper

BASE = 1_600_000_000
METHODS = sorted(whisper.aggregationTypeToMethod.values())
# Sums are compensated from 3.12 on, so there only values that add up exactly compare.
EXACT_ONLY = sys.version_info >= (3, 12)


class Silverback:
    """The example program, a line of answer for each line."""

    def __init__(self, program):
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask("rules python")

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


def shown(result):
    """A fetch of Python's as Silverback answers it. A stored NaN is missing there."""
    if result is None:
        return "none"
    (start, end, step), values = result
    missing = lambda value: value is None or value != value
    return " ".join([str(start), str(end), str(step)]
                    + ["-" if missing(value) else bits(value) for value in values])


def attempt(call, *words, **named):
    """What a call gives, or the kind of error."""
    try:
        return call(*words, **named)
    except (whisper.WhisperException, ValueError):
        return "error"


def archives_of(random):
    archives = []
    step = random.choice([1, 2, 5, 7, 10, 15, 30, 60])
    points = random.randint(1, 60)
    for _ in range(random.choice([1, 1, 2, 2, 2, 3, 3, 4])):
        archives.append((step, points))
        ratio = random.choice([2, 3, 4, 5, 6, 10, 12])
        if points < ratio:
            archives[-1] = (step, points) = (step, random.randint(ratio, ratio * 8))
            if len(archives) > 1 and archives[-2][0] * archives[-2][1] >= step * points:
                archives.pop()
                break
        reach = step * points
        step *= ratio
        points = reach // step + random.randint(1, 50)
    return archives


class Round:
    def __init__(self, seed, silverback, work):
        self.random = random.Random(seed)
        self.silverback = silverback
        self.work = work
        self.archives = archives_of(self.random)
        self.reach = max(step * points for step, points in self.archives)
        self.now = BASE + self.random.randint(0, 10_000)
        self.counts = {"writes": 0, "fetches": 0}
        self.log = []

    def path(self, name):
        return os.path.join(self.work, name + ".wsp")

    def value(self):
        if EXACT_ONLY:
            return self.random.randint(-400, 400) / 4
        return self.random.choice([
            lambda: self.random.uniform(-100, 100),
            lambda: float(self.random.randint(-5, 5)),
            lambda: self.random.uniform(-1, 1) * 10.0 ** self.random.randint(-300, 300),
            lambda: self.random.choice([0.0, -0.0, float("inf"), 5e-324, 1.7976931348623157e308]),
        ])()

    def create(self, name, archives, method, factor, by_python):
        path = self.path(name)
        if os.path.exists(path):
            os.unlink(path)
        sparse = self.random.random() < 0.5
        if by_python:
            whisper.create(path, archives, factor, method, sparse=sparse)
        else:
            text = ",".join("%d:%d" % archive for archive in archives)
            self.same(self.silverback.ask(
                "create", path, text, method, factor, "sparse" if sparse else "filled"), "ok")

    def same(self, found, expected):
        if found != expected:
            raise AssertionError(f"Silverback: {found}\nPython:     {expected}")

    def run(self):
        method = self.random.choice(METHODS)
        factor = self.random.choice([0, 0, 0.1, 0.25, 0.3, 0.4, 0.5, 0.5, 0.7, 0.9, 1])
        self.log.append(("create", self.archives, method, factor))
        for name in ("python", "silverback", "turns"):
            by_python = {"python": True, "silverback": False}.get(name, self.random.random() < 0.5)
            self.create(name, self.archives, method, factor, by_python)
        with open(self.path("python"), "rb") as a, open(self.path("silverback"), "rb") as b:
            self.same(b.read(), a.read())
        for _ in range(self.random.randint(1, 12)):
            self.step()
            for _ in range(self.random.randint(0, 4)):
                self.fetch()
        for _ in range(10):
            self.fetch()
        for name in ("silverback", "turns"):
            self.same(self.silverback.ask("verify", self.path(name)), "0 bad")
        if self.random.random() < 0.3:
            self.copy(method, factor)

    def step(self):
        self.now += self.random.choice([
            0, 1, self.archives[0][0], self.random.randint(0, self.archives[0][0] * 20),
            self.random.randint(0, self.reach), self.random.randint(0, self.reach * 2)])
        if self.random.random() < 0.05:
            self.settings()
        elif self.random.random() < 0.4:
            self.update()
        else:
            self.update_many()

    def writers(self):
        turn = self.random.random() < 0.5
        return [("python", True), ("silverback", False), ("turns", turn)]

    def settings(self):
        method = self.random.choice(METHODS)
        factor = self.random.choice([0, 0.2, 0.5, 0.6, 1])
        self.log.append(("set", method, factor))
        for name, by_python in self.writers():
            if by_python:
                whisper.setAggregationMethod(self.path(name), method, factor)
            else:
                self.same(self.silverback.ask("set", self.path(name), method, factor), "ok")

    def update(self):
        age = self.random.choice([
            0, self.random.randint(-2, 5), self.random.randint(0, self.reach + 1),
            self.reach - 1, self.reach])
        stamp, value = self.now - age, self.value()
        self.log.append(("update", self.now, stamp, value))
        for name, by_python in self.writers():
            path = self.path(name)
            if by_python:
                done = attempt(whisper.update, path, value, stamp, now=self.now) or "ok"
            else:
                done = self.silverback.ask("update", path, self.now, stamp, bits(value))
            self.same(done.split()[0], "ok" if 0 <= age < self.reach else "error")
        self.counts["writes"] += 1

    def batch(self):
        """Points of every age; some in rows, some at once, some twice, some too old."""
        points = []
        step = self.archives[0][0]
        for _ in range(self.random.randint(1, 4)):
            start = self.now - self.random.choice([
                0, self.random.randint(0, step * 5), self.random.randint(0, self.reach),
                self.random.randint(-3 * step, self.reach + 100)])
            gap = self.random.choice([1, step, step, step, 2 * step, self.random.randint(1, 3 * step)])
            for index in range(self.random.randint(1, 40)):
                stamp = start + index * gap
                if stamp <= self.now + 3 * step:
                    points.append((stamp, self.value()))
        points += self.random.sample(points, min(len(points), self.random.choice([0, 0, 3])))
        if self.random.random() < 0.3:
            self.random.shuffle(points)
        elif self.random.random() < 0.5:
            points.sort(key=lambda point: point[0])
        return points

    def defined(self, points):
        """Whether Python neither runs over the end of an archive nor leaves it to the order of a
        set which of two points stays."""
        taken = sorted(stamp for stamp, _ in points)
        for level, (step, count) in enumerate(self.archives):
            fitting = [stamp for stamp in taken if self.now - stamp <= step * count]
            taken = [stamp for stamp in taken if self.now - stamp > step * count]
            if not fitting:
                continue
            for lower_step, lower_count in self.archives[level:]:
                first, last = fitting[0] // lower_step, fitting[-1] // lower_step
                if last - first >= lower_count:
                    return False
        return True

    def update_many(self):
        points = self.batch()
        if not points or not self.defined(points):
            return
        self.log.append(("update_many", self.now, points))
        for name, by_python in self.writers():
            path = self.path(name)
            if by_python:
                whisper.update_many(path, list(points), now=self.now)
            else:
                words = [word for stamp, value in points for word in (stamp, bits(value))]
                self.same(self.silverback.ask("update_many", path, self.now, *words), "ok")
        self.counts["writes"] += 1

    def fetch(self):
        now = self.now + self.random.choice([0, 0, 0, 1, self.random.randint(0, self.reach)])
        start = now - self.random.choice([
            0, self.random.randint(-5, 50), self.random.randint(0, self.reach + 50), self.reach,
            self.archives[0][0] * self.archives[0][1]])
        end = self.random.choice([now, start, start + self.random.randint(-5, self.reach)])
        step = None
        if self.random.random() < 0.2:
            step = self.random.choice(self.archives)[0] + self.random.choice([0, 0, 0, 1])
        self.compare(start, end, now, step)

    def compare(self, start, end, now, step=None, names=("python", "silverback", "turns")):
        self.log.append(("fetch", start, end, now, step))
        self.counts["fetches"] += 1
        answers = {}
        for name in names:
            path = self.path(name)
            found = attempt(whisper.fetch, path, start, end, now=now, archiveToSelect=step)
            answers["Python reads " + name] = found if found == "error" else shown(found)
            words = ("fetch", path) if step is None else ("fetch_step", path, step)
            answer = self.silverback.ask(*words, start, end, now)
            answers["Silverback reads " + name] = "error" if answer.startswith("error") else answer
        # Python fetches more values than points of an archive by name and never written.
        if step is not None and self.overlong(step, start, end, now):
            return
        expected = answers["Python reads " + names[0]]
        for who, answer in answers.items():
            if answer != expected:
                raise AssertionError("\n".join(f"{who}: {found}" for who, found in answers.items()))

    def overlong(self, step, start, end, now):
        points = dict(self.archives).get(step)
        return points and (min(end, now) - max(start, now - self.reach)) // step + 1 > points

    def copy(self, method, factor):
        """Merge, fill, diff and resize, from a file with a life of its own."""
        other = Round(self.random.random(), self.silverback, self.work)
        other.archives, other.reach, other.now = self.archives, self.reach, self.now
        other.create("other", self.archives, method, factor, True)
        for _ in range(3):
            points = other.batch()
            if points and self.defined(points):
                whisper.update_many(self.path("other"), points, now=self.now)
        self.log.append("copy")
        kind = self.random.choice(["merge", "fill", "resize", "resize"])
        self.log.append(kind)
        source, python, silverback = map(self.path, ("other", "python", "silverback"))
        found = self.silverback.ask("diff", silverback, source, self.now).split()
        differences = whisper.diff(silverback, source, now=self.now)
        expected = [str(n) for _, points, total in differences for n in (len(points), total)]
        self.same(found, expected)
        if kind == "merge":
            start = self.now - self.random.randint(0, self.reach)
            whisper.merge(source, python, start, None, self.now)
            self.same(self.silverback.ask("merge", source, silverback, start, self.now, self.now), "ok")
        elif kind == "fill":
            self.tool("whisper-fill.py", source, python)
            self.same(self.silverback.ask("fill", source, silverback, self.now), "ok")
        else:
            self.resize(python, silverback)
        for _ in range(10):
            self.fetch_both()

    def resize(self, python, silverback):
        header = whisper.info(silverback)
        self.archives = archives_of(self.random)
        self.reach = max(step * points for step, points in self.archives)
        mode = self.random.choice(["rewrite", "aggregate"]) if self.ordered(python) else "rewrite"
        self.log.append((mode, self.archives))
        self.create("new", self.archives, header["aggregationMethod"], header["xFilesFactor"], False)
        new = self.path("new")
        self.same(self.silverback.ask("resize", silverback, new, mode, self.now), "ok")
        os.replace(new, silverback)
        texts = ["%d:%d" % archive for archive in self.archives]
        flags = ["--aggregate"] if mode == "aggregate" else []
        self.tool("whisper-resize.py", python, *texts, *flags, "--nobackup")

    def ordered(self, path):
        """Whether each coarser archive starts before the finer ones. Where one does not, the
        script lays all of it before them, and then searches what is out of order."""
        archives = whisper.info(path)["archives"]
        starts = [
            whisper.fetch(path, self.now - archive["retention"] + archive["secondsPerPoint"],
                          self.now, now=self.now)[0][0]
            for archive in sorted(archives, key=lambda archive: archive["secondsPerPoint"])]
        return all(coarse < fine for fine, coarse in zip(starts, starts[1:]))

    def fetch_both(self):
        start = self.now - self.random.choice([self.random.randint(0, self.reach), self.reach])
        self.compare(start, self.now, self.now, names=("python", "silverback"))

    def tool(self, name, *words):
        """Runs one of whisper's scripts with the clock of this round."""
        clock, arguments = time.time, sys.argv
        time.time, sys.argv = lambda: self.now, [name, *words]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                script = os.path.join(os.path.dirname(sys.executable), name)
                runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise AssertionError(f"{name} ended with {end.code}") from end
        finally:
            time.time, sys.argv = clock, arguments


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ops", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**9)
    print(f"seed {seed}, {options.rounds} rounds", flush=True)
    silverback = Silverback(options.ops)
    counts = {"writes": 0, "fetches": 0}
    for number in range(options.rounds):
        one = Round(f"{seed}/{number}", silverback, options.work)
        try:
            one.run()
        except Exception:
            print(f"round {number} of seed {seed}:", *one.log, sep="\n  ", file=sys.stderr)
            raise
        for name, count in one.counts.items():
            counts[name] += count
    print(f"all the same: {options.rounds} rounds, {counts['writes']} writes to each of 3 files,"
          f" {counts['fetches']} fetches of each by both")


if __name__ == "__main__":
    main()
