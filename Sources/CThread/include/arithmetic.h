#ifndef LIMPID_ARITHMETIC_H
#define LIMPID_ARITHMETIC_H

#include <stdint.h>

/* How a thread rounds, whether numbers near 0 count as 0, and which exceptions of arithmetic end the program: a host may
   have set other than what a program begins with, and results do not depend on that. */
typedef struct lp_arithmetic {
  uint64_t vectors;
  uint64_t scalars;
} lp_arithmetic;

/* Around a call of the host's: from here on as a program begins; then as the host had it. What `enter` returns is for
   `leave`, since a callback of a call may make another. */
lp_arithmetic lp_enter_arithmetic(void);
void lp_leave_arithmetic(lp_arithmetic outer);

/* Around what the host is called back with. */
void lp_to_host(void);
void lp_from_host(void);

/* Of a thread that no host has a part in. */
void lp_reset_arithmetic(void);

#endif
