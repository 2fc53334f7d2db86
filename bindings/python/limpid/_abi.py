"""limpid/limpid.h for ctypes: the structs, and the prototype of every function.

`tests/test_abi.py` compares the structs with what a C compiler makes of the header.
"""

from __future__ import annotations

from ctypes import (
    CDLL, CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_int64, c_size_t,
    c_uint32, c_uint64, c_void_p, sizeof,
)
from typing import Any, Dict, List, Tuple

from ._errors import InvalidArgument, InvalidType, check

LogCallback = CFUNCTYPE(None, c_void_p, c_int32, c_char_p)
ProgressCallback = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)

# limpid_pixel_format
RGB8, RGBA8, GRAY8, MODEL_F32, GRAY16, RGB16 = 1, 2, 3, 4, 5, 6

# limpid_precision
PRECISIONS = {"float32": 1, "fast": 2, "bfloat16": 3}

# limpid_log_level
LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG = 1, 2, 3, 4

CLASS_PREDICTED = -1


class Sized(Structure):
    """A struct that begins with its own size, by which the library knows the version of its caller."""

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(struct_size=sizeof(type(self)), **fields)
        except TypeError as error:
            raise self._wrong(fields, error) from None
        for name, value in fields.items():
            # ctypes drops the bits that do not fit
            if isinstance(value, int) and getattr(self, name) != value:
                raise InvalidArgument(f"{name} is out of range: {value}")

    def _wrong(self, fields: Dict[str, Any], error: TypeError) -> InvalidType:
        """Which of the fields is of a type that it does not take."""
        for name, value in fields.items():
            try:
                setattr(self, name, value)
            except TypeError as own:
                return InvalidType(f"{name} is of a wrong type, {value!r}: {own}")
        return InvalidType(str(error))


class ImageView(Structure):
    _fields_ = [
        ("pixels", c_void_p), ("row_stride", c_int64), ("width", c_int32), ("height", c_int32),
        ("format", c_int32), ("reserved", c_int32),
    ]


class ImageOptions(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("high_byte", c_int32), ("reserved", c_int32), ("progress", ProgressCallback),
        ("user", c_void_p), ("bits", c_int32), ("alpha", c_int32),
    ]


class ModelOptions(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("memory_limit", c_uint64), ("threads", c_int32), ("precision", c_int32),
        ("preprocess", c_char_p), ("copy", c_int32), ("reserved", c_int32), ("progress", ProgressCallback),
        ("user", c_void_p), ("refuse_links", c_int32), ("reserved_2", c_int32),
    ]


class ModelInfo(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("name", c_char_p), ("family", c_char_p), ("class_count", c_size_t),
        ("method_count", c_size_t), ("layer_count", c_size_t), ("input_count", c_size_t),
        ("output_count", c_size_t), ("input_width", c_int32), ("input_height", c_int32),
        ("input_channels", c_int32), ("reserved", c_int32), ("score_kind", c_char_p), ("score_output", c_char_p),
        ("image_input", c_char_p), ("image_layout", c_char_p), ("precision", c_int32), ("computed_precision", c_int32),
        ("image_alpha", c_int32), ("image_bits", c_int32),
    ]


class ValueInfo(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("name", c_char_p), ("shape", POINTER(c_int64)), ("extent_names", POINTER(c_char_p)),
        ("rank", c_size_t), ("type", c_int32), ("has_shape", c_int32),
    ]


class MethodInfo(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("name", c_char_p), ("summary", c_char_p), ("parameter_count", c_size_t),
        ("draws", POINTER(c_char_p)), ("draw_summaries", POINTER(c_char_p)), ("draw_count", c_size_t),
        ("taps_layers", c_int32), ("draws_numbers", c_int32),
    ]


class ParameterInfo(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("name", c_char_p), ("summary", c_char_p), ("default_value", c_double),
        ("minimum", c_double), ("maximum", c_double), ("choices", POINTER(c_char_p)), ("choice_count", c_size_t),
        ("default_choice", c_char_p), ("is_integer", c_int32), ("reserved", c_int32),
    ]


class Parameter(Structure):
    _fields_ = [("name", c_char_p), ("value", c_double)]


class Choice(Structure):
    _fields_ = [("name", c_char_p), ("value", c_char_p)]


class TensorView(Structure):
    _fields_ = [
        ("name", c_char_p), ("data", c_void_p), ("shape", POINTER(c_int64)), ("rank", c_size_t),
        ("type", c_int32), ("reserved", c_int32),
    ]


