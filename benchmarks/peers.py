"""How long one batch takes, beside the other runtimes.

    peers.py MODEL.onnx … [--threads 1,2] [--batches 1,8] [--rounds 7]

The runtimes take turns, so that a slow minute of the machine hits them all: one round runs each of them once to warm
its weights, then three times, of which the median counts. Shown are the median of the rounds and, to be believed
sooner, the median over the rounds of the ratio to ONNX Runtime in the same round: below 1 is faster.
"""

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
from contestants import CONTESTANTS

REFERENCE = "onnxruntime"


def lap(run, x):
    start = time.perf_counter()
    run(x)
    return time.perf_counter() - start


def measure(path, batch, threads, rounds):
    """{runtime: (milliseconds, ratio to the reference, relative error against it)}"""
    x = np.random.default_rng(0).standard_normal((batch, 3, 224, 224), np.float32)
    runs = {name: make(path, threads) for name, make in CONTESTANTS.items()}
    logits = {name: run(x).astype(np.float64) for name, run in runs.items()}
    seconds = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run(x)
            seconds[name].append(median(lap(run, x) for _ in range(3)))
    expected = logits[REFERENCE]
    return {
        name: (1e3 * median(seconds[name]),
               median(mine / theirs for mine, theirs in zip(seconds[name], seconds[REFERENCE])),
               np.linalg.norm(logits[name] - expected) / np.linalg.norm(expected))
        for name in runs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if REFERENCE not in CONTESTANTS:
        parser.error(f"there is nothing to compare with: install {REFERENCE}")
    print(f"{'model':20} threads batch {'runtime':12} {'ms':>9} {'ratio':>7}  error")
    for path in arguments.models:
        for threads in map(int, arguments.threads.split(",")):
            for batch in map(int, arguments.batches.split(",")):
                for name, (ms, ratio, error) in measure(path, batch, threads, arguments.rounds).items():
                    print(f"{path.stem:20} {threads:7} {batch:5} {name:12} {ms:9.2f} {ratio:7.2f}  {error:.0e}",
                          flush=True)


if __name__ == "__main__":
    main()
