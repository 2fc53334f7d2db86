// SPDX-License-Identifier: Apache-2.0
// What the two decoders refuse before they allocate, in the same words.
#ifndef LP_REFUSALS_H
#define LP_REFUSALS_H

#include <inttypes.h>
#include <stdio.h>

#include "codecs.h"

static inline lp_status lp_check_size(uint32_t width, uint32_t height, uint32_t max_side,
                                      uint64_t max_pixels, char *message) {
  if (width <= max_side && height <= max_side && (uint64_t)width * height <= max_pixels) return LP_OK;
  snprintf(message, LP_MESSAGE_SIZE,
           "%" PRIu32 "x%" PRIu32 " pixels are too many; "
           "at most %" PRIu64 ", and %" PRIu32 " a side, are read",
           width, height, max_pixels, max_side);
  return LP_UNSUPPORTED;
}

/// `least` is the smallest number of bytes in which the format can hold the claimed size.
static inline lp_status lp_check_claim(uint32_t width, uint32_t height, uint64_t least, size_t size,
                                       char *message) {
  if (size >= least) return LP_OK;
  snprintf(message, LP_MESSAGE_SIZE,
           "it claims %" PRIu32 "x%" PRIu32 " pixels, which need %" PRIu64 " bytes or more, but has only %zu",
           width, height, least, size);
  return LP_DAMAGED;
}

#endif
