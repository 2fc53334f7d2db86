// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "futex.h"

/// A call of `lp_together`, on the stack of its caller.
struct job {
  void (*body)(void *);
  void *context;
  /// Helpers of each half that may still join, behind the lock; more than none while the job is in the list.
  int wanted[2];
  /// Helpers that have joined and not ended; `asleep` where the caller waits for that.
  _Atomic uint32_t active;
  struct job *next;
};
static const uint32_t asleep = 1u << 31;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/// Behind the lock: the jobs that want helpers, the newest first.
static struct job *jobs;

/// The pool's threads stay on every other core each, and a caller takes those of the half that it is not on itself. Left to
/// the system, a thread that is woken may come to the core of the one that wakes it, and stay behind it while others idle: virtual
/// machines take cores that sleep for busy ones. (Binding a thread when it is woken would be a call that a host may have forbidden by then.)
static struct half {
  /// Behind the lock: threads, and how many of them have no job.
  int threads, idle;
  /// Counts jobs; those who sleep on it wait for the next one.
  _Atomic uint32_t posted;
  _Atomic int sleepers;
  cpu_set_t cores;
} halves[2];

/// How long a thread looks out before it sleeps. A caller, for its helpers to end: about what waking it takes. A helper, for the
/// next job: about what a program does between two calls, besides.
static const long callers_lookout_ns = 60000, helpers_lookout_ns = 200000;

static void lock(void) {
  lp_enter_unforked();
  pthread_mutex_lock(&mutex);
}

static void unlock(void) {
  pthread_mutex_unlock(&mutex);
  lp_leave_unforked();
}

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/// Whether `*word` changes from `value` within so long. Gives the core away after a while, to whom it may be waiting for.
static int changes_within(long lookout_ns, _Atomic uint32_t *word, uint32_t value) {
  const long start = now();
  for (;;) {
    for (int i = 0; i < 50; i++) {
      if (atomic_load_explicit(word, memory_order_acquire) != value) return 1;
      pause_briefly();
    }
    const long passed = now() - start;
    if (passed > lookout_ns) return 0;
    if (passed > callers_lookout_ns / 4) sched_yield();
  }
}

static void take_out(struct job *job) {
  for (struct job **place = &jobs; *place; place = &(*place)->next) {
    if (*place == job) {
      *place = job->next;
      break;
    }
  }
}

/// Takes part in the newest job that wants helpers of this half; returns whether there was one.
static int help(struct half *half, uint32_t *seen) {
  const int which = half == &halves[1];
  lock();
  *seen = atomic_load(&half->posted);
  struct job *job = jobs;
  while (job && job->wanted[which] == 0) job = job->next;
  if (job) {
    if (--job->wanted[which] == 0 && job->wanted[!which] == 0) take_out(job);
    atomic_fetch_add(&job->active, 1);
    half->idle--;
  }
  unlock();
  if (!job) return 0;
  job->body(job->context);
  // Idle before the caller goes on, so that its next job finds this thread.
  lock();
  half->idle++;
  unlock();
  // Afterwards the job may be gone, unless its caller sleeps.
  if (atomic_fetch_sub(&job->active, 1) == (asleep | 1)) futex_wake(&job->active, 1);
  return 1;
}

static void *serve(void *of) {
  struct half *half = of;
  lp_reset_arithmetic();
  // A new thread has the affinity of the one that made it, which may be bound to a core of its own.
  if (CPU_COUNT(&half->cores) > 0) sched_setaffinity(0, sizeof half->cores, &half->cores);
  for (;;) {
    uint32_t seen;
    if (help(half, &seen) || changes_within(helpers_lookout_ns, &half->posted, seen)) continue;
    atomic_fetch_add(&half->sleepers, 1);
    futex_wait(&half->posted, seen);
    atomic_fetch_sub(&half->sleepers, 1);
  }
  return NULL;
}

/// Behind the lock: every other core that the process may use to each half. Where there is one, both have it; where it cannot be
/// known, neither has any, and threads are left to the system.
static void divide(void) {
  cpu_set_t all;
  for (int i = 0; i < 2; i++) CPU_ZERO(&halves[i].cores);
  if (sched_getaffinity(getpid(), sizeof all, &all) != 0) return;
  const int count = CPU_COUNT(&all);
  for (int core = 0, k = 0; core < CPU_SETSIZE; core++) {
    if (!CPU_ISSET(core, &all)) continue;
    if (count == 1 || k % 2 == 0) CPU_SET(core, &halves[0].cores);
    if (count == 1 || k % 2 == 1) CPU_SET(core, &halves[1].cores);
    k++;
  }
}

/// Behind the lock: sees to it that so many threads of the half are idle, and that there are `least`, if it may be. They take no
/// signals of the host's, but those of their own instructions: blocked, these end the process before a handler of the host's (a
/// sandbox, a crash reporter) sees them.
static void start(struct half *half, int helpers, int least) {
  pthread_attr_t attributes;
  sigset_t all, before;
  if (half->idle >= helpers && half->threads >= least) return;
  // For a call that wants many, whatever else runs.
  const int cores = CPU_COUNT(&half->cores), limit = least > cores ? least : cores;
  if (half->threads >= limit || pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 1 << 20);
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  sigfillset(&all);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while ((half->idle < helpers || half->threads < least) && half->threads < limit) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, serve, half) != 0) break;
    pthread_setname_np(thread, "limpid");
    half->threads++;
    half->idle++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

static void withdraw(struct job *job) {
  lock();
  take_out(job);
  unlock();
}

void lp_together(int helpers, void (*body)(void *context), void *context) {
  struct job job = {.body = body, .context = context};
  const int core = sched_getcpu();
  lock();
  if (halves[0].threads + halves[1].threads == 0) divide();
  const int own = core >= 0 && !CPU_ISSET(core, &halves[0].cores), other = !own;
  // More threads than cores are shared out too.
  const int cores = CPU_COUNT(&halves[other].cores), most = helpers > 2 * cores ? (helpers + 1) / 2 : cores;
  int wanted[2];
  wanted[other] = helpers < most ? helpers : most;
  wanted[own] = helpers - wanted[other];
  memcpy(job.wanted, wanted, sizeof wanted);
  // As many of each half: this caller may be on another core the next time, and not be allowed to make threads then.
  for (int i = 0; i < 2; i++) start(&halves[i], wanted[i], wanted[other]);
  job.next = jobs;
  jobs = &job;
  unlock();
  for (int i = 0; i < 2; i++) {
    if (wanted[i] == 0) continue;
    atomic_fetch_add(&halves[i].posted, 1);
    if (atomic_load(&halves[i].sleepers) > 0) futex_wake(&halves[i].posted, wanted[i]);
  }
  body(context);
  withdraw(&job);
  for (;;) {
    uint32_t active = atomic_load(&job.active);
    if ((active & ~asleep) == 0) return;
    if (changes_within(callers_lookout_ns, &job.active, active)) continue;
    if (!(active & asleep)) {
      if (!atomic_compare_exchange_strong(&job.active, &active, active | asleep)) continue;
      active |= asleep;
    }
    futex_wait(&job.active, active);
  }
}

/// Only the thread that forked is here, and nobody has the lock.
static void in_child(void) {
  jobs = NULL;
  for (int i = 0; i < 2; i++) {
    halves[i].threads = halves[i].idle = 0;
    atomic_store(&halves[i].sleepers, 0);
  }
}

__attribute__((constructor)) static void prepare_for_forks(void) { pthread_atfork(NULL, NULL, in_child); }
