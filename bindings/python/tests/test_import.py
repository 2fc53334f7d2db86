"""Without the native library the package says what to do."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT


def import_with(library):
    return subprocess.run(
        [sys.executable, "-c", "import limpid"], capture_output=True, text=True, cwd=ROOT / "bindings" / "python",
        env={**os.environ, "LIMPID_LIBRARY": str(library)})


def test_a_missing_library_is_an_import_error_that_says_what_to_do(tmp_path):
    done = import_with(tmp_path / "liblimpid.so.0")
    assert done.returncode == 1
    assert "ImportError: limpid" in done.stderr and "LIMPID_LIBRARY" in done.stderr and str(tmp_path) in done.stderr


@pytest.mark.parametrize("source, words", [
    ("int other;", "not the library of this package"),
    (None, "version 0.1.9"),
])
def test_another_library_is_an_import_error(tmp_path, source, words):
    if source is None:
        from limpid._abi import PROTOTYPES
        stubs = [f"void {name}(void) {{}}" for name in PROTOTYPES if "version" not in name]
        source = "\n".join(stubs) + (
            '\nconst char *limpid_version(void) { return "0.1.9"; }'
            "\nunsigned limpid_version_number(void) { return 1009; }")
    (tmp_path / "stub.c").write_text(source)
    library = tmp_path / "liblimpid.so.0"
    subprocess.run(["cc", "-shared", "-fPIC", "-w", tmp_path / "stub.c", "-o", library], check=True)
    done = import_with(library)
    assert done.returncode == 1 and "ImportError" in done.stderr and words in done.stderr
