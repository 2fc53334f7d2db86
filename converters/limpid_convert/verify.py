"""Checks a written model: its structure always, its numbers where ONNX Runtime is installed."""

from __future__ import annotations

import numpy as np
import onnx

from limpid_convert.errors import ConversionError

#: Largest difference between a picture alone and in a batch, relative to the output's range. Rounding may differ
#: (other tiles, other sums), which heads that divide by small sums amplify; mixed-up pictures differ by about 1.
_BATCH_TOLERANCE = 1e-2

_FLOATS = {"float": np.float32, "float16": np.float16, "double": np.float64}


def verify(path):
    """Lines that say what was checked. Raises ConversionError if the model is not right."""
    try:
        onnx.checker.check_model(path, full_check=True)
    except Exception as error:  # onnx raises several kinds
        raise ConversionError(f"{path}: the written model is not valid ONNX ({str(error)[:300]})") from None
    lines = ["checked: valid ONNX, shapes consistent"]
    try:
        import onnxruntime
    except ImportError:
        return lines + ["not run: onnxruntime is not installed"]
    return lines + _run(onnxruntime, path)


def _run(onnxruntime, path):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        inputs = session.get_inputs()
        fixed = next((i.shape[0] for i in inputs if i.shape and isinstance(i.shape[0], int) and i.shape[0] > 0), None)
        batch = fixed or 2
        feeds = {i.name: _noise(i, batch, index) for index, i in enumerate(inputs)}
        names = [o.name for o in session.get_outputs()]
        both = session.run(names, feeds)
        alone = [both] if fixed else [
            session.run(names, {n: a[i : i + 1] if a.ndim else a for n, a in feeds.items()}) for i in range(batch)]
    except Exception as error:  # onnxruntime has a class per status, none public
        raise ConversionError(f"{path}: ONNX Runtime does not run the written model ({str(error)[:300]})") from None
    fed = ", ".join(str(list(array.shape)) for array in feeds.values())
    lines = [f"ran in ONNX Runtime {onnxruntime.__version__} on noise of shape {fed}:"]
    for index, name in enumerate(names):
        parts = [a[index] for a in alone]
        if isinstance(both[index], np.ndarray) and both[index].dtype.kind == "f":  # labels beside the scores are not
            lines.append("  " + _compare(path, name, np.concatenate(parts) if both[index].ndim else parts[0],
                both[index]))
    return lines


def _noise(info, batch, seed):
    """Numbers for an input: noise where they may be fractions, small whole numbers elsewhere. Open extents are 224 for
    images and 1 for other inputs."""
    if info.type == "tensor(string)":
        return np.full([batch], "", dtype=object)
    open_extent = 224 if len(info.shape) >= 3 else 1
    shape = [d if isinstance(d, int) and d > 0 else open_extent for d in info.shape]
    if shape and not (isinstance(info.shape[0], int) and info.shape[0] > 0):
        shape[0] = batch
    random, kind = np.random.default_rng(seed), info.type[len("tensor(") : -1]
    if kind in _FLOATS:
        return random.standard_normal(shape).astype(_FLOATS[kind])
    return random.integers(0, 256 if kind == "uint8" else 2, shape).astype(kind if kind != "bool" else np.bool_)


def _compare(path, name, alone, both):
    """One output: pictures one by one against the same pictures in a batch."""
    if alone.shape != both.shape or not (np.isfinite(alone).all() and np.isfinite(both).all()):
        raise ConversionError(f"{path}: output {name!r} of the written model is not finite, or has no batch axis")
    spread = float(both.max() - both.min()) or 1.0
    difference = float(np.abs(alone - both).max()) / spread
    if difference > _BATCH_TOLERANCE:
        raise ConversionError(f"{path}: output {name!r} of a picture depends on the others in its batch")
    return (f"{name} {list(both.shape)} from {both.min():.4g} to {both.max():.4g}; "
            f"one by one and as a batch differ by {difference:.1e} of that range")
