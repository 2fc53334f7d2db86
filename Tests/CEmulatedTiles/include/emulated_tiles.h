#ifndef LIMPID_EMULATED_TILES_H
#define LIMPID_EMULATED_TILES_H

/* AMX's tile instructions for processors that have none: from the first call on, the process computes those that the
 * processor does not know (SIGILL), and ends where one would fault. Returns how many it has computed. */
unsigned long lp_emulate_tiles(void);

#endif
