#ifndef LIMPID_RESERVE_H
#define LIMPID_RESERVE_H

/* Swift's own containers (arrays, dictionaries, texts, objects) end the process where `malloc` has no memory for them. In
   the shared library and the program their allocations are wrapped (Package.swift): where the system has no memory they
   take it from a reserve, which is set aside when the library is loaded, and the call that needed it is to end. */

/* Whether this thread took memory from the reserve since it was asked last. */
int lp_took_reserve(void);

#endif
