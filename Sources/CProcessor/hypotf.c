// SPDX-License-Identifier: Apache-2.0
#include <math.h>

/// Swift's overlay of glibc names `hypotf`, which nobody here calls, and the linker would take its newest version: the
/// library would then need glibc 2.35 where it needs 2.34.
__attribute__((visibility("hidden"))) float hypotf(float x, float y) {
  if (isinf(x) || isinf(y)) return INFINITY;
  return (float)sqrt((double)x * x + (double)y * y);
}
