#ifndef LIMPID_VECTORS_H
#define LIMPID_VECTORS_H

/* Arithmetic on vectors of 4, 8 and 16 floats, which Swift imports as SIMD4<Float> and so on.
 *
 * Swift's own operators on these types are loops over the lanes, left to the optimiser to put together again; it does
 * so in an order that makes it run out of registers. These are vector instructions from the start, under the flags
 * of the Swift module that they are inlined into. */

#define XI_INLINE static inline __attribute__((always_inline, const))

#define XI_VECTOR(N)                                                                                              \
  typedef float xi_float##N __attribute__((ext_vector_type(N)));                                                  \
  typedef int xi_int##N __attribute__((ext_vector_type(N)));                                                      \
  XI_INLINE xi_float##N xi_add##N(xi_float##N a, xi_float##N b) { return a + b; }                                 \
  XI_INLINE xi_float##N xi_subtract##N(xi_float##N a, xi_float##N b) { return a - b; }                            \
  XI_INLINE xi_float##N xi_multiply##N(xi_float##N a, xi_float##N b) { return a * b; }                            \
  XI_INLINE xi_float##N xi_divide##N(xi_float##N a, xi_float##N b) { return a / b; }                              \
  /* sum + a * b, rounded once. Without FMA instructions this is a call of libm for each lane. */                 \
  XI_INLINE xi_float##N xi_fma##N(xi_float##N sum, xi_float##N a, xi_float##N b) {                                \
    return __builtin_elementwise_fma(a, b, sum);                                                                  \
  }                                                                                                               \
  /* a < b ? x : y in each lane; y where a or b is NaN. */                                                        \
  XI_INLINE xi_float##N xi_pick##N(xi_float##N a, xi_float##N b, xi_float##N x, xi_float##N y) {                  \
    return a < b ? x : y;                                                                                         \
  }                                                                                                               \
  XI_INLINE xi_float##N xi_sqrt##N(xi_float##N x) { return __builtin_elementwise_sqrt(x); }                       \
  XI_INLINE xi_float##N xi_abs##N(xi_float##N x) { return __builtin_elementwise_abs(x); }                         \
  XI_INLINE xi_float##N xi_copysign##N(xi_float##N x, xi_float##N sign) {                                         \
    return __builtin_elementwise_copysign(x, sign);                                                               \
  }                                                                                                               \
  /* The larger and the smaller; NaN where either is. */                                                          \
  XI_INLINE xi_float##N xi_maximum##N(xi_float##N a, xi_float##N b) {                                             \
    xi_float##N m = a >= b ? a : b;                                                                               \
    return a != a ? a : m;                                                                                        \
  }                                                                                                               \
  XI_INLINE xi_float##N xi_minimum##N(xi_float##N a, xi_float##N b) {                                             \
    xi_float##N m = a <= b ? a : b;                                                                               \
    return a != a ? a : m;                                                                                        \
  }                                                                                                               \
  /* 2^n for whole n in -126...127: adding 1.5 * 2^23 leaves n in the low bits. */                                \
  XI_INLINE xi_float##N xi_power_of_two##N(xi_float##N n) {                                                       \
    return (xi_float##N)((xi_int##N)(n + (12582912.0f + 127.0f)) << 23);                                          \
  }

XI_VECTOR(4)
XI_VECTOR(8)
XI_VECTOR(16)

#endif
