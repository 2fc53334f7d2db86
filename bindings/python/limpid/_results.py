"""What an evaluation came to."""

from __future__ import annotations

import csv
import ctypes
import io
import json
from typing import Any, Dict, List, Optional

from ._errors import Unsupported
from ._evaluating import ProgressFunction
from ._interruption import Interruption
from ._library import encoded, library, path_bytes, taken
from ._options import run_options
from ._samples import Samples


class Results(Samples):
    """Documents, tables and pages of what was found so far."""

    def document(self, name: str) -> bytes:
        """One of the files that `write` writes: "results.json", "results.csv", "images.csv", "curves.csv", …"""
        out = ctypes.c_void_p()
        library.limpid_evaluation_document(self._handle, encoded(name), ctypes.byref(out))
        return taken(out.value)

    def write(self, folder: Any, *, progress: Optional[ProgressFunction] = None) -> None:
        """Writes all results into a folder; the images that the report shows are explained again for it."""
        with Interruption(progress) as interruption:
            library.limpid_evaluation_write_with(self._handle, path_bytes(folder), run_options(interruption))

    @property
    def summary(self) -> Dict[str, Any]:
        """All of the results but the values of every image: settings, accuracy, confusion, means, comparisons."""
        found: Dict[str, Any] = json.loads(self.document("results.json"))
        return found

    def table(self) -> List[Dict[str, Any]]:
        """A row for each method and metric: mean, interval, images, whether it is the best. For `pandas.DataFrame`."""
        names = ("method", "metric", "mean", "low", "high", "images", "better", "best")
        return [{name: row[name] for name in names} for row in self.summary["results"]]

    @property
    def images(self) -> List[Dict[str, Any]]:
        """A row for each image that has a record, in the order of the data set."""
        rows = csv.DictReader(io.StringIO(self.document("images.csv").decode("utf-8", "replace"), newline=""))
        return [{name: _value(name, text) for name, text in row.items()} for row in rows]

    def to_parquet(self, path: Any) -> None:
        """Writes `images` as a Parquet file; needs the package pyarrow."""
        try:
            import pyarrow  # type: ignore[import-untyped,import-not-found,unused-ignore]
            import pyarrow.parquet  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise Unsupported("Parquet files need the package pyarrow: pip install pyarrow") from None
        rows = self.images
        columns = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
        types = {name: _arrow_type(pyarrow, name) for name in columns}
        arrays = {name: pyarrow.array(values, types[name]) for name, values in columns.items()}
        pyarrow.parquet.write_table(pyarrow.table(arrays), path)


_TEXTS = ("name", "failed")
_INTEGERS = ("index", "truth", "predicted", "truth_rank")


def _value(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if text == "":
        return None
    return int(text) if name in _INTEGERS or name.endswith(" class") else float(text)


def _arrow_type(pyarrow: Any, name: str) -> Any:
    if name in _TEXTS:
        return pyarrow.string()
    return pyarrow.int64() if name in _INTEGERS or name.endswith(" class") else pyarrow.float64()
