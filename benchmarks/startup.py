"""From a file to the first logits: how long, and how much memory, each runtime in processes of its own.

    startup.py MODEL.onnx [--threads 2] [--rounds 5]

The runtimes take turns; the file is in the system's cache. Memory is the largest resident set of the process, and that
beyond what it had with the runtime imported, in multiples of the file.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
from contestants import CONTESTANTS as ALL

# Those that open an ONNX file themselves.
CONTESTANTS = {name: make for name, make in ALL.items() if name in ("limpid", "onnxruntime", "openvino")}


def resident(key):
    """"VmRSS" now or "VmHWM" at most, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(key))


def once(name, path, threads):
    __import__(name)
    x = np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32)
    before = resident("VmRSS")
    start = time.perf_counter()
    CONTESTANTS[name](path, threads, 1)(x)
    seconds = time.perf_counter() - start
    peak = resident("VmHWM")
    return {"seconds": seconds, "peak": peak, "own": peak - before}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--once", choices=CONTESTANTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.once:
        print(json.dumps(once(arguments.once, arguments.model, arguments.threads)))
        return
    size = len(arguments.model.read_bytes())
    results = {name: [] for name in CONTESTANTS}
    for _ in range(arguments.rounds):
        for name in results:
            command = [sys.executable, __file__, arguments.model, "--threads", str(arguments.threads), "--once", name]
            results[name].append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    print(f"{arguments.model.name}, {size / 1e6:.0f} MB, {arguments.threads} threads")
    print(f"{'runtime':12} {'seconds':>8} {'peak MB':>8} {'own MB':>7} {'own / file':>10}")
    for name, laps in results.items():
        seconds, peak, own = (median(lap[key] for lap in laps) for key in ("seconds", "peak", "own"))
        print(f"{name:12} {seconds:8.2f} {peak / 1e6:8.0f} {own / 1e6:7.0f} {own / size:10.2f}")


if __name__ == "__main__":
    main()
