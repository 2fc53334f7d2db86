/* Uses every initialiser and, with limpid.h included twice, nothing that one standard of C or C++ lacks. */
#include <limpid/limpid.h>
#include <limpid/limpid.h>

int main(void) {
  limpid_model_options model = LIMPID_MODEL_OPTIONS_INIT;
  limpid_run_options run = LIMPID_RUN_OPTIONS_INIT;
  limpid_render_options render = LIMPID_RENDER_OPTIONS_INIT;
  return !(model.struct_size == sizeof model && run.struct_size == sizeof run && render.struct_size == sizeof render
           && LIMPID_CLASS_PREDICTED == -1);
}
