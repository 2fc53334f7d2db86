// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>

#include "futex.h"

/// A call of `lp_together`, on the stack of its caller.
struct job {
  void (*body)(void *);
  void *context;
  /// Helpers that may still join, behind the lock; more than 0 while the job is in the list.
  int wanted;
  /// Helpers that have joined and not ended; `asleep` where the caller waits for that.
  _Atomic uint32_t active;
  struct job *next;
};
static const uint32_t asleep = 1u << 31;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/// Behind the lock: the jobs that want helpers, the newest first; the pool's threads, and how many have no job.
static struct job *jobs;
static int threads, idle;
/// Counts jobs; those who sleep on it wait for the next one.
static _Atomic uint32_t posted;
static _Atomic int sleepers;

/// How long a thread looks out before it sleeps: about what waking it takes.
static const long lookout_ns = 60000;

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

/// Whether `*word` changes from `value` soon. Gives the core away after a while, to whom it may be waiting for.
static int changes_soon(_Atomic uint32_t *word, uint32_t value) {
  const long start = now();
  for (;;) {
    for (int i = 0; i < 50; i++) {
      if (atomic_load_explicit(word, memory_order_acquire) != value) return 1;
      pause_briefly();
    }
    const long passed = now() - start;
    if (passed > lookout_ns) return 0;
    if (passed > lookout_ns / 4) sched_yield();
  }
}

/// Takes part in the newest job that wants helpers; returns whether there was one.
static int help(uint32_t *seen) {
  lock();
  *seen = atomic_load(&posted);
  struct job *job = jobs;
  if (job) {
    if (--job->wanted == 0) jobs = job->next;
    atomic_fetch_add(&job->active, 1);
    idle--;
  }
  unlock();
  if (!job) return 0;
  job->body(job->context);
  // Idle before the caller goes on, so that its next job finds this thread.
  lock();
  idle++;
  unlock();
  // Afterwards the job may be gone, unless its caller sleeps.
  if (atomic_fetch_sub(&job->active, 1) == (asleep | 1)) futex_wake(&job->active, 1);
  return 1;
}

static void *serve(void *unused) {
  lp_reset_arithmetic();
  // A new thread has the affinity of the one that made it, which may be bound to a core of its own.
  cpu_set_t cores;
  if (sched_getaffinity(getpid(), sizeof cores, &cores) == 0) sched_setaffinity(0, sizeof cores, &cores);
  for (;;) {
    uint32_t seen;
    if (help(&seen) || changes_soon(&posted, seen)) continue;
    atomic_fetch_add(&sleepers, 1);
    futex_wait(&posted, seen);
    atomic_fetch_sub(&sleepers, 1);
  }
  return unused;
}

/// How many threads the pool may have for a call that wants so many helpers, whatever else runs.
static int most(int helpers) {
  cpu_set_t cores;
  const int others = sched_getaffinity(getpid(), sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) - 1 : 0;
  return helpers > others ? helpers : others;
}

/// Behind the lock: sees to it that `helpers` threads are idle, if it may be. They take no signals of the host's, but those of
/// their own instructions: blocked, these end the process before a handler of the host's (a sandbox, a crash reporter) sees them.
static void start(int helpers) {
  pthread_attr_t attributes;
  sigset_t all, before;
  if (idle >= helpers) return;
  const int limit = most(helpers);
  if (threads >= limit || pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 1 << 20);
  static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
  sigfillset(&all);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (idle < helpers && threads < limit) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, serve, NULL) != 0) break;
    pthread_setname_np(thread, "limpid");
    threads++;
    idle++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

static void withdraw(struct job *job) {
  lock();
  for (struct job **place = &jobs; *place; place = &(*place)->next) {
    if (*place == job) {
      *place = job->next;
      break;
    }
  }
  unlock();
}

void lp_together(int helpers, void (*body)(void *context), void *context) {
  struct job job = {body, context, helpers, 0, NULL};
  lock();
  start(helpers);
  job.next = jobs;
  jobs = &job;
  unlock();
  atomic_fetch_add(&posted, 1);
  if (atomic_load(&sleepers) > 0) futex_wake(&posted, helpers);
  body(context);
  withdraw(&job);
  for (;;) {
    uint32_t active = atomic_load(&job.active);
    if ((active & ~asleep) == 0) return;
    if (changes_soon(&job.active, active)) continue;
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
  threads = idle = 0;
  atomic_store(&sleepers, 0);
}

__attribute__((constructor)) static void prepare_for_forks(void) { pthread_atfork(NULL, NULL, in_child); }