class RunOptions(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("parameters", POINTER(Parameter)), ("parameter_count", c_size_t),
        ("layer", c_char_p), ("seed", c_uint64), ("progress", ProgressCallback), ("user", c_void_p),
        ("threads", c_int32), ("batch_size", c_int32), ("choices", POINTER(Choice)), ("choice_count", c_size_t),
        ("draws", POINTER(TensorView)), ("draw_count", c_size_t), ("layers", POINTER(c_char_p)),
        ("layer_count", c_size_t), ("output", c_char_p), ("feeds", POINTER(TensorView)), ("feed_count", c_size_t),
    ]


class MetricInfo(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("name", c_char_p), ("summary", c_char_p), ("parameter_count", c_size_t),
        ("draws", POINTER(c_char_p)), ("draw_summaries", POINTER(c_char_p)), ("draw_count", c_size_t),
        ("maps", c_char_p), ("needs_model", c_int32), ("needs_method", c_int32), ("draws_numbers", c_int32),
        ("reserved", c_int32), ("better", c_char_p),
    ]


class MeasureOptions(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("run", POINTER(RunOptions)), ("method", c_char_p),
        ("method_options", POINTER(RunOptions)),
    ]


class ReportItem(Structure):
    _fields_ = [("name", c_char_p), ("image", ImageView), ("explanation", c_void_p), ("index", c_size_t)]


FileCallback = CFUNCTYPE(c_int32, c_void_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t))


class Use(Structure):
    _fields_ = [("name", c_char_p), ("options", POINTER(RunOptions))]


class EvaluationOptions(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("data", c_char_p), ("data_name", c_char_p), ("format", c_char_p), ("images", c_char_p),
        ("class_file", c_char_p), ("split", c_char_p), ("first_classes", c_uint64), ("limit", c_uint64),
        ("sample", c_uint64), ("seed", c_uint64), ("methods", POINTER(Use)), ("method_count", c_size_t),
        ("metrics", POINTER(Use)), ("metric_count", c_size_t), ("explained", c_char_p),
        ("class_table", POINTER(c_int32)), ("class_table_count", c_size_t), ("run", POINTER(RunOptions)),
        ("confidence", c_double), ("resamples", c_int64), ("high_byte", c_int32), ("bits", c_int32),
    ]


class MapView(Structure):
    _fields_ = [
        ("values", POINTER(c_float)), ("width", c_int32), ("height", c_int32), ("minimum", c_float),
        ("maximum", c_float),
    ]


class Field(Structure):
    _fields_ = [
        ("width", c_int32), ("height", c_int32), ("x", c_double), ("y", c_double), ("seen_width", c_double),
        ("seen_height", c_double),
    ]


class RenderOptions(Sized):
    _fields_ = [
        ("struct_size", c_size_t), ("colormap", c_char_p), ("style", c_char_p), ("opacity", c_float),
        ("width", c_int32), ("height", c_int32), ("scale", c_int32), ("field", POINTER(Field)),
        ("progress", ProgressCallback), ("user", c_void_p),
    ]


_handle = c_void_p
_out = POINTER(c_void_p)
_images = POINTER(ImageView)
_names = POINTER(c_char_p)
_tensors = POINTER(TensorView)
_run = POINTER(RunOptions)


ImageCallback = CFUNCTYPE(c_int32, c_void_p, c_size_t, POINTER(ImageView))


class Status:
    """Stands for the result type, c_int32, of the functions that can fail; such a call raises instead of returning."""


