#ifndef LIMPID_VECTORS_H
#define LIMPID_VECTORS_H

/* Arithmetic on vectors of 4, 8 and 16 floats, which Swift imports as SIMD4<Float> and so on.
 *
 * Swift's own operators on these types are loops over the lanes, left to the optimiser to put together again; it does
 * so in an order that makes it run out of registers. These are vector instructions from the start, under the flags
 * of the Swift module that they are inlined into. */

/* Asks for a cache line to be brought into the second-level cache. Any address will do, also one where nothing is. */
static inline __attribute__((always_inline)) void lp_prefetch(const void *p) { __builtin_prefetch(p, 0, 2); }
/* The same into the first-level cache: for what is read soon, for what is read once, past the other levels, and for what
   is written soon. */
static inline __attribute__((always_inline)) void lp_prefetch_near(const void *p) { __builtin_prefetch(p, 0, 3); }
static inline __attribute__((always_inline)) void lp_prefetch_once(const void *p) { __builtin_prefetch(p, 0, 0); }
static inline __attribute__((always_inline)) void lp_prefetch_to_write(const void *p) { __builtin_prefetch(p, 1, 3); }

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

/* Words of two bfloat16 numbers, the first in the lower half; vectors of words are typed as floats.
 *
 * sum + the products of both numbers, the upper ones first: a product of two is exact in float32, so each addition is the only
 * rounding, as in AVX512-BF16's instruction, whose bits these are (but for denormal numbers, which it takes as 0). */
LP_INLINE lp_float16 lp_dot_emulated16(lp_float16 sum, lp_float16 a, lp_float16 b) {
  const lp_int16 x = (lp_int16)a, y = (lp_int16)b;
  sum = sum + (lp_float16)(x & ~0xffff) * (lp_float16)(y & ~0xffff);
  return sum + (lp_float16)(x << 16) * (lp_float16)(y << 16);
}
/* Rounds to the nearest, ties to even; a last word is filled up with 0. */
static inline void lp_round_emulated(const float *p, float *words, long count) {
  for (long i = 0; i < count; i += 2) {
    unsigned word = 0;
    for (long j = 0; j < 2 && i + j < count; j++) {
      unsigned bits;
      __builtin_memcpy(&bits, p + i + j, 4);
      const int is_nan = (bits & 0x7fffffff) > 0x7f800000;
      bits = is_nan ? (bits >> 16) | 0x40 : (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
      word |= bits << (16 * j);
    }
    __builtin_memcpy(words + i / 2, &word, 4);
  }
}

#if defined(__AVX512BF16__)
typedef __bf16 lp_bfloat32 __attribute__((vector_size(64)));
LP_INLINE lp_float16 lp_dot_native16(lp_float16 sum, lp_float16 a, lp_float16 b) {
  return __builtin_ia32_dpbf16ps_512(sum, (lp_bfloat32)a, (lp_bfloat32)b);
}
static inline void lp_round_native(const float *p, float *words, long count) {
  typedef lp_float16 anywhere __attribute__((aligned(4)));
  long i = 0;
  for (; i + 32 <= count; i += 32)
    *(anywhere *)(words + i / 2) =
        (lp_float16)__builtin_ia32_cvtne2ps2bf16_512(*(const anywhere *)(p + i + 16), *(const anywhere *)(p + i));
  if (i < count) {
    float rest[32] = {0};
    __builtin_memcpy(rest, p + i, 4 * (unsigned long)(count - i));
    const lp_float16 last =
        (lp_float16)__builtin_ia32_cvtne2ps2bf16_512(*(const anywhere *)(rest + 16), *(const anywhere *)rest);
    __builtin_memcpy(words + i / 2, &last, 4 * (unsigned long)((count - i + 1) / 2));
  }
}
/* What the nearest lack; 0 where they are infinite or NaN. */
typedef unsigned short lp_short16 __attribute__((ext_vector_type(16)));
typedef unsigned short lp_short32 __attribute__((ext_vector_type(32)));
LP_INLINE lp_float16 lp_rest16(lp_float16 x, lp_short16 nearest) {
  const lp_float16 rest = x - (lp_float16)(__builtin_convertvector(nearest, lp_int16) << 16);
  return lp_abs16(rest) < (lp_float16)__builtin_inff() ? rest : (lp_float16)0.0f;
}
/* Rounds a multiple of 32 floats, and likewise what that lacks. */
static inline void lp_split_native(const float *p, float *words, float *rests, long count) {
  typedef lp_float16 anywhere __attribute__((aligned(4)));
  for (long i = 0; i < count; i += 32) {
    const lp_float16 low = *(const anywhere *)(p + i), high = *(const anywhere *)(p + i + 16);
    const lp_float16 both = (lp_float16)__builtin_ia32_cvtne2ps2bf16_512(high, low);
    const lp_short32 nearest = (lp_short32)both;
    *(anywhere *)(words + i / 2) = both;
    *(anywhere *)(rests + i / 2) = (lp_float16)__builtin_ia32_cvtne2ps2bf16_512(
        lp_rest16(high, nearest.hi), lp_rest16(low, nearest.lo));
  }
}
#endif

#if defined(__AMX_BF16__)
/* Eight tiles of 16 rows of 64 bytes: sums of 32 rows by 32 columns in 0 to 3, 32 rows of operands in 4 and 5, 32 columns of
 * weights in 6 and 7. Distances are in words. */
static inline void lp_tiles_begin(void) {
  static const struct {
    unsigned char palette, start_row, reserved[14];
    unsigned short bytes[16];
    unsigned char rows[16];
  } shape = {.palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};
  _Static_assert(sizeof shape == 64, "as the processor reads it");
  __builtin_ia32_tile_loadconfig(&shape);
}
static inline void lp_tiles_end(void) { __builtin_ia32_tilerelease(); }
static inline void lp_tiles_zero(void) {
  __builtin_ia32_tilezero(0);
  __builtin_ia32_tilezero(1);
  __builtin_ia32_tilezero(2);
  __builtin_ia32_tilezero(3);
}
static inline void lp_tiles_read_rows(const float *rows, long row, _Bool tall) {
  __builtin_ia32_tileloadd64(4, rows, 4 * row);
  if (tall) __builtin_ia32_tileloadd64(5, rows + 16 * row, 4 * row);
}
static inline void lp_tiles_read_columns(const float *weights, long row, _Bool wide) {
  __builtin_ia32_tileloadd64(6, weights, 4 * row);
  if (wide) __builtin_ia32_tileloadd64(7, weights + 16, 4 * row);
}
static inline void lp_tiles_multiply(_Bool tall, _Bool wide) {
  __builtin_ia32_tdpbf16ps(0, 4, 6);
  if (wide) __builtin_ia32_tdpbf16ps(1, 4, 7);
  if (tall) __builtin_ia32_tdpbf16ps(2, 5, 6);
  if (tall && wide) __builtin_ia32_tdpbf16ps(3, 5, 7);
}
/* [32, 32] */
static inline void lp_tiles_store(float *sums) {
  __builtin_ia32_tilestored64(0, sums, 128);
  __builtin_ia32_tilestored64(1, sums + 16, 128);
  __builtin_ia32_tilestored64(2, sums + 16 * 32, 128);
  __builtin_ia32_tilestored64(3, sums + 16 * 32 + 16, 128);
}
#endif

#endif
