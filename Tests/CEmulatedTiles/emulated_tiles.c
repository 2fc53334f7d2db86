/* AMX-TILE and AMX-BF16 in software, by the processor's manual ("Intel Architecture Instruction Set Extensions
 * Programming Reference", chapter 3): the instructions that Limpid's kernels are made of, with 64-bit addresses. */
#define _GNU_SOURCE
#include "emulated_tiles.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <xmmintrin.h>

enum { tile_count = 8, row_limit = 16, byte_limit = 64 };

static _Thread_local struct {
  int is_configured;
  uint16_t bytes[tile_count];
  uint8_t rows[tile_count];
  uint8_t data[tile_count][row_limit][byte_limit];
} tiles;

static atomic_ulong computed;
static struct sigaction previous;

static void require(int holds, const char *what) {
  if (holds) return;
  (void)!write(2, "emulated tiles: ", 16);
  (void)!write(2, what, strlen(what));
  (void)!write(2, "\n", 1);
  abort();
}

static void configure(const uint8_t *shape) {
  memset(&tiles, 0, sizeof tiles);
  require(shape[0] == 1, "ldtilecfg: the palette is not 1");
  for (int i = 2; i < 16; i++) require(shape[i] == 0, "ldtilecfg: reserved bytes are not 0");
  for (int i = 0; i < 16; i++) {
    uint16_t bytes;
    memcpy(&bytes, shape + 16 + 2 * i, 2);
    const uint8_t rows = shape[48 + i];
    require(i < tile_count || (bytes == 0 && rows == 0), "ldtilecfg: there are eight tiles");
    require(bytes <= byte_limit && rows <= row_limit && (bytes == 0) == (rows == 0), "ldtilecfg: no such tile");
    if (i < tile_count) tiles.bytes[i] = bytes, tiles.rows[i] = rows;
  }
  tiles.is_configured = 1;
}

static void require_tile(int tile) {
  require(tiles.is_configured && tile < tile_count && tiles.rows[tile] > 0, "a tile that is not configured");
}

static void load(int tile, const uint8_t *base, int64_t stride) {
  require_tile(tile);
  memset(tiles.data[tile], 0, sizeof tiles.data[tile]);
  for (int row = 0; row < tiles.rows[tile]; row++)
    memcpy(tiles.data[tile][row], base + row * stride, tiles.bytes[tile]);
}

static void store(int tile, uint8_t *base, int64_t stride) {
  require_tile(tile);
  for (int row = 0; row < tiles.rows[tile]; row++)
    memcpy(base + row * stride, tiles.data[tile][row], tiles.bytes[tile]);
}

/* The bfloat16 numbers of a tile, as floats. */
static void widen(int tile, float numbers[row_limit][byte_limit / 2]) {
  for (int row = 0; row < tiles.rows[tile]; row++)
    for (int i = 0; i < tiles.bytes[tile] / 2; i++) {
      const uint32_t bits = (uint32_t)tiles.data[tile][row][2 * i] << 16 | (uint32_t)tiles.data[tile][row][2 * i + 1] << 24;
      memcpy(&numbers[row][i], &bits, 4);
    }
}

/* Of each output, the sum of the even products and that of the odd ones, added to one another and to the output. */
static void multiply(int sums, int a, int b) {
  require_tile(sums), require_tile(a), require_tile(b);
  require(sums != a && sums != b && a != b, "tdpbf16ps: two tiles are the same");
  require(
      tiles.rows[sums] == tiles.rows[a] && tiles.bytes[sums] == tiles.bytes[b] && tiles.bytes[a] / 4 == tiles.rows[b],
      "tdpbf16ps: shapes that do not fit");
  const unsigned control = _mm_getcsr();
  _mm_setcsr(0x9fc0); /* To the nearest; denormal numbers are 0, read and written. */
  float x[row_limit][byte_limit / 2], y[row_limit][byte_limit / 2];
  widen(a, x), widen(b, y);
  for (int row = 0; row < tiles.rows[sums]; row++) {
    float both[byte_limit / 2] = {0}, total[byte_limit / 4];
    for (int k = 0; k < tiles.bytes[a] / 4; k++)
      for (int n = 0; n < tiles.bytes[b] / 2; n++) both[n] = fmaf(x[row][2 * k + n % 2], y[k][n], both[n]);
    memcpy(total, tiles.data[sums][row], tiles.bytes[sums]);
    for (int n = 0; n < tiles.bytes[sums] / 4; n++) total[n] += both[2 * n] + both[2 * n + 1];
    memcpy(tiles.data[sums][row], total, tiles.bytes[sums]);
  }
  _mm_setcsr(control);
}

