// SPDX-License-Identifier: Apache-2.0
#include "openblas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

/// The types of cblas.h; its enumerations are ints.
typedef void (*sgemm_function)(
  int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a, int a_stride,
  const float *b, int b_stride, float beta, float *c, int c_stride);
enum { row_major = 101, as_it_is = 111 };

static sgemm_function sgemm;
static char problem[256];

static void open_library(void) {
  const char *name = "libopenblas.so.0";
  void *present = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
  void *library = present ? present : dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (library) sgemm = (sgemm_function)dlsym(library, "cblas_sgemm");
  if (!sgemm) {
    const char *reason = dlerror();
    snprintf(problem, sizeof problem, "OpenBLAS cannot be opened: %s", reason ? reason : name);
    return;
  }
  if (!present) {
    // Its threads would compete with ours: work is divided before it is asked.
    void (*set_threads)(int) = (void (*)(int))dlsym(library, "openblas_set_num_threads");
    if (set_threads) set_threads(1);
  }
}

const char *lp_openblas_open(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_library);
  return sgemm ? NULL : problem;
}

void lp_sgemm(
  int m, int n, int k, const float *a, int a_stride, const float *b, int b_stride, float *c, int c_stride) {
  sgemm(row_major, as_it_is, as_it_is, m, n, k, 1, a, a_stride, b, b_stride, 0, c, c_stride);
}
