// SPDX-License-Identifier: Apache-2.0
// The door to libpng, libjpeg and, opened where a file asks for it, libwebp: whole images, memory to memory. The
// former two's setjmp error handling stays behind it.
#ifndef LP_CODECS_H
#define LP_CODECS_H

#include <stddef.h>
#include <stdint.h>

/// Bytes of a message, its NUL included.
#define LP_MESSAGE_SIZE 200

typedef enum lp_status {
  LP_OK = 0,
  LP_DAMAGED = 1,      // the bytes are not a whole, sound image
  LP_UNSUPPORTED = 2,  // a sound image, perhaps, of a kind or size that is refused
  LP_NO_MEMORY = 3,
  LP_STOPPED = 4  // the watch asked to stop
} lp_status;

/// Told after every few rows how many bytes of pixels were worked on since; stops the call by anything but 0.
typedef struct lp_watch {
  int (*advance)(void *context, size_t bytes);
  void *context;
} lp_watch;

/// What the samples of a decoded image are; rows touch.
typedef enum lp_samples {
  LP_GRAY8 = 0,
  LP_GRAY16 = 1,  // in the processor's byte order
  LP_RGB8 = 2,
  LP_CMYK8 = 3,   // as stored: Adobe's programs store 255 - ink
  LP_RGBA8 = 4,
  LP_RGB16 = 5    // in the processor's byte order
} lp_samples;

/// What is kept of an image that has it.
typedef enum lp_kept {
  LP_KEEP_COLORS = 0,  // else: of RGB of 16 bits the high byte
  LP_KEEP_ALPHA = 1,   // LP_RGBA8, but of LP_GRAY16; opaque where there is no alpha
  LP_KEEP_16_BITS = 2  // LP_GRAY16 and LP_RGB16
} lp_kept;

typedef struct lp_image {
  void *samples;  // give back with lp_free
  uint32_t width;
  uint32_t height;
  lp_samples kind;
  int is_resynchronized;  // of a JPEG whose restart markers are not in their order: parts of it may be misplaced
} lp_image;

typedef struct lp_bytes {
  uint8_t *data;  // give back with lp_free
  size_t size;
} lp_bytes;

/// Decode one image of at most `max_side` by `max_side` and `max_pixels` pixels.
///
/// Nothing is allocated for the pixels before `size` proves large enough to hold as many as the header
/// claims. Gamma and colour profiles are ignored, and unless they are kept alpha and transparent colours; palettes are
/// applied; grey of fewer than 8 bits is spread over 0...255. Data that ends early or is
/// damaged fails; of PNG's checksums those before the pixels count. On failure `out` is untouched and `message` tells
/// why. WebP has no least number of bytes for a size: one colour takes none for its pixels.
lp_status lp_decode_png(const uint8_t *data, size_t size, uint32_t max_side, uint64_t max_pixels, lp_kept kept,
                        lp_watch watch, lp_image *out, char message[LP_MESSAGE_SIZE]);
lp_status lp_decode_jpeg(const uint8_t *data, size_t size, uint32_t max_side, uint64_t max_pixels, lp_watch watch,
                         lp_image *out, char message[LP_MESSAGE_SIZE]);
lp_status lp_decode_webp(const uint8_t *data, size_t size, uint32_t max_side, uint64_t max_pixels, lp_kept kept,
                         lp_watch watch, lp_image *out, char message[LP_MESSAGE_SIZE]);

/// Encode touching rows of 1 (grey), 3 (RGB) or 4 (RGBA) bytes a pixel. The same pixels give the same bytes.
lp_status lp_encode_png(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                        lp_watch watch, lp_bytes *out, char message[LP_MESSAGE_SIZE]);
/// The same of 1 or 3 numbers of 16 bits a pixel.
lp_status lp_encode_png16(const uint16_t *samples, uint32_t width, uint32_t height, uint32_t channels,
                          lp_watch watch, lp_bytes *out, char message[LP_MESSAGE_SIZE]);

/// The same of 1 (grey) or 3 (RGB) bytes a pixel; `quality` from 1 to 100 as libjpeg has it, chroma halved.
lp_status lp_encode_jpeg(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, int quality,
                         lp_watch watch, lp_bytes *out, char message[LP_MESSAGE_SIZE]);

void lp_free(void *memory);

#endif
