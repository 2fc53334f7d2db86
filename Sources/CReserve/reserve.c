// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "reserve.h"

#include <malloc.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "thread.h"

// Weak, because there are none where a program is linked without `--wrap`.
extern void *__real_swift_slowAlloc(size_t size, size_t align_mask) __attribute__((weak));
extern void __real_swift_slowDealloc(void *memory, size_t size, size_t align_mask) __attribute__((weak));
extern size_t __real_malloc_usable_size(void *memory) __attribute__((weak));

/// Blocks lie one behind the other, from the first byte to the last, each behind a unit that says how long it is.
enum { UNIT = 64 };
static const size_t most = (size_t)256 << 20;
struct block {
  /// In units, with this one.
  uint32_t length;
  uint32_t is_used;
};

static char *reserve;
static size_t units;
static atomic_flag busy = ATOMIC_FLAG_INIT;
static _Thread_local int took;

/// Nobody forks meanwhile, and a signal handler has no business here.
static void lock(void) {
  lp_enter_unforked();
  while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) sched_yield();
}

static void unlock(void) {
  atomic_flag_clear_explicit(&busy, memory_order_release);
  lp_leave_unforked();
}

/// Address space only, until it is written to. Not more than an eighth of what the process may have.
__attribute__((constructor)) static void set_aside(void) {
  const int limits[] = {RLIMIT_AS, RLIMIT_DATA};
  size_t size = most;
  for (int i = 0; i < 2; i++) {
    struct rlimit limit;
    if (getrlimit(limits[i], &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur / 8 < size) {
      size = limit.rlim_cur / 8 / UNIT * UNIT;
    }
  }
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return;
  madvise(memory, size, MADV_DONTDUMP);
  reserve = memory;
  units = size / UNIT;
}

static int is_reserved(const void *memory) {
  return reserve && (const char *)memory >= reserve && (const char *)memory < reserve + units * UNIT;
}

static struct block *block_of(void *memory) { return (struct block *)((char *)memory - UNIT); }
static struct block *at(size_t unit) { return (struct block *)(reserve + unit * UNIT); }

/// Behind the lock: the first free block of so many units, cut to them; NULL where there is none.
static struct block *first_free(size_t wanted) {
  if (at(0)->length == 0) at(0)->length = (uint32_t)units;
  for (size_t unit = 0; unit < units; unit += at(unit)->length) {
    struct block *block = at(unit);
    if (block->is_used) continue;
    for (size_t next = unit + block->length; next < units && !at(next)->is_used; next += at(next)->length) {
      block->length += at(next)->length;
    }
    if (block->length < wanted) continue;
    if (block->length > wanted) {
      struct block *rest = at(unit + wanted);
      rest->length = block->length - (uint32_t)wanted;
      rest->is_used = 0;
      block->length = (uint32_t)wanted;
    }
    return block;
  }
  return NULL;
}

static void *take(size_t size) {
  const size_t wanted = size / UNIT + 2;
  if (!reserve || wanted > units) return NULL;
  lock();
  struct block *block = first_free(wanted);
  if (block) block->is_used = 1;
  unlock();
  if (!block) return NULL;
  took = 1;
  return (char *)block + UNIT;
}

static void give_back(void *memory) {
  lock();
  block_of(memory)->is_used = 0;
  unlock();
}

int lp_took_reserve(void) {
  const int result = took;
  took = 0;
  return result;
}

/// As `swift_slowAlloc`, which never returns NULL: a mask of all ones asks for the alignment that `malloc` has.
void *__wrap_swift_slowAlloc(size_t size, size_t align_mask) {
  void *memory = NULL;
  if (align_mask == SIZE_MAX || align_mask < _Alignof(max_align_t)) memory = malloc(size);
  else if (posix_memalign(&memory, align_mask + 1, size) != 0) memory = NULL;
  if (!memory && (align_mask == SIZE_MAX || align_mask < UNIT)) memory = take(size);
  return memory ? memory : __real_swift_slowAlloc(size, align_mask);
}

void __wrap_swift_slowDealloc(void *memory, size_t size, size_t align_mask) {
  if (is_reserved(memory)) give_back(memory);
  else __real_swift_slowDealloc(memory, size, align_mask);
}

/// Swift's arrays ask how much they got.
size_t __wrap_malloc_usable_size(void *memory) {
  if (is_reserved(memory)) return (size_t)(block_of(memory)->length - 1) * UNIT;
  return __real_malloc_usable_size(memory);
}
