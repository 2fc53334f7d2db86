"""A model, with all that it does."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from ._explaining import Explaining
from ._gradients import Differentiating
from ._model_facts import Info, Method, Scores, Value
from ._model_source import Source_
from ._running import Running
from ._surveying import Surveying


# What is pickled names this module, now as ever.
for _kind in (Info, Method, Scores, Value):
    _kind.__module__ = __name__


class Model(Running, Explaining, Differentiating, Surveying):
    """An ONNX model; any number of threads may use it at once.

    source: the path of a file, its bytes, the file, open, or an `onnx.ModelProto`. threads: 0 for one per core. precision: "float32", "fast"
    (logits within 1e-4, relative) or "bfloat16" (within 2e-2), as far as the processor has it (`computed_precision`). memory_limit: bytes that one call may use;
    0 for the machine's memory. preprocess: how images are prepared, in place of what the file says: "imagenet",
    "imagenet-exact", or steps with semicolons between them. copy: whether files are read into memory; else they are
    mapped, and must not become shorter while the model is in use. refuse_links: whether weights in files behind symbolic
    links are refused. progress: asked while the model is loaded, as in
    `classify`; it stops the load where it returns False.

    A model can be pickled: another process loads it from the same path, with the same options, or from the bytes.
    """

    def __reduce__(self) -> Tuple[Any, ...]:
        return _load, self._recipe


def _load(source: Source_, options: Dict[str, Any]) -> Model:
    return Model(source, **options)
