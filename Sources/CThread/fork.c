// SPDX-License-Identifier: Apache-2.0
#include "thread.h"

#include <pthread.h>

#include "futex.h"

/// Threads between enter and leave.
static _Atomic uint32_t inside;
/// 1 while a thread forks: one at a time.
static _Atomic uint32_t forking;
static _Thread_local uint32_t depth;

static void step_out(void) {
  atomic_fetch_sub(&inside, 1);
  if (atomic_load(&forking)) futex_wake(&inside, INT_MAX);
}

void lp_enter_unforked(void) {
  if (depth++ > 0) return;
  for (;;) {
    atomic_fetch_add(&inside, 1);
    if (!atomic_load(&forking)) return;
    step_out();
    futex_wait(&forking, 1);
  }
}

void lp_leave_unforked(void) {
  if (--depth == 0) step_out();
}

static void before_fork(void) {
  for (uint32_t none = 0; !atomic_compare_exchange_strong(&forking, &none, 1); none = 0) futex_wait(&forking, 1);
  const uint32_t own = depth > 0;
  for (uint32_t others; (others = atomic_load(&inside)) != own;) futex_wait(&inside, others);
}

static void in_parent(void) {
  atomic_store(&forking, 0);
  futex_wake(&forking, INT_MAX);
}

/// Only the thread that forked is here.
static void in_child(void) {
  atomic_store(&inside, depth > 0);
  atomic_store(&forking, 0);
}

__attribute__((constructor)) static void prepare_for_forks(void) {
  pthread_atfork(before_fork, in_parent, in_child);
}
