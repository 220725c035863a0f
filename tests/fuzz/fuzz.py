"""Damaged files of every kind that is read: each is read or refused, and nothing else happens.

    python tests/fuzz/fuzz.py [--inputs 10000] [--only stl ply ...] [--seed 0] [--found FOLDER] [--out RESULT.json]

Valid files are mutated (bytes flipped, cut, repeated and spliced, numbers replaced by extreme ones) and read in forked
processes with bounded memory and time. A finding is an exception that is not ours, a process that dies, an input that
takes more than ``SECONDS``, or more than ``MEMORY`` bytes; its input is kept in FOLDER. VTK files are read in a process
of their own, which may die. Exit code 1 if there is any finding.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from seeds import Target, targets

from toothgraph.errors import ToothgraphError
from toothgraph.system import provenance
from toothgraph.system.files import write_text

SECONDS = 20  # that one input may take
MEMORY = 1_500_000_000  # bytes above what the process has when it begins
CHUNK = 500  # inputs per process
EXTREME = (b"4294967295", b"-1", b"0", b"nan", b"inf", b"1e308", b"-9223372036854775808", b"99999999999999999999", b"x")
WORDS = tuple(value.to_bytes(4, order) for value in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0, 1)
              for order in ("little", "big"))  # fmt: skip


def mutated(seeds: list[bytes], rng: np.random.Generator) -> bytes:
    """A valid content with one to eight mutations."""
    data = bytearray(seeds[rng.integers(len(seeds))])
    for _ in range(int(rng.integers(1, 9))):
        if not data:
            break
        place, size = int(rng.integers(len(data))), int(min(rng.geometric(0.05), 400))
        # Headers are short and decide most: half of the mutations are there.
        place = min(place, int(rng.integers(1, 200))) if rng.uniform() < 0.5 else place
        match int(rng.integers(9)):
            case 0:
                data[place] ^= 1 << int(rng.integers(8))
            case 1:
                data[place : place + size] = rng.bytes(size)
            case 2:
                del data[place : place + size]
            case 3:
                data[place:place] = data[place : place + size] * int(rng.integers(1, 4))
            case 4:
                data[place : place + 4] = WORDS[rng.integers(len(WORDS))]
            case 5:
                del data[place:]
            case 6:
                other = seeds[rng.integers(len(seeds))]
                data[place:] = other[min(place, len(other)) :]
            case _:
                _replace_number(data, place, rng)
    return bytes(data)


def _replace_number(data: bytearray, place: int, rng: np.random.Generator) -> None:
    """Put an extreme number where the next one stands."""
    digits = b"0123456789.-+e"
    start = next((k for k in range(place, min(place + 300, len(data))) if data[k] in b"0123456789"), None)
    if start is not None:
        end = start
        while end < len(data) and data[end] in digits:
            end += 1
        data[start:end] = EXTREME[rng.integers(len(EXTREME))]


def inputs(target: Target, seed: int, first: int, last: int) -> Iterator[tuple[int, bytes]]:
    """The inputs of those numbers; each depends on the seed and its own number alone."""
    for number in range(first, last):
        yield number, mutated(target.seeds, np.random.default_rng([seed, number]))


def read_all(target: Target, seed: int, first: int, last: int, report: int) -> None:
    """In a child: read inputs one after another; a line for each, before and after."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder  # what is unpacked goes with it
        path = Path(folder) / target.file
        for number, data in inputs(target, seed, first, last):
            os.write(report, f"{number}\n".encode())
            path.write_bytes(data)
            signal.alarm(SECONDS)
            try:
                target.read(path)
                outcome = "read"
            except ToothgraphError:
                outcome = "refused"
            except BaseException:
                outcome = json.dumps(traceback.format_exc().splitlines()[-3:])
            signal.alarm(0)
            os.write(report, f"{number} {outcome}\n".encode())


def run_chunk(target: Target, seed: int, first: int, last: int) -> Iterator[tuple[int, str]]:
    """Read inputs in a forked process; begins again behind one that ends it."""
    while first < last:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries print
            os.dup2(2, 1)
            read_all(target, seed, first, last, writer)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            begun = first - 1
            for line in lines:
                number, _, outcome = line.strip().partition(" ")
                begun = int(number)
                if outcome:
                    yield begun, outcome
                    first = begun + 1
        status = os.waitpid(child, 0)[1]
        if status:
            yield begun, json.dumps([f"the process ended with status {status}"])
            first = begun + 1


def main(argv: list[str] | None = None) -> int:
    """Read and count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=10_000, help="of each kind")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--found", type=Path, default=Path("fuzz-found"), help="gets inputs that are findings")
    parser.add_argument("--out", type=Path, help="result file")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        every = targets(Path(folder))
        for name in options.only or every:
            begun, count, findings = time.monotonic(), {"read": 0, "refused": 0, "died": 0}, {}
            for first in range(0, options.inputs, CHUNK):
                last = min(first + CHUNK, options.inputs)
                for number, outcome in run_chunk(every[name], options.seed, first, last):
                    if outcome.startswith('["the process') and every[name].own_process:
                        outcome = "died"
                    if outcome in count:
                        count[outcome] += 1
                        continue
                    findings.setdefault(outcome, number)
                    options.found.mkdir(parents=True, exist_ok=True)
                    data = next(data for _, data in inputs(every[name], options.seed, number, number + 1))
                    (options.found / f"{name}-{number}-{every[name].file}").write_bytes(data)
                    print(f"{name} {number}: {outcome}", flush=True)
            seconds = time.monotonic() - begun
            rows.append({"kind": name, "inputs": options.inputs, **count, "findings": findings, "seconds": seconds})
            counted = ", ".join(f"{number} {outcome}" for outcome, number in count.items())
            print(f"{name}: {options.inputs} inputs, {counted}, {len(findings)} kinds of findings, {seconds:.0f} s",
                  flush=True)  # fmt: skip
    if options.out:
        content = {"seed": options.seed, "facts": provenance.facts(), "rows": rows}
        write_text(options.out, json.dumps(content, indent=1) + "\n")
    return int(any(row["findings"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
