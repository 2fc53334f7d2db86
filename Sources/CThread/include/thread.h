#ifndef LIMPID_THREAD_H
#define LIMPID_THREAD_H

#include <stddef.h>

/* This thread's last error message, UTF-8; "" at first. Swift has no thread-local variables. */
const char *lp_message(void);

/* Keeps as much of `text` as there is room for, cut between characters. */
void lp_set_message(const char *text, size_t size);

#endif
