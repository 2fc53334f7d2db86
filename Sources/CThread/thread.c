// SPDX-License-Identifier: Apache-2.0
#include "thread.h"

#include <string.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);
#define LP_IS_WATCHED 1
#endif
#endif

void lp_took_lock(const void *lock) {
#ifdef LP_IS_WATCHED
  __tsan_acquire((void *)lock);
#else
  (void)lock;
#endif
}

void lp_gives_lock(const void *lock) {
#ifdef LP_IS_WATCHED
  __tsan_release((void *)lock);
#else
  (void)lock;
#endif
}

// In place, so that neither an error nor the end of a thread allocates or frees.
static _Thread_local char message[1024];

const char *lp_message(void) { return message; }

void lp_set_message(const char *text, size_t size) {
  if (size >= sizeof message) {
    size = sizeof message - 1;
    // The bytes of a character after its first are 10xxxxxx.
    while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80) size--;
  }
  memcpy(message, text, size);
  message[size] = '\0';
}
