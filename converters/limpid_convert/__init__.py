"""Turns checkpoints of explainable image classifiers into ONNX models that limpid runs.

Checkpoints are read without torch and without executing anything that is in them.
"""

from ._version import __version__ as __version__
