"""Limpid as a backend of the `onnx` package: `onnx_backend.run_model(model, inputs)`.

Needs the package `onnx`, which the rest of limpid does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np
import onnx
from onnx import helper
from onnx.backend.base import Backend, BackendRep, namedtupledict

from ._errors import InvalidArgument, LimpidError
from ._model import Model

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    #: By name, in the order of the inputs, or one.
    Inputs = Union[Mapping[str, ArrayLike], Sequence[Optional[ArrayLike]], ArrayLike]

__all__ = ["LimpidBackend", "Representation", "is_compatible", "prepare", "run_model", "run_node",
           "supports_device"]

NEWEST_OPSET = 22


class Representation(BackendRep):
    """A model that is ready to run."""

    def __init__(self, model: onnx.ModelProto, **options: Any) -> None:
        weights = {tensor.name for tensor in model.graph.initializer}
        self._inputs = [value.name for value in model.graph.input if value.name not in weights]
        self._outputs = {value.name: _dtype(value) for value in model.graph.output}
        self._result = namedtupledict("Outputs", list(self._outputs))
        self._model = Model(model.SerializeToString(), **options)

    def run(self, inputs: Inputs, **options: Any) -> Any:
        """The outputs in the model's order, by number or by name.

        inputs: {name: array}, or a list in the order of the inputs that are no weights (an array stands for
        a list of one), in which None leaves an optional input out. options: those of `Model.run`.
        """
        values = self._model.run(self._feeds(inputs), list(self._outputs), **options)
        return self._result(*(
            values[name] if dtype is None else values[name].astype(dtype, copy=False)
            for name, dtype in self._outputs.items()))

    def _feeds(self, inputs: Any) -> Dict[str, ArrayLike]:
        if not isinstance(inputs, dict):
            inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            if len(inputs) > len(self._inputs):
                raise InvalidArgument(f"{len(inputs)} inputs for a model that takes {len(self._inputs)}")
            inputs = dict(zip(self._inputs, inputs))
        return {name: value for name, value in inputs.items() if value is not None}


class LimpidBackend(Backend):
    """The class methods that `onnx.backend.base.Backend` asks for. Options are those of `limpid.Model`."""

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **options: Any) -> bool:
        """Whether Limpid can load the model: whether it knows every operator and type."""
        try:
            cls.prepare(model, device, **options)
        except LimpidError:
            return False
        return True

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **options: Any) -> Representation:
        if not cls.supports_device(device):
            raise InvalidArgument(f"no device {device!r}; Limpid runs on \"CPU\"")
        return Representation(model, **options)

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Inputs, device: str = "CPU", **options: Any) -> Any:
        return cls.prepare(model, device, **options).run(inputs)

    @classmethod
    def run_node(  # type: ignore[override]  # the keyword is ours
        cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU", outputs_info: Any = None, *,
        opset_version: Optional[int] = None, **options: Any,
    ) -> Any:
        """Runs one node on a dict of arrays, or on a list in the order of its inputs. `outputs_info` is not
        needed. `opset_version`: that of the node's domain; None for the newest that Limpid follows."""
        if not isinstance(inputs, dict):
            inputs = dict(zip(node.input, inputs))
        feeds = {name: np.asarray(value) for name, value in inputs.items() if name and value is not None}
        graph = helper.make_graph(
            [node], "node", [_declaration(name, array) for name, array in feeds.items()],
            [onnx.ValueInfoProto(name=name) for name in node.output if name])
        opset = helper.make_opsetid(node.domain, opset_version or NEWEST_OPSET)
        return cls.run_model(helper.make_model(graph, opset_imports=[opset]), feeds, device, **options)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        return device.split(":")[0] == "CPU"



is_compatible = LimpidBackend.is_compatible
prepare = LimpidBackend.prepare
run_model = LimpidBackend.run_model
run_node = LimpidBackend.run_node
supports_device = LimpidBackend.supports_device


def _dtype(value: onnx.ValueInfoProto) -> Optional[np.dtype[Any]]:
    """The declared NumPy type of an output; None where the model leaves it open."""
    number = value.type.tensor_type.elem_type
    return helper.tensor_dtype_to_np_dtype(number) if number else None


def _declaration(name: str, array: NDArray[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
