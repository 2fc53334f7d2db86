#ifndef LIMPID_THREAD_H
#define LIMPID_THREAD_H

#include <stddef.h>

#include "arithmetic.h"

/* This thread's last error message, UTF-8; "" at first. Swift has no thread-local variables. */
const char *lp_message(void);

/* Keeps as much of `text` as there is room for, cut between characters. */
void lp_set_message(const char *text, size_t size);

/* Calls `body(context)` on this thread and, where they come in time, on up to `helpers` others, and returns when all
   have ended. So `body` takes work until there is none, and this thread alone gets it done.

   Helpers are threads of one pool for the process: none before the first call; as many as are asked for at once, and
   as many again for callers on other cores; they stay on every other core of the process each, and a caller takes those
   that do not share its own. Between calls they look out for the next one for some microseconds, then sleep. A
   thread that cannot be started is done without. In a child made by fork the pool begins anew. */
void lp_together(int helpers, void (*body)(void *context), void *context);

/* Around what must not be half done when the process forks, because the child goes on with it: `fork` waits until no
   other thread is between the two, and holds up those that come. Short, and may be nested. */
void lp_enter_unforked(void);
void lp_leave_unforked(void);

/* For the thread sanitizer, which does not see where Swift's own locks wait for one another: `lock` was taken, and is
   about to be given back. Nothing in other builds. */
void lp_took_lock(const void *lock);
void lp_gives_lock(const void *lock);

#endif
