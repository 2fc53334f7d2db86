/* The layout of the structs as it was released. A line here changes only when the soname does, but for new
   fields at the end of the structs that begin with struct_size. */
#include <limpid/limpid.h>

#define SIZE(type, size) typedef char size_of_##type[sizeof(type) == (size) ? 1 : -1]
#define AT(type, field, offset) typedef char type##_##field[offsetof(type, field) == (offset) ? 1 : -1]
#define LAST(type, field) \
  typedef char type##_has_no_tail[offsetof(type, field) + sizeof(((type *)0)->field) == sizeof(type) ? 1 : -1]

SIZE(limpid_status, 4);
SIZE(limpid_log_level, 4);
SIZE(limpid_pixel_format, 4);
SIZE(limpid_precision, 4);
SIZE(limpid_element_type, 4);

SIZE(limpid_image_view, 32);
AT(limpid_image_view, pixels, 0);
AT(limpid_image_view, row_stride, 8);
AT(limpid_image_view, width, 16);
AT(limpid_image_view, height, 20);
AT(limpid_image_view, format, 24);
LAST(limpid_image_view, reserved);

SIZE(limpid_image_options, 40);
AT(limpid_image_options, struct_size, 0);
AT(limpid_image_options, high_byte, 8);
AT(limpid_image_options, progress, 16);
AT(limpid_image_options, user, 24);
AT(limpid_image_options, bits, 32);
LAST(limpid_image_options, alpha);

SIZE(limpid_model_options, 64);
AT(limpid_model_options, struct_size, 0);
AT(limpid_model_options, memory_limit, 8);
AT(limpid_model_options, threads, 16);
AT(limpid_model_options, precision, 20);
AT(limpid_model_options, preprocess, 24);
AT(limpid_model_options, copy, 32);
AT(limpid_model_options, reserved, 36);
AT(limpid_model_options, progress, 40);
AT(limpid_model_options, user, 48);
AT(limpid_model_options, refuse_links, 56);
LAST(limpid_model_options, reserved_2);

SIZE(limpid_model_info, 128);
AT(limpid_model_info, struct_size, 0);
AT(limpid_model_info, name, 8);
AT(limpid_model_info, family, 16);
AT(limpid_model_info, class_count, 24);
AT(limpid_model_info, method_count, 32);
AT(limpid_model_info, layer_count, 40);
AT(limpid_model_info, input_count, 48);
AT(limpid_model_info, output_count, 56);
AT(limpid_model_info, input_width, 64);
AT(limpid_model_info, input_height, 68);
AT(limpid_model_info, input_channels, 72);
AT(limpid_model_info, reserved, 76);
AT(limpid_model_info, score_kind, 80);
AT(limpid_model_info, score_output, 88);
AT(limpid_model_info, image_input, 96);
AT(limpid_model_info, image_layout, 104);
AT(limpid_model_info, precision, 112);
AT(limpid_model_info, computed_precision, 116);
AT(limpid_model_info, image_alpha, 120);
LAST(limpid_model_info, image_bits);

SIZE(limpid_method_info, 64);
AT(limpid_method_info, struct_size, 0);
AT(limpid_method_info, name, 8);
AT(limpid_method_info, summary, 16);
AT(limpid_method_info, parameter_count, 24);
AT(limpid_method_info, draws, 32);
AT(limpid_method_info, draw_summaries, 40);
AT(limpid_method_info, draw_count, 48);
AT(limpid_method_info, taps_layers, 56);
AT(limpid_method_info, draws_numbers, 60);
LAST(limpid_method_info, draws_numbers);

SIZE(limpid_parameter_info, 80);
AT(limpid_parameter_info, struct_size, 0);
AT(limpid_parameter_info, name, 8);
AT(limpid_parameter_info, summary, 16);
AT(limpid_parameter_info, default_value, 24);
AT(limpid_parameter_info, minimum, 32);
AT(limpid_parameter_info, maximum, 40);
AT(limpid_parameter_info, choices, 48);
AT(limpid_parameter_info, choice_count, 56);
AT(limpid_parameter_info, default_choice, 64);
AT(limpid_parameter_info, is_integer, 72);
LAST(limpid_parameter_info, reserved);

SIZE(limpid_parameter, 16);
AT(limpid_parameter, name, 0);
AT(limpid_parameter, value, 8);

SIZE(limpid_choice, 16);
AT(limpid_choice, name, 0);
AT(limpid_choice, value, 8);

