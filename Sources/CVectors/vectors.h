#ifndef LIMPID_VECTORS_H
#define LIMPID_VECTORS_H

/* Arithmetic on vectors of 4, 8 and 16 floats, which Swift imports as SIMD4<Float> and so on.
 *
 * Swift's own operators on these types are loops over the lanes, left to the optimiser to put together again; it does
 * so in an order that makes it run out of registers. These are vector instructions from the start, under the flags
 * of the Swift module that they are inlined into. */

/* Asks for a cache line to be brought into the second-level cache. Any address will do, also one where nothing is. */
static inline __attribute__((always_inline)) void lp_prefetch(const void *p) { __builtin_prefetch(p, 0, 2); }

#define LP_INLINE static inline __attribute__((always_inline, const))

#define LP_VECTOR(N)                                                                                              \
  typedef float lp_float##N __attribute__((ext_vector_type(N)));                                                  \
  typedef int lp_int##N __attribute__((ext_vector_type(N)));                                                      \
  LP_INLINE lp_float##N lp_add##N(lp_float##N a, lp_float##N b) { return a + b; }                                 \
  LP_INLINE lp_float##N lp_subtract##N(lp_float##N a, lp_float##N b) { return a - b; }                            \
  LP_INLINE lp_float##N lp_multiply##N(lp_float##N a, lp_float##N b) { return a * b; }                            \
  LP_INLINE lp_float##N lp_divide##N(lp_float##N a, lp_float##N b) { return a / b; }                              \
  /* sum + a * b, rounded once. Without FMA instructions this is a call of libm for each lane. */                 \
  LP_INLINE lp_float##N lp_fma##N(lp_float##N sum, lp_float##N a, lp_float##N b) {                                \
    return __builtin_elementwise_fma(a, b, sum);                                                                  \
  }                                                                                                               \
  /* a < b ? x : y in each lane; y where a or b is NaN. */                                                        \
  LP_INLINE lp_float##N lp_pick##N(lp_float##N a, lp_float##N b, lp_float##N x, lp_float##N y) {                  \
    return a < b ? x : y;                                                                                         \
  }                                                                                                               \
  LP_INLINE lp_float##N lp_sqrt##N(lp_float##N x) { return __builtin_elementwise_sqrt(x); }                       \
  LP_INLINE lp_float##N lp_abs##N(lp_float##N x) { return __builtin_elementwise_abs(x); }                         \
  LP_INLINE lp_float##N lp_copysign##N(lp_float##N x, lp_float##N sign) {                                         \
    return __builtin_elementwise_copysign(x, sign);                                                               \
  }                                                                                                               \
  /* The larger and the smaller; NaN where either is. */                                                          \
  LP_INLINE lp_float##N lp_maximum##N(lp_float##N a, lp_float##N b) {                                             \
    lp_float##N m = a >= b ? a : b;                                                                               \
    return a != a ? a : m;                                                                                        \
  }                                                                                                               \
  LP_INLINE lp_float##N lp_minimum##N(lp_float##N a, lp_float##N b) {                                             \
    lp_float##N m = a <= b ? a : b;                                                                               \
    return a != a ? a : m;                                                                                        \
  }                                                                                                               \
  /* 2^n for whole n in -126...127: adding 1.5 * 2^23 leaves n in the low bits. */                                \
  LP_INLINE lp_float##N lp_power_of_two##N(lp_float##N n) {                                                       \
    return (lp_float##N)((lp_int##N)(n + (12582912.0f + 127.0f)) << 23);                                          \
  }

/* Between N floats that are whole numbers and N integers of 8 or 16 bits, which need not be aligned. */
#define LP_STEPS(N, NAME, TYPE)                                                                                   \
  static inline __attribute__((always_inline)) lp_float##N lp_load_##NAME##_##N(const void *p) {                  \
    typedef TYPE narrow __attribute__((ext_vector_type(N)));                                                      \
    narrow x;                                                                                                     \
    __builtin_memcpy(&x, p, sizeof x);                                                                            \
    return __builtin_convertvector(__builtin_convertvector(x, lp_int##N), lp_float##N);                           \
  }                                                                                                               \
  static inline __attribute__((always_inline)) void lp_store_##NAME##_##N(lp_float##N value, void *p) {           \
    typedef TYPE narrow __attribute__((ext_vector_type(N)));                                                      \
    narrow x = __builtin_convertvector(__builtin_convertvector(value, lp_int##N), narrow);                        \
    __builtin_memcpy(p, &x, sizeof x);                                                                            \
  }
#define LP_ALL_STEPS(N)                                                                                           \
  LP_STEPS(N, uint8, unsigned char)                                                                               \
  LP_STEPS(N, int8, signed char)                                                                                  \
  LP_STEPS(N, uint16, unsigned short)                                                                             \
  LP_STEPS(N, int16, short)

LP_VECTOR(4)
LP_VECTOR(8)
LP_VECTOR(16)

/* The sum of all lanes, halves added to halves. */
LP_INLINE float lp_sum4(lp_float4 x) { return (x[0] + x[2]) + (x[1] + x[3]); }
LP_INLINE float lp_sum8(lp_float8 x) { return lp_sum4(x.lo + x.hi); }
LP_INLINE float lp_sum16(lp_float16 x) {
  lp_float8 half = x.lo + x.hi;
  return lp_sum4(half.lo + half.hi);
}

LP_ALL_STEPS(4)
LP_ALL_STEPS(8)
LP_ALL_STEPS(16)

#endif
