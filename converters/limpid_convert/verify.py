"""Checks a written model: its structure always, its numbers where ONNX Runtime is installed."""

from __future__ import annotations

import numpy as np
import onnx

from limpid_convert.errors import ConversionError

#: Largest difference between a picture alone and in a batch, relative to the output's range. Rounding may differ
#: (other tiles, other sums), which heads that divide by small sums amplify; mixed-up pictures differ by about 1.
_BATCH_TOLERANCE = 1e-2


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
        feed = session.get_inputs()[0]
        shape = [d if isinstance(d, int) else 224 for d in feed.shape[1:]]
        batch = feed.shape[0] if isinstance(feed.shape[0], int) else 2
        pictures = np.random.default_rng(0).standard_normal((batch, *shape)).astype(np.float32)
        names = [o.name for o in session.get_outputs()]
        both = session.run(names, {feed.name: pictures})
        fixed = isinstance(feed.shape[0], int)
        alone = [both] if fixed else [session.run(names, {feed.name: pictures[i : i + 1]}) for i in range(batch)]
    except Exception as error:  # onnxruntime has a class per status, none public
        raise ConversionError(f"{path}: ONNX Runtime does not run the written model ({str(error)[:300]})") from None
    lines = [f"ran in ONNX Runtime {onnxruntime.__version__} on noise of shape {list(pictures.shape)}:"]
    for index, name in enumerate(names):
        lines.append("  " + _compare(path, name, np.concatenate([a[index] for a in alone]), both[index]))
    return lines


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
