#include <limpid/limpid.h>
#include <stdio.h>

/* The library that is loaded is the one that this was compiled with. */
int main(void) {
  puts(limpid_build_info());
  return limpid_version_number() != LIMPID_VERSION_MAJOR * 1000000 + LIMPID_VERSION_MINOR * 1000 + LIMPID_VERSION_PATCH;
}
