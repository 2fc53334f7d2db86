#define _GNU_SOURCE
#include "processor.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

uint32_t lp_processor_features(void) {
  uint32_t features = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) features |= LP_AVX2_FMA;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
    features |= LP_AVX512;
  if ((features & LP_AVX512) && __builtin_cpu_supports("avx512bf16")) features |= LP_AVX512_BF16;
#endif
  return features;
}

int lp_tiles_permitted(void) {
#if defined(__x86_64__)
  enum { request_permission = 0x1023, tile_data = 18 };
  unsigned a, b, c, d;
  const unsigned needed = 1u << 22 | 1u << 24;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & needed) != needed) return 0;
  const int saved = errno;
  const long refused = syscall(SYS_arch_prctl, request_permission, tile_data);
  errno = saved;
  return refused == 0;
#else
  return 0;
#endif
}

int lp_available_cores(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

/// Not by `sysconf`: glibc's does not look whether its system call was refused, and gives what was on the stack.
uint64_t lp_physical_memory(void) {
  struct sysinfo machine;
  if (sysinfo(&machine) != 0) return (uint64_t)1 << 40;
  return (uint64_t)machine.totalram * machine.mem_unit;
}

const char *lp_setting(const char *name) { return secure_getenv(name); }