/* Registers in the order of their numbers. */
static int64_t general(const ucontext_t *context, int number) {
  static const int places[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                 REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  return context->uc_mcontext.gregs[places[number]];
}

/* The operand in memory behind the ModRM byte at `p`; `stride` is the index register, scaled. */
static uint8_t *address(const ucontext_t *context, const uint8_t **p, int x, int b, int64_t *stride) {
  const int mode = **p >> 6, low = **p & 7;
  *p += 1;
  int base = low | b << 3;
  *stride = 0;
  if (low == 4) {
    const int index = (**p >> 3 & 7) | x << 3, scale = **p >> 6;
    base = (**p & 7) | b << 3;
    *p += 1;
    if (index != 4) *stride = general(context, index) << scale;
  }
  int64_t place;
  int32_t offset = 0;
  const int is_bare = mode == 0 && (base & 7) == 5;
  if (mode == 1) offset = *(const int8_t *)*p, *p += 1;
  if (mode == 2 || is_bare) memcpy(&offset, *p, 4), *p += 4;
  if (!is_bare) place = general(context, base) + offset;
  /* No base behind SIB; relative to the next instruction without. */
  else place = offset + (low == 4 ? 0 : (int64_t)(intptr_t)*p);
  return (uint8_t *)(intptr_t)place;
}

/* The instruction at `p`: where the next one is, or NULL where it is no tile instruction. */
static const uint8_t *compute(const ucontext_t *context, const uint8_t *p) {
  if (p[0] != 0xc4 || (p[1] & 0x1f) != 2 || (p[2] & 0x84) != 0) return NULL; /* VEX.128, 0F38, W0 */
  const int r = !(p[1] & 0x80), x = !(p[1] & 0x40), b = !(p[1] & 0x20);
  const int source = ~p[2] >> 3 & 15, prefix = p[2] & 3, opcode = p[3];
  p += 4;
  const int mode = *p >> 6, reg = (*p >> 3 & 7) | r << 3, low = (*p & 7) | b << 3;
  int64_t stride;
  if (opcode == 0x49 && prefix == 0 && mode != 3) {
    configure(address(context, &p, x, b, &stride));
  } else if (opcode == 0x49 && prefix == 0 && *p == 0xc0) {
    memset(&tiles, 0, sizeof tiles), p++;
  } else if (opcode == 0x49 && prefix == 3 && mode == 3) {
    require_tile(reg), memset(tiles.data[reg], 0, sizeof tiles.data[reg]), p++;
  } else if (opcode == 0x4b && prefix != 0 && mode != 3 && (low & 7) == 4) {
    uint8_t *base = address(context, &p, x, b, &stride);
    if (prefix == 2) store(reg, base, stride);
    else load(reg, base, stride);
  } else if (opcode == 0x5c && prefix == 2 && mode == 3) {
    multiply(reg, low, source), p++;
  } else {
    return NULL;
  }
  return p;
}

static void handle(int number, siginfo_t *info, void *memory) {
  ucontext_t *context = memory;
  const uint8_t *next = compute(context, (const uint8_t *)context->uc_mcontext.gregs[REG_RIP]);
  if (next) {
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)(intptr_t)next;
    atomic_fetch_add_explicit(&computed, 1, memory_order_relaxed);
  } else if (previous.sa_flags & SA_SIGINFO && previous.sa_sigaction) {
    previous.sa_sigaction(number, info, memory);
  } else {
    signal(SIGILL, SIG_DFL); /* The instruction is met again. */
  }
}

unsigned long lp_emulate_tiles(void) {
  static atomic_int is_installed;
  if (!atomic_exchange(&is_installed, 1)) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGILL, &action, &previous);
  }
  return atomic_load(&computed);
}

#else
unsigned long lp_emulate_tiles(void) { return 0; }
#endif
