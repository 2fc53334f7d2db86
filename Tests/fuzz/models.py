"""Models that are well-formed and lie: ONNX's own node tests with attributes, shapes, values and wiring changed.

    models.py FUZZER SECONDS [SEED]

Feeds them to the program FUZZER (Tests/fuzz/loader.c), some at a time; keeps those that end it, with what it said,
in build/fuzz, and exits with 1 where there are any."""
import os
import pickle
import random
import re
import subprocess
import sys
import time

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

INTS = [0, 1, -1, 2, -2, 3, 5, 7, 16, 100, 1 << 15, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 40,
        1 << 48, 1 << 62, (1 << 63) - 1, -(1 << 63), -(1 << 31), -(1 << 62), 1000003]
FLOATS = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e-30, 1e6, 3.4e38, -3.4e38, float("nan"), float("inf"), float("-inf")]
TEXTS = ["", "linear", "cubic", "nearest", "reflect", "edge", "wrap", "SAME_UPPER", "SAME_LOWER", "VALID", "zeros",
         "border", "reflection", "tf_crop_and_resize", "align_corners", "half_pixel_symmetric", "not_smaller",
         "not_larger", "add", "max", "ij->ji", "...ij,...jk->...ik", "ii->i", "a,a->", "abc->", "é,b->b",
         "bidirectional", "CRD", "tanh", "x" * 5000, "LEFT"]
EXTENTS = [0, 0, 1, 1, 2, 3, 4, 5, 7, 8, 16, 33, 100]
# With an empty axis beside them, these need no memory.
HUGE = [1 << 16, 1 << 20, 1 << 24, 1 << 31, 1 << 32, 1 << 40, 1 << 47, 1 << 48, 1 << 62]
TYPES = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16]


def seeds(cache):
  """(model, inputs by name); kept in the file `cache`, since ONNX takes minutes to make them."""
  if os.path.exists(cache):
    with open(cache, "rb") as file:
      return [(onnx.ModelProto.FromString(m), arrays) for m, arrays in pickle.load(file)]
  from onnx.backend.test.case.node import collect_testcases
  models = []
  for case in collect_testcases(None):
    if case.model is None or case.model.ByteSize() > 20000 or not case.data_sets:
      continue
    graph = case.model.graph
    if any(not i.type.HasField("tensor_type") for i in list(graph.input) + list(graph.output)):
      continue
    arrays = case.data_sets[0][0]
    if all(isinstance(a, np.ndarray) and a.dtype != object and a.nbytes < 40000 for a in arrays):
      models.append((case.model, dict(zip((i.name for i in graph.input), arrays))))
  models += [(m, {}) for m in control_flow()]
  models += [(m, {}) for m in volumes()]
  with open(cache, "wb") as file:
    pickle.dump([(m.SerializeToString(), arrays) for m, arrays in models], file)
  return models


