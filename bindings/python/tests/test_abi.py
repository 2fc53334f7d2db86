"""The structs and functions of `_abi` are those of the C header."""

import ctypes
import re
import subprocess

import pytest
from conftest import ROOT

from limpid import _abi

HEADER = ROOT / "include" / "limpid" / "limpid.h"
STRUCTS = {
    "limpid_image_view": _abi.ImageView, "limpid_image_options": _abi.ImageOptions,
    "limpid_model_options": _abi.ModelOptions,
    "limpid_model_info": _abi.ModelInfo, "limpid_method_info": _abi.MethodInfo,
    "limpid_parameter_info": _abi.ParameterInfo, "limpid_parameter": _abi.Parameter,
    "limpid_run_options": _abi.RunOptions, "limpid_map_view": _abi.MapView,
    "limpid_tensor_view": _abi.TensorView, "limpid_render_options": _abi.RenderOptions,
    "limpid_choice": _abi.Choice, "limpid_field": _abi.Field,
    "limpid_metric_info": _abi.MetricInfo, "limpid_measure_options": _abi.MeasureOptions,
    "limpid_report_item": _abi.ReportItem,
    "limpid_use": _abi.Use, "limpid_evaluation_options": _abi.EvaluationOptions, "limpid_value_info": _abi.ValueInfo,
}
CONSTANTS = {
    "LIMPID_PIXEL_RGB8": _abi.RGB8, "LIMPID_PIXEL_RGBA8": _abi.RGBA8, "LIMPID_PIXEL_GRAY8": _abi.GRAY8,
    "LIMPID_PIXEL_MODEL_F32": _abi.MODEL_F32, "LIMPID_PRECISION_FLOAT32": _abi.PRECISIONS["float32"],
    "LIMPID_PRECISION_FAST": _abi.PRECISIONS["fast"], "LIMPID_PRECISION_BFLOAT16": _abi.PRECISIONS["bfloat16"],
    "LIMPID_LOG_ERROR": _abi.LOG_ERROR, "LIMPID_LOG_DEBUG": _abi.LOG_DEBUG,
    "LIMPID_CLASS_PREDICTED": _abi.CLASS_PREDICTED,
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """{"struct.field": (offset, size), "struct": (size, 0), "CONSTANT": (value, 0)} as a C compiler sees the header."""
    lines = []
    for name, mirror in STRUCTS.items():
        lines.append(f'printf("{name} %zu 0\\n", sizeof({name}));')
        for field, _ in mirror._fields_:
            lines.append(f'printf("{name}.{field} %zu %zu\\n", offsetof({name}, {field}), sizeof((({name}*)0)->{field}));')
    lines += [f'printf("{name} %d 0\\n", (int){name});' for name in CONSTANTS]
    folder = tmp_path_factory.mktemp("abi")
    source = folder / "printer.c"
    source.write_text("#include <limpid/limpid.h>\n#include <stdio.h>\nint main(void) {\n%s\nreturn 0; }\n" % "\n".join(lines))
    subprocess.run(["cc", "-I", HEADER.parents[1], source, "-o", folder / "printer"], check=True)
    text = subprocess.run([folder / "printer"], check=True, capture_output=True, text=True).stdout
    return {name: (int(a), int(b)) for name, a, b in map(str.split, text.splitlines())}


@pytest.mark.parametrize("name", STRUCTS)
def test_struct_has_the_layout_of_the_header(compiled, name):
    mirror = STRUCTS[name]
    assert ctypes.sizeof(mirror) == compiled[name][0]
    for field, _ in mirror._fields_:
        descriptor = getattr(mirror, field)
        assert (descriptor.offset, descriptor.size) == compiled[f"{name}.{field}"], field


@pytest.mark.parametrize("name", STRUCTS)
def test_struct_has_every_field_of_the_header(name):
    body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (name, name), HEADER.read_text(), re.DOTALL).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
    assert re.findall(r"(\w+);", body) == [field for field, _ in STRUCTS[name]._fields_]


def test_constants_are_those_of_the_header(compiled):
    assert {name: compiled[name][0] for name in CONSTANTS} == CONSTANTS


def test_every_function_of_the_header_has_a_prototype_with_as_many_parameters():
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.DOTALL)
    declared = {
        name: 0 if parameters.strip() == "void" else parameters.count(",") + 1
        for name, parameters in re.findall(r"LIMPID_API [^(]*?(\w+)\(([^)]*)\);", text)
    }
    assert len(declared) > 40
    assert {name: len(parameters) for name, (_, parameters) in _abi.PROTOTYPES.items()} == declared