# name: (result, parameters), in the order of the header
PROTOTYPES: Dict[str, Tuple[Any, List[Any]]] = {
    "limpid_status_name": (c_char_p, [c_int32]),
    "limpid_last_error": (c_char_p, []),
    "limpid_version": (c_char_p, []),
    "limpid_version_number": (c_uint32, []),
    "limpid_build_info": (c_char_p, []),
    "limpid_set_log_handler": (None, [LogCallback, c_void_p, c_int32]),
    "limpid_bytes_data": (c_void_p, [_handle]),
    "limpid_bytes_size": (c_size_t, [_handle]),
    "limpid_bytes_free": (None, [_handle]),
    "limpid_image_load_file": (Status, [c_char_p, _out]),
    "limpid_image_load_memory": (Status, [c_char_p, c_size_t, _out]),
    "limpid_image_load_file_with": (Status, [c_char_p, POINTER(ImageOptions), _out]),
    "limpid_image_load_memory_with": (Status, [c_char_p, c_size_t, POINTER(ImageOptions), _out]),
    "limpid_image_get_view": (ImageView, [_handle]),
    "limpid_image_free": (None, [_handle]),
    "limpid_model_load_file": (Status, [c_char_p, POINTER(ModelOptions), _out]),
    "limpid_model_load_memory": (Status, [c_char_p, c_size_t, POINTER(ModelOptions), _out]),
    "limpid_model_free": (None, [_handle]),
    "limpid_model_get_info": (Status, [_handle, POINTER(ModelInfo)]),
    "limpid_model_class_count": (Status, [_handle, c_char_p, POINTER(c_size_t)]),
    "limpid_model_class_name": (c_char_p, [_handle, c_size_t]),
    "limpid_model_layer_name": (c_char_p, [_handle, c_size_t]),
    "limpid_model_input_name": (c_char_p, [_handle, c_size_t]),
    "limpid_model_output_name": (c_char_p, [_handle, c_size_t]),
    "limpid_model_get_input": (Status, [_handle, c_size_t, POINTER(ValueInfo)]),
    "limpid_model_get_output": (Status, [_handle, c_size_t, POINTER(ValueInfo)]),
    "limpid_model_metadata": (c_char_p, [_handle, c_char_p]),
    "limpid_model_get_method": (Status, [_handle, c_size_t, POINTER(MethodInfo)]),
    "limpid_model_get_parameter": (Status, [_handle, c_char_p, c_size_t, POINTER(ParameterInfo)]),
    "limpid_classify": (Status, [_handle, _images, c_size_t, _run, c_void_p, c_size_t]),
    "limpid_explain": (
        Status, [_handle, c_char_p, _images, c_size_t, POINTER(c_int32), c_size_t, _run, _out],
    ),
    "limpid_explanation_count": (c_size_t, [_handle]),
    "limpid_explanation_class": (c_int32, [_handle, c_size_t]),
    "limpid_explanation_score": (c_float, [_handle, c_size_t]),
    "limpid_explanation_is_degenerate": (c_int32, [_handle, c_size_t]),
    "limpid_explanation_map": (MapView, [_handle, c_size_t]),
    "limpid_explanation_map_with": (Status, [_handle, c_size_t, _run, POINTER(MapView)]),
    "limpid_explanation_grid": (MapView, [_handle, c_size_t]),
    "limpid_explanation_method": (c_char_p, [_handle]),
    "limpid_explanation_seed": (c_uint64, [_handle]),
    "limpid_explanation_parameter": (c_char_p, [_handle, c_size_t, POINTER(c_double), POINTER(c_char_p)]),
    "limpid_explanation_detail_count": (c_size_t, [_handle, c_size_t]),
    "limpid_explanation_detail": (TensorView, [_handle, c_size_t, c_size_t]),
    "limpid_explanation_field": (Field, [_handle, c_size_t]),
    "limpid_explanation_free": (None, [_handle]),
    "limpid_fetch": (Status, [_handle, _images, c_size_t, _names, c_size_t, _run, _out]),
    "limpid_run_gradient": (
        Status, [_handle, _tensors, c_size_t, _tensors, _names, c_size_t, _run, _out],
    ),
    "limpid_gradient": (
        Status, [_handle, _images, c_size_t, POINTER(c_int32), c_size_t, _names, c_size_t, _run, _out],
    ),
    "limpid_run": (Status, [_handle, _tensors, c_size_t, _names, c_size_t, _run, _out]),
    "limpid_tensors_count": (c_size_t, [_handle]),
    "limpid_tensors_get": (TensorView, [_handle, c_size_t]),
    "limpid_tensors_free": (None, [_handle]),
    "limpid_colormap_name": (c_char_p, [c_size_t]),
    "limpid_model_preprocess": (Status, [_handle, _images, _out]),
    "limpid_model_preprocess_with": (Status, [_handle, _images, _run, _out]),
    "limpid_explanation_render": (Status, [_handle, c_size_t, _images, POINTER(RenderOptions), _out]),
    "limpid_render": (Status, [POINTER(MapView), _images, POINTER(RenderOptions), _out]),
    "limpid_report": (Status, [_handle, POINTER(ReportItem), c_size_t, POINTER(RenderOptions), _out]),
    "limpid_encode_png": (Status, [_images, _out]),
    "limpid_save_png": (Status, [_images, c_char_p]),
    "limpid_encode_jpeg": (Status, [_images, c_int32, _out]),
    "limpid_save_jpeg": (Status, [_images, c_int32, c_char_p]),
    "limpid_encode_png_with": (Status, [_images, POINTER(ImageOptions), _out]),
    "limpid_encode_jpeg_with": (Status, [_images, c_int32, POINTER(ImageOptions), _out]),
    "limpid_estimate": (Status, [_handle, _images, c_size_t, _run, _out]),
    "limpid_store_statistics": (Status, [_handle, _handle, c_char_p]),
    "limpid_estimate_from": (Status, [_handle, ImageCallback, c_void_p, c_size_t, _run, _out]),
    "limpid_get_metric": (Status, [c_size_t, POINTER(MetricInfo)]),
    "limpid_metric_get_parameter": (Status, [c_char_p, c_size_t, POINTER(ParameterInfo)]),
    "limpid_measure": (
        Status,
        [_handle, c_char_p, _images, c_size_t, _tensors, POINTER(c_int32), c_size_t, POINTER(MeasureOptions), _out],
    ),
    "limpid_measurement_values": (TensorView, [_handle]),
    "limpid_measurement_mean": (c_double, [_handle]),
    "limpid_measurement_curve": (TensorView, [_handle]),
    "limpid_measurement_detail": (TensorView, [_handle, c_size_t]),
    "limpid_measurement_parameter": (c_char_p, [_handle, c_size_t, POINTER(c_double), POINTER(c_char_p)]),
    "limpid_measurement_seed": (c_uint64, [_handle]),
    "limpid_measurement_free": (None, [_handle]),
    "limpid_evaluation_create": (Status, [_handle, POINTER(EvaluationOptions), _out]),
    "limpid_evaluation_add_sample": (
        Status, [_handle, c_char_p, c_int32, POINTER(c_double), c_size_t, POINTER(c_size_t)],
    ),
    "limpid_evaluation_name_boxes": (Status, [_handle, c_size_t, _names, c_size_t]),
    "limpid_evaluation_stamp_sample": (Status, [_handle, c_size_t, c_char_p]),
    "limpid_evaluation_set_files": (Status, [_handle, FileCallback, c_void_p]),
    "limpid_evaluation_count": (c_size_t, [_handle]),
    "limpid_evaluation_sample_path": (c_char_p, [_handle, c_size_t]),
    "limpid_evaluation_is_done": (c_int32, [_handle, c_size_t]),
    "limpid_evaluation_open_store": (Status, [_handle, c_char_p]),
    "limpid_evaluation_run": (Status, [_handle, _run]),
    "limpid_evaluation_run_with": (Status, [_handle, c_int32, _run]),
    "limpid_evaluation_evaluate": (Status, [_handle, c_size_t, c_char_p, c_size_t, _run, _out]),
    "limpid_evaluation_evaluate_image": (Status, [_handle, c_size_t, _images, _run, _out]),
    "limpid_evaluation_show_image": (Status, [_handle, c_size_t, _images]),
    "limpid_evaluation_fail": (Status, [_handle, c_size_t, c_char_p, _out]),
    "limpid_evaluation_add": (Status, [_handle, c_char_p, c_size_t]),
    "limpid_evaluation_document": (Status, [_handle, c_char_p, _out]),
    "limpid_evaluation_write": (Status, [_handle, c_char_p]),
    "limpid_evaluation_write_with": (Status, [_handle, c_char_p, _run]),
    "limpid_evaluation_free": (None, [_handle]),
    "limpid_name_filters": (Status, [_handle, _images, c_size_t, POINTER(c_int32), c_size_t, _run, _out]),
    "limpid_name_filters_from": (
        Status, [_handle, ImageCallback, c_void_p, c_size_t, POINTER(c_int32), c_size_t, _run, _out],
    ),
    "limpid_naming_get_parameter": (Status, [c_size_t, POINTER(ParameterInfo)]),
    "limpid_filter_names_filter_count": (c_size_t, [_handle]),
    "limpid_filter_names_count": (c_size_t, [_handle, c_size_t]),
    "limpid_filter_names_word": (c_char_p, [_handle, c_size_t, c_size_t, POINTER(c_float)]),
    "limpid_filter_names_image_count": (c_size_t, [_handle, c_size_t]),
    "limpid_filter_names_image": (c_int64, [_handle, c_size_t, c_size_t, POINTER(c_float)]),
    "limpid_filter_names_image_word": (c_char_p, [_handle, c_size_t, c_size_t, c_size_t, POINTER(c_float)]),
    "limpid_filter_names_threshold": (c_double, [_handle, c_size_t]),
    "limpid_filter_names_free": (None, [_handle]),
    "limpid_explanation_filter": (c_int32, [_handle, c_size_t]),
    "limpid_explanation_word": (c_char_p, [_handle, c_size_t, c_size_t, POINTER(c_float)]),
}


def declare(library: CDLL) -> None:
    """Gives every function of a loaded library its types, and those that can fail their exceptions."""
    def checked(status: int, function: Any, arguments: Any) -> None:
        if status != 0:
            check(library, status)

    for name, (result, parameters) in PROTOTYPES.items():
        function = getattr(library, name)
        function.argtypes = parameters
        function.restype = c_int32 if result is Status else result
        if result is Status:
            function.errcheck = checked