def control_flow():
  def value(name, kind=TensorProto.FLOAT, shape=(2,)):
    return helper.make_tensor_value_info(name, kind, shape)

  opsets = [helper.make_opsetid("", 17)]
  out = value("o")
  body = helper.make_graph(
      [helper.make_node("Identity", ["c"], ["d"]), helper.make_node("Add", ["v", "v"], ["w"])], "body",
      [value("i", TensorProto.INT64, ()), value("c", TensorProto.BOOL, ()), value("v")],
      [value("d", TensorProto.BOOL, ()), value("w"), value("w")])
  empty = helper.make_graph([], "body", list(body.input)[:2], list(body.input)[1:2])
  trips = numpy_helper.from_array(np.array(3, np.int64), "n")
  true = numpy_helper.from_array(np.array(True), "t")
  two = numpy_helper.from_array(np.array([1, 2], np.float32), "x")
  yield helper.make_model(helper.make_graph(
      [helper.make_node("Loop", ["n", "t", "x"], ["o", "p"], body=body)], "g", [], [out], [trips, true, two]),
      opset_imports=opsets)
  yield helper.make_model(helper.make_graph(
      [helper.make_node("Loop", ["n", "t"], [], body=empty), helper.make_node("Relu", ["x"], ["o"])], "g", [], [out],
      [trips, true, two]), opset_imports=opsets)
  branch = helper.make_graph([helper.make_node("Relu", ["x"], ["r"])], "b", [], [value("r")])
  for _ in range(8):
    inner = helper.make_node("If", ["t"], ["r"], then_branch=branch, else_branch=branch)
    branch = helper.make_graph([inner], "b", [], [value("r")])
  node = helper.make_node("If", ["t"], ["o"], then_branch=branch, else_branch=branch)
  yield helper.make_model(helper.make_graph([node], "g", [], [out], [true, two]), opset_imports=opsets)
  conv = [helper.make_node("Conv", ["p", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
          helper.make_node("BatchNormalization", ["c", "b", "b", "b", "b"], ["n"]),
          helper.make_node("Add", ["n", "p"], ["s"]), helper.make_node("Relu", ["s"], ["o"])]
  weights = [numpy_helper.from_array(np.ones((4, 4, 3, 3), np.float32), "w"),
             numpy_helper.from_array(np.ones(4, np.float32), "b")]
  yield helper.make_model(helper.make_graph(conv, "g", [value("p", shape=(1, 4, 8, 8))], [out], weights),
                          opset_imports=opsets)


def volumes():
  """Three axes: ONNX's own cases of these are too large to be changed thousands of times."""
  def value(name, shape=(1, 2, 4, 5, 3)):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

  window = dict(kernel_shape=[2, 3, 2], strides=[1, 2, 1], pads=[0, 1, 1, 1, 1, 0])
  nodes = [helper.make_node(name, ["x"], ["o"], **window, **more) for name, more in [
      ("MaxPool", dict(ceil_mode=1, dilations=[2, 1, 1])), ("LpPool", dict(p=3)),
      ("AveragePool", dict(count_include_pad=1, ceil_mode=1))]]
  nodes.append(helper.make_node("MaxPool", ["x"], ["o", "i"], storage_order=1, **window))
  nodes += [helper.make_node(name, ["x"], ["o"]) for name in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")]
  nodes.append(helper.make_node("Resize", ["x", "", "s"], ["o"], mode="linear"))
  nodes.append(helper.make_node("Conv", ["x", "w"], ["o"], pads=[1] * 6))
  nodes.append(helper.make_node("ConvTranspose", ["x", "w"], ["o"], strides=[2] * 3))
  weights = [numpy_helper.from_array(np.array([1, 1, 2, 0.7, 3], np.float32), "s"),
             numpy_helper.from_array(np.ones((2, 2, 3, 3, 3), np.float32), "w")]
  for node in nodes:
    used = [w for w in weights if w.name in node.input]
    yield helper.make_model(helper.make_graph([node], "g", [value("x")], [value("o")], used),
                            opset_imports=[helper.make_opsetid("", 19)])


def known(fuzzer, sources, folder):
  """Those of `sources` whose operators Limpid has, by their operators: each operator gets its share of the time,
  though most of ONNX's cases are made of a few."""
  paths = []
  for i, seed in enumerate(sources):
    paths.append(os.path.join(folder, f"seed-{i}.onnx"))
    model = onnx.ModelProto()
    model.CopyFrom(seed[0])
    with open(paths[-1], "wb") as file:
      file.write(Mutation.named(model).SerializeToString())
  done = subprocess.run([fuzzer, *paths], capture_output=True, text=True, errors="replace",
                        env=os.environ | {"FUZZ_VERBOSE": "1"})
  for path in paths:
    os.remove(path)
  if done.returncode != 0:
    sys.exit(f"a seed ends the harness:\n{done.stderr[-4000:]}")
  by_operator = {}
  for said in done.stderr.split("Running: ")[1:]:
    if not re.search(r"not loaded: .*operator \S+ of domain .* is not supported", said):
      seed = sources[int(re.search(r"seed-(\d+)\.onnx", said)[1])]
      for operator in sorted({n.op_type for n in seed[0].graph.node}):
        by_operator.setdefault(operator, []).append(seed)
  return by_operator


class Mutation:
  def __init__(self, seed):
    self.r = random.Random(seed)

  def shape(self, rank):
    shape = [self.r.choice(EXTENTS) for _ in range(rank)]
    if rank > 1 and self.r.random() < 0.15:
      shape[self.r.randrange(rank)] = self.r.choice(HUGE)
      shape[self.r.randrange(rank)] = 0
    return shape

  def number(self):
    return self.r.choice(INTS) if self.r.random() < 0.5 else self.r.randint(-4, 12)

  def attribute(self, a):
    kind = a.type
    if kind == onnx.AttributeProto.INT:
      a.i = self.number()
    elif kind == onnx.AttributeProto.FLOAT:
      a.f = self.r.choice(FLOATS)
    elif kind == onnx.AttributeProto.STRING:
      a.s = self.r.choice(TEXTS).encode()
    elif kind == onnx.AttributeProto.INTS:
      values = list(a.ints)
      choice = self.r.random()
      if values and choice < 0.75:
        values[self.r.randrange(len(values))] = self.number()
      elif choice < 0.85:
        values.append(self.number())
      else:
        values = values[:-1]
      a.ints[:] = values
    elif kind == onnx.AttributeProto.FLOATS and a.floats:
      a.floats[self.r.randrange(len(a.floats))] = self.r.choice(FLOATS)
    elif kind == onnx.AttributeProto.GRAPH:
      self.graph(a.g)
    elif kind == onnx.AttributeProto.TENSOR:
      self.tensor(a.t)

  def tensor(self, t):
    choice = self.r.random()
    if choice < 0.55:
      array = numpy_helper.to_array(t).copy()
      if array.size == 0 or array.dtype.kind not in "iufb":
        return
      place = self.r.randrange(array.size)
      if array.dtype.kind == "f":
        new = np.array(self.r.choice(FLOATS))
      else:
        new = np.array(self.number() % (1 << 64), np.uint64)
      with np.errstate(all="ignore"):
        array.reshape(-1)[place] = new.astype(array.dtype)
    elif choice < 0.9:
      shape = self.shape(len(t.dims) if self.r.random() < 0.7 else self.r.randint(0, 5))
      if 0 in shape:
        t.CopyFrom(TensorProto(name=t.name, data_type=t.data_type, dims=shape))
        return
      if np.prod(shape, dtype=float) > 100000:
        return
      old = numpy_helper.to_array(t).reshape(-1)
      array = np.resize(old if old.size else np.zeros(1, old.dtype), shape)
    else:
      array = numpy_helper.to_array(t).astype(self.r.choice([np.int64, np.int32, np.float32, np.uint8, np.float16]))
    name = t.name
    t.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))

  def node(self, node):
    choice = self.r.random()
    if choice < 0.6 and node.attribute:
      return self.attribute(self.r.choice(node.attribute))
    names = list(node.input)
    if choice < 0.7 and names:
      names[self.r.randrange(len(names))] = self.r.choice(names)
    elif choice < 0.76 and names:
      names.pop(self.r.randrange(len(names)))
    elif choice < 0.82 and names:
      names[self.r.randrange(len(names))] = ""
    elif choice < 0.87 and names:
      names += [self.r.choice(names)] * self.r.choice([1, 6])
    elif choice < 0.91:
      node.op_type = self.r.choice(self.operators)
    elif choice < 0.95 and node.attribute:
      node.attribute.pop(self.r.randrange(len(node.attribute)))
    elif len(node.output) > 1:
      node.output.pop()
    del node.input[:]
    node.input.extend(names)

  def graph(self, graph):
    choice = self.r.random()
    if choice < 0.5 and graph.node:
      self.node(self.r.choice(graph.node))
    elif choice < 0.8 and graph.initializer:
      self.tensor(self.r.choice(graph.initializer))
    elif graph.input:
      self.input(self.r.choice(graph.input))

  def input(self, value):
    kind = value.type.tensor_type
    if self.r.random() < 0.15:
      kind.elem_type = self.r.choice(TYPES)
      return
    rank = len(kind.shape.dim) if self.r.random() < 0.75 else self.r.randint(0, 6)
    shape = self.shape(rank)
    del kind.shape.dim[:]
    for extent in shape:
      kind.shape.dim.add().dim_value = extent

  def model(self, seed):
    source, arrays = seed
    model = onnx.ModelProto()
    model.CopyFrom(source)
    graph = model.graph
    for name, array in arrays.items():
      # What decides on shapes must be known to the plan, most of the time.
      if self.r.random() < (0.3 if array.dtype.kind == "f" and array.size > 4 else 0.75):
        graph.initializer.append(numpy_helper.from_array(array, name))
        kept = [i for i in graph.input if i.name != name]
        del graph.input[:]
        graph.input.extend(kept)
    for _ in range(self.r.choice([1, 1, 1, 2, 2, 3, 5])):
      self.graph(graph)
    if self.r.random() < 0.1:
      model.opset_import[0].version = self.r.randint(7, 23)
    return self.named(model)

  @staticmethod
  def named(model):
    """Input names that tell the harness what to feed."""
    renamed = {}
    for i, value in enumerate(model.graph.input):
      kind = value.type.tensor_type
      extents = ",".join(str(d.dim_value) for d in kind.shape.dim)
      renamed[value.name] = f"{kind.elem_type}@{extents};{i}"
      value.name = renamed[value.name]
    for node in model.graph.node:
      node.input[:] = [renamed.get(n, n) for n in node.input]
    for value in model.graph.output:
      value.name = renamed.get(value.name, value.name)
    return model


def run(fuzzer, paths, keep):
  """Runs the harness on the files; returns how many ended it."""
  findings = 0
  while paths:
    done = subprocess.run([fuzzer, "-timeout=60", "-rss_limit_mb=1200", "-malloc_limit_mb=600", *paths],
                          capture_output=True, text=True, errors="replace", env=os.environ | {"LLVM_SYMBOLIZER": ""})
    if done.returncode == 0:
      return findings
    last = re.findall(r"^Running: (.*)$", done.stderr, re.M)[-1]
    findings += 1
    os.makedirs(keep, exist_ok=True)
    target = os.path.join(keep, f"finding-{os.getpid()}-{int(time.time() * 1000)}")
    os.replace(last, target + ".onnx")
    text = done.stderr[done.stderr.rindex("Running:"):]
    with open(target + ".txt", "w") as file:
      file.write(text)
    summary = re.findall(r"^(?:SUMMARY:|==\d+== ?ERROR:|.*Fatal error).*$", text, re.M)
    print(target + ".onnx", *summary[:2], sep="\n  ", flush=True)
    paths = paths[paths.index(last) + 1:]
  return findings


def main():
  fuzzer, seconds = sys.argv[1], float(sys.argv[2])
  seed = int(sys.argv[3]) if len(sys.argv) > 3 else int(time.time())
  keep = os.path.join(os.getcwd(), "build", "fuzz")
  work = os.path.join(keep, f"work-{os.getpid()}")
  os.makedirs(work, exist_ok=True)
  sources = seeds(os.path.join(keep, "seeds.pickle"))
  by_operator = known(fuzzer, sources, work)
  Mutation.operators = sorted(by_operator)
  end, count, findings = time.time() + seconds, 0, 0
  loaded = len({id(s) for seeds in by_operator.values() for s in seeds})
  print(f"{loaded} of {len(sources)} seeds, {len(by_operator)} operators, random seed {seed}", flush=True)
  while time.time() < end:
    paths = []
    for _ in range(400):
      mutation = Mutation(f"{seed} {count}")
      count += 1
      try:
        data = mutation.model(mutation.r.choice(by_operator[mutation.r.choice(Mutation.operators)])).SerializeToString()
      except (ValueError, TypeError, OverflowError):
        continue
      paths.append(os.path.join(work, f"{count}.onnx"))
      with open(paths[-1], "wb") as file:
        file.write(data)
    findings += run(fuzzer, paths, keep)
    for path in paths:
      if os.path.exists(path):
        os.remove(path)
  os.rmdir(work)
  print(f"{count} models, {findings} findings")
  sys.exit(findings > 0)


main()
