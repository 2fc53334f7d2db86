// SPDX-License-Identifier: Apache-2.0
#include "forked.h"

#include <pthread.h>
#include <stdint.h>

#include "thread.h"

// Weak, because there are none where a program is linked without `--wrap`.
extern int __real_pthread_mutex_lock(pthread_mutex_t *mutex) __attribute__((weak));
extern int __real_pthread_mutex_unlock(pthread_mutex_t *mutex) __attribute__((weak));
/// `swift::threading_impl::once_slow`: waits for, or is, the one thread that initialises.
extern void real_once_slow(intptr_t *once, void (*function)(void *), void *context) __attribute__((weak))
__asm__("__real__ZN5swift14threading_impl9once_slowERNS0_6once_tEPFvPvES3_");
void wrap_once_slow(intptr_t *once, void (*function)(void *), void *context)
  __asm__("__wrap__ZN5swift14threading_impl9once_slowERNS0_6once_tEPFvPvES3_");
extern int __real___cxa_guard_acquire(int64_t *guard) __attribute__((weak));
extern void __real___cxa_guard_release(int64_t *guard) __attribute__((weak));

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
  lp_enter_unforked();
  const int result = __real_pthread_mutex_lock(mutex);
  if (result != 0) lp_leave_unforked();
  return result;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
  const int result = __real_pthread_mutex_unlock(mutex);
  if (result == 0) lp_leave_unforked();
  return result;
}

void wrap_once_slow(intptr_t *once, void (*function)(void *), void *context) {
  lp_enter_unforked();
  real_once_slow(once, function, context);
  lp_leave_unforked();
}

/// Of variables within C++ functions: whoever gets 1 initialises, and then releases.
int __wrap___cxa_guard_acquire(int64_t *guard) {
  lp_enter_unforked();
  const int initialises = __real___cxa_guard_acquire(guard);
  if (!initialises) lp_leave_unforked();
  return initialises;
}

void __wrap___cxa_guard_release(int64_t *guard) {
  __real___cxa_guard_release(guard);
  lp_leave_unforked();
}
