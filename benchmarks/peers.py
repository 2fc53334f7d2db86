"""How long one batch takes, beside the other runtimes.

    peers.py FOLDER [--models a,b] [--threads 1,2] [--batches 1,8] [--rounds 5] [--quick] [--write] [--bound 1.3]

FOLDER is what export.py made. The runtimes take turns, so that a slow minute of the machine hits them all: one round lets the threads of
the one before come to rest, and runs each of them once to warm its weights, then three times, of which the median counts (once, where it takes a second). A ratio is
the median over the rounds of the ratio in the same round: below 1 is faster. Errors are relative, ‖y − r‖ / ‖r‖ against PyTorch in float64. The
fastest peer is that of those within 1e-5, and of all. `--write` puts the table into docs/performance.md; the run fails
where the geometric mean against the fastest peer within 1e-5 is above `--bound`.
"""

import argparse
import math
import os
import re
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from contestants import CONTESTANTS, ROOT, Unable

EXACT = 1e-5
QUICK = ("resnet18", "vgg16", "convnext_small")
PAGE = ROOT / "docs" / "performance.md"
# Threads of ONNX Runtime look out for work for 40 ms after a run, those of ncnn for 8: nobody is timed beside them.
REST = 0.05
MARKS = ("<!-- made by benchmarks/peers.py -->", "<!-- end -->")


def lap(run, x):
    start = time.perf_counter()
    run(x)
    return time.perf_counter() - start


def measure(path, batch, threads, rounds):
    """{runtime: (seconds of each round, relative error)}"""
    data = np.load(path.with_suffix(".npz"))
    x, expected = data["x"][:batch], data["y"][:batch]
    runs, errors = {}, {}
    for name, make in CONTESTANTS.items():
        try:
            run = make(path, threads, batch)
            errors[name] = float(np.linalg.norm(run(x) - expected) / np.linalg.norm(expected))
            runs[name] = run
        except Unable as reason:
            print(f"  {name}: {reason}", file=sys.stderr)
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            time.sleep(REST)
            # What takes a second is as exact by one.
            laps = 1 if lap(run, x) > 1 else 3
            seconds[name].append(median(lap(run, x) for _ in range(laps)))
    return {name: (seconds[name], errors[name]) for name in runs}


def ratio(found, name, other):
    return median(mine / theirs for mine, theirs in zip(found[name][0], found[other][0]))


def fastest(found, bound):
    peers = [name for name in found if name != "limpid" and found[name][1] <= bound]
    return min(peers, key=lambda name: median(found[name][0])) if peers else None


def processor():
    text = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    flags = set(re.search(r"flags\s*: (.*)", text)[1].split())
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{model[1] if model else '?'}, {len(os.sched_getaffinity(0))} cores, {' '.join(known)}"


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def table(results):
    """Rows of the page: of each network, threads and batch."""
    lines = [
        f"{processor()}; {', '.join(CONTESTANTS)}.", "",
        "| network | threads, batch | ms | of the fastest peer within 1e-5 | of the fastest | of ONNX Runtime | error |",
        "|---|---|---|---|---|---|---|"]
    columns = {EXACT: [], math.inf: [], "onnxruntime": []}
    for (name, threads, batch), found in results.items():
        cells = []
        for key in columns:
            peer = key if key == "onnxruntime" else fastest(found, key)
            if peer in found:
                columns[key].append(ratio(found, "limpid", peer))
                cells.append(f"{columns[key][-1]:.2f}" + ("" if key == "onnxruntime" else f" {peer}"))
            else:
                cells.append("")
        lines.append(
            f"| {name} | {threads}, {batch} | {1e3 * median(found['limpid'][0]):.1f} | {' | '.join(cells)} "
            f"| {found['limpid'][1]:.0e} |")
    means = [mean(values) for values in columns.values()]
    lines.append(f"| geometric mean | | | {' | '.join(f'{value:.2f}' for value in means)} | |")
    return lines, means[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", default="")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="three networks, one thread, batch 1")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--bound", type=float, default=1.3)
    arguments = parser.parse_args()
    if len(CONTESTANTS) < 2:
        parser.error("there is nothing to compare with: install onnxruntime, openvino, MNN, ncnn and pnnx")
    names = arguments.models.split(",") if arguments.models else QUICK if arguments.quick else None
    threads, batches = ("1", "1") if arguments.quick else (arguments.threads, arguments.batches)
    print(processor())
    print(f"{'model':16} threads batch {'runtime':12} {'ms':>9} {'least':>9} {'limpid/it':>9}  error")
    results = {}
    for path in sorted(arguments.folder.glob("*.onnx")):
        if names and path.stem not in names:
            continue
        for count in map(int, threads.split(",")):
            for batch in map(int, batches.split(",")):
                found = measure(path, batch, count, arguments.rounds)
                results[path.stem, count, batch] = found
                for name, (seconds, error) in found.items():
                    print(
                        f"{path.stem:16} {count:7} {batch:5} {name:12} {1e3 * median(seconds):9.2f} "
                        f"{1e3 * min(seconds):9.2f} {ratio(found, 'limpid', name):9.2f}  {error:.0e}", flush=True)
    lines, geometric = table(results)
    print("\n".join(lines))
    if arguments.write:
        text = PAGE.read_text()
        before, after = text.split(MARKS[0])[0], text.split(MARKS[1])[1]
        PAGE.write_text(before + "\n".join([MARKS[0], "", *lines, "", MARKS[1]]) + after)
    if geometric > arguments.bound:
        print(f"the geometric mean, {geometric:.2f}, is above the bound, {arguments.bound}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
