#ifndef LIMPID_PROCESSOR_H
#define LIMPID_PROCESSOR_H

#include <stdint.h>

/* Instruction sets that both the processor and the operating system offer. */
enum {
  LP_AVX2_FMA = 1 << 0,
  LP_AVX512 = 1 << 1, /* F, VL, BW and DQ */
  LP_AVX512_BF16 = 1 << 2
};

uint32_t lp_processor_features(void);

/* Whether the processor has AMX-TILE and AMX-BF16, and the system lets this process use tiles, for which it is asked: from then on
 * signal frames have room for them. The system refuses where the stack for signals of a thread is too small for that. */
int lp_tiles_permitted(void);

/* The number of cores that this process may use; at least 1. */
int lp_available_cores(void);

/* The machine's memory in bytes; 2^40 where the host does not let that be asked. */
uint64_t lp_physical_memory(void);

/* A variable of the environment; NULL where there is none, and in programs that run with more rights than their user's. */
const char *lp_setting(const char *name);

#endif