SIZE(limpid_run_options, 136);
AT(limpid_run_options, struct_size, 0);
AT(limpid_run_options, parameters, 8);
AT(limpid_run_options, parameter_count, 16);
AT(limpid_run_options, layer, 24);
AT(limpid_run_options, seed, 32);
AT(limpid_run_options, progress, 40);
AT(limpid_run_options, user, 48);
AT(limpid_run_options, threads, 56);
AT(limpid_run_options, batch_size, 60);
AT(limpid_run_options, choices, 64);
AT(limpid_run_options, choice_count, 72);
AT(limpid_run_options, draws, 80);
AT(limpid_run_options, draw_count, 88);
AT(limpid_run_options, layers, 96);
AT(limpid_run_options, layer_count, 104);
AT(limpid_run_options, output, 112);
AT(limpid_run_options, feeds, 120);
AT(limpid_run_options, feed_count, 128);
LAST(limpid_run_options, feed_count);

SIZE(limpid_field, 40);
AT(limpid_field, width, 0);
AT(limpid_field, height, 4);
AT(limpid_field, x, 8);
AT(limpid_field, y, 16);
AT(limpid_field, seen_width, 24);
LAST(limpid_field, seen_height);

SIZE(limpid_map_view, 24);
AT(limpid_map_view, values, 0);
AT(limpid_map_view, width, 8);
AT(limpid_map_view, height, 12);
AT(limpid_map_view, minimum, 16);
AT(limpid_map_view, maximum, 20);

SIZE(limpid_tensor_view, 40);
AT(limpid_tensor_view, name, 0);
AT(limpid_tensor_view, data, 8);
AT(limpid_tensor_view, shape, 16);
AT(limpid_tensor_view, rank, 24);
AT(limpid_tensor_view, type, 32);
LAST(limpid_tensor_view, reserved);

SIZE(limpid_render_options, 64);
AT(limpid_render_options, struct_size, 0);
AT(limpid_render_options, colormap, 8);
AT(limpid_render_options, style, 16);
AT(limpid_render_options, opacity, 24);
AT(limpid_render_options, width, 28);
AT(limpid_render_options, height, 32);
AT(limpid_render_options, scale, 36);
AT(limpid_render_options, field, 40);
AT(limpid_render_options, progress, 48);
AT(limpid_render_options, user, 56);
LAST(limpid_render_options, user);

SIZE(limpid_value_info, 48);
AT(limpid_value_info, struct_size, 0);
AT(limpid_value_info, name, 8);
AT(limpid_value_info, shape, 16);
AT(limpid_value_info, extent_names, 24);
AT(limpid_value_info, rank, 32);
AT(limpid_value_info, type, 40);
LAST(limpid_value_info, has_shape);

int main(void) { return 0; }

SIZE(limpid_metric_info, 88);
AT(limpid_metric_info, struct_size, 0);
AT(limpid_metric_info, name, 8);
AT(limpid_metric_info, summary, 16);
AT(limpid_metric_info, parameter_count, 24);
AT(limpid_metric_info, draws, 32);
AT(limpid_metric_info, draw_summaries, 40);
AT(limpid_metric_info, draw_count, 48);
AT(limpid_metric_info, maps, 56);
AT(limpid_metric_info, needs_model, 64);
AT(limpid_metric_info, needs_method, 68);
AT(limpid_metric_info, draws_numbers, 72);
AT(limpid_metric_info, reserved, 76);
AT(limpid_metric_info, better, 80);
LAST(limpid_metric_info, better);

SIZE(limpid_measure_options, 32);
AT(limpid_measure_options, struct_size, 0);
AT(limpid_measure_options, run, 8);
AT(limpid_measure_options, method, 16);
LAST(limpid_measure_options, method_options);

SIZE(limpid_report_item, 56);
AT(limpid_report_item, name, 0);
AT(limpid_report_item, image, 8);
AT(limpid_report_item, explanation, 40);
LAST(limpid_report_item, index);

SIZE(limpid_use, 16);
AT(limpid_use, name, 0);
LAST(limpid_use, options);

SIZE(limpid_evaluation_options, 176);
AT(limpid_evaluation_options, struct_size, 0);
AT(limpid_evaluation_options, data, 8);
AT(limpid_evaluation_options, data_name, 16);
AT(limpid_evaluation_options, format, 24);
AT(limpid_evaluation_options, images, 32);
AT(limpid_evaluation_options, class_file, 40);
AT(limpid_evaluation_options, split, 48);
AT(limpid_evaluation_options, first_classes, 56);
AT(limpid_evaluation_options, limit, 64);
AT(limpid_evaluation_options, sample, 72);
AT(limpid_evaluation_options, seed, 80);
AT(limpid_evaluation_options, methods, 88);
AT(limpid_evaluation_options, method_count, 96);
AT(limpid_evaluation_options, metrics, 104);
AT(limpid_evaluation_options, metric_count, 112);
AT(limpid_evaluation_options, explained, 120);
AT(limpid_evaluation_options, class_table, 128);
AT(limpid_evaluation_options, class_table_count, 136);
AT(limpid_evaluation_options, run, 144);
AT(limpid_evaluation_options, confidence, 152);
AT(limpid_evaluation_options, resamples, 160);
AT(limpid_evaluation_options, high_byte, 168);
LAST(limpid_evaluation_options, bits);
