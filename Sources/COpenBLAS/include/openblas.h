// SPDX-License-Identifier: Apache-2.0
//
// The system's OpenBLAS, opened when it is asked for: the library does not need it otherwise.
#ifndef OPENBLAS_H
#define OPENBLAS_H

/// NULL where `lp_sgemm` can be called, else why OpenBLAS cannot be opened. Opening it starts its threads; where the
/// process has it already, its settings stay as they are. It stays open.
const char *lp_openblas_open(void);

/// `c[m, n] = a[m, k] * b[k, n]`, row after row; strides in floats.
void lp_sgemm(
  int m, int n, int k, const float *a, int a_stride, const float *b, int b_stride, float *c, int c_stride);

#endif
