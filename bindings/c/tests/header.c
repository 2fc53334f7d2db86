/* Uses every initialiser and, with limpid.h included twice, nothing that one standard of C or C++ lacks. */
#include <limpid/limpid.h>
#include <limpid/limpid.h>

int main(void) {
  limpid_model_options model = LIMPID_MODEL_OPTIONS_INIT;
  limpid_model_info info = LIMPID_MODEL_INFO_INIT;
  limpid_method_info method = LIMPID_METHOD_INFO_INIT;
  limpid_parameter_info parameter = LIMPID_PARAMETER_INFO_INIT;
  limpid_run_options run = LIMPID_RUN_OPTIONS_INIT;
  limpid_render_options render = LIMPID_RENDER_OPTIONS_INIT;
  limpid_value_info value = LIMPID_VALUE_INFO_INIT;
  return !(model.struct_size == sizeof model && info.struct_size == sizeof info
           && method.struct_size == sizeof method && parameter.struct_size == sizeof parameter && run.struct_size == sizeof run && render.struct_size == sizeof render
           && value.struct_size == sizeof value
           && LIMPID_CLASS_PREDICTED == -1);
}
