"""What a call from Python costs beyond its work: a network of one tiny node, by the package and by the C function alone.

    python benchmarks/python_call.py

Processor time of the calling thread, the median of 15 times 2000 calls, with the network's work on that thread.
"""

import ctypes
import threading
import time

import numpy as np
from onnx import TensorProto, helper

import limpid
from limpid import _abi
from limpid._library import library


def microseconds(function, calls=2000, rounds=15):
    function()
    found = []
    for _ in range(rounds):
        start = time.thread_time()
        for _ in range(calls):
            function()
        found.append((time.thread_time() - start) / calls * 1e6)
    return sorted(found)[rounds // 2]


def main():
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
              for name, shape in (("x", [1, 1, 2, 2]), ("y", [1, 4]))]
    graph = helper.make_graph([helper.make_node("Flatten", ["x"], ["y"])], "tiny", values[:1], values[1:])
    model = limpid.Model(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), threads=1)
    x = np.ones((1, 2, 2), np.float32)
    views = (_abi.ImageView * 1)(_abi.ImageView(pixels=x.ctypes.data, width=2, height=2, format=_abi.MODEL_F32))
    result = np.empty(4, np.float32)
    handle, address = model._handle, result.ctypes.data
    bare = microseconds(lambda: library.limpid_classify(handle, views, 1, None, address, 4))
    print(f"limpid_classify by ctypes   {bare:6.1f} µs")

    def report(name, function):
        cost = microseconds(function)
        print(f"{name:27} {cost:6.1f} µs, {cost - bare:5.1f} beyond it")

    report("Model.classify", lambda: model.classify(x))
    thread = threading.Thread(target=report, args=("  on another thread", lambda: model.classify(x)))
    thread.start()
    thread.join()
    feeds = {"x": x[None]}
    report("Model.run", lambda: model.run(feeds, "y"))


if __name__ == "__main__":
    main()
