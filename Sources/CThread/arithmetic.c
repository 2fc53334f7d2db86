// SPDX-License-Identifier: Apache-2.0
#include "arithmetic.h"

#if defined(__x86_64__)
/// To the nearest, numbers that are not normal kept, no exception reported: the SSE units, and the x87 that `long double`
/// goes through.
static _Thread_local lp_arithmetic host = {0x1F80, 0x37F};
static const lp_arithmetic own = {0x1F80, 0x37F};

static lp_arithmetic current(void) {
  uint32_t vectors;
  uint16_t scalars;
  __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(vectors), "=m"(scalars));
  return (lp_arithmetic){vectors, scalars};
}

static void set(lp_arithmetic wanted) {
  const uint32_t vectors = (uint32_t)wanted.vectors;
  const uint16_t scalars = (uint16_t)wanted.scalars;
  // An exception that is pending there is of what was computed here; reporting it would be the host's end.
  __asm__ volatile("fnclex\n\tfldcw %1\n\tldmxcsr %0" : : "m"(vectors), "m"(scalars) : "memory");
}
#elif defined(__aarch64__)
static _Thread_local lp_arithmetic host;
static const lp_arithmetic own;

static lp_arithmetic current(void) {
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return (lp_arithmetic){control, 0};
}

static void set(lp_arithmetic wanted) { __asm__ volatile("msr fpcr, %0" : : "r"(wanted.vectors) : "memory"); }
#else
static _Thread_local lp_arithmetic host;
static const lp_arithmetic own;
static lp_arithmetic current(void) { return own; }
static void set(lp_arithmetic wanted) { (void)wanted; }
#endif

lp_arithmetic lp_enter_arithmetic(void) {
  const lp_arithmetic outer = host;
  host = current();
  set(own);
  return outer;
}

void lp_leave_arithmetic(lp_arithmetic outer) {
  set(host);
  host = outer;
}

void lp_to_host(void) { set(host); }

void lp_from_host(void) {
  host = current();
  set(own);
}

void lp_reset_arithmetic(void) { set(own); }
