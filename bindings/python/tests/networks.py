"""Small networks, made with the package onnx, whose reference evaluator is the judge."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "float64": TensorProto.DOUBLE,
         "uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "int64": TensorProto.INT64}


class Network:
    """Nodes are added by their operators; weights are arrays."""

    def __init__(self, seed=0):
        self.nodes, self.weights = [], []
        self.random = np.random.default_rng(seed)

    def weight(self, array):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def __call__(self, operator, *inputs, to=None, outputs=1, **attributes):
        inputs = [self.weight(i) if isinstance(i, (np.ndarray, np.generic)) else i for i in inputs]
        names = [to or f"v{len(self.nodes)}"] + [f"v{len(self.nodes)}.{i}" for i in range(1, outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names[0]

    def normal(self, *shape):
        return self.random.normal(size=shape).astype(np.float32)

    def features(self, planes, channels, maps=6):
        """Feature maps [N, maps, h, w] of planes [N, channels, h, w]."""
        convolved = self("Conv", planes, self.normal(maps, channels, 3, 3), self.normal(maps), pads=[1, 1, 1, 1])
        return self("Relu", convolved)

    def logits(self, planes, channels, classes=5, maps=6, **options):
        pooled = self("Flatten", self("GlobalAveragePool", self.features(planes, channels, maps)))
        return self("Gemm", pooled, self.normal(maps, classes), self.normal(classes), **options)

    def save(self, path, inputs, outputs, metadata=()):
        """inputs, outputs: {name: (type, shape)}. Gives the judge: feeds to the outputs, in order."""
        values = [[helper.make_tensor_value_info(name, TYPES[kind], shape) for name, (kind, shape) in part.items()]
                  for part in (inputs, outputs)]
        graph = helper.make_graph(self.nodes, "network", *values, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, dict(metadata))
        path.write_bytes(model.SerializeToString())
        return lambda **feeds: ReferenceEvaluator(model).run(None, feeds)


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
