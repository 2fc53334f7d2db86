"""The examples of docs/python.md do what they say; those without an answer are at least Python."""

import doctest
import re
import shutil

import pytest
from conftest import ROOT

pytest.importorskip("PIL.Image")
PAGE = ROOT / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_examples_with_answers_are_run(tmp_path, monkeypatch):
    digits = ROOT / "examples" / "digits"
    shutil.copy(digits / "scouter-positive.onnx", tmp_path)
    shutil.copytree(digits / "images" / "large", tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    text = "\n".join(block for block in BLOCKS if block.startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    found = runner.run(test, out=report.append)
    assert found.failed == 0, "".join(report)
    assert found.attempted > 35


def test_examples_without_answers_are_python():
    others = [block for block in BLOCKS if not block.startswith(">>>")]
    assert len(others) >= 4
    for block in others:
        compile(block, PAGE.name, "exec")
