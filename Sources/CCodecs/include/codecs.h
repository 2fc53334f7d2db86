// SPDX-License-Identifier: Apache-2.0
// The door to libpng and libjpeg: whole images, memory to memory. Their setjmp error handling stays behind
// it.
#ifndef XI_CODECS_H
#define XI_CODECS_H

#include <stddef.h>
#include <stdint.h>

/// Bytes of a message, its NUL included.
#define XI_MESSAGE_SIZE 200

typedef enum xi_status {
  XI_OK = 0,
  XI_DAMAGED = 1,      // the bytes are not a whole, sound image
  XI_UNSUPPORTED = 2,  // a sound image, perhaps, of a kind or size that is refused
  XI_NO_MEMORY = 3
} xi_status;

/// What the samples of a decoded image are; rows touch.
typedef enum xi_samples {
  XI_GRAY8 = 0,
  XI_GRAY16 = 1,  // in the processor's byte order
  XI_RGB8 = 2,
  XI_CMYK8 = 3    // as stored: Adobe's programs store 255 - ink
} xi_samples;

typedef struct xi_image {
  void *samples;  // give back with xi_free
  uint32_t width;
  uint32_t height;
  xi_samples kind;
} xi_image;

typedef struct xi_bytes {
  uint8_t *data;  // give back with xi_free
  size_t size;
} xi_bytes;

/// Decode one image of at most `max_side` by `max_side` and `max_pixels` pixels.
///
/// Nothing is allocated for the pixels before `size` proves large enough to hold as many as the header
/// claims. Alpha, transparent colours, gamma and colour profiles are ignored; palettes are applied; grey of
/// fewer than 8 bits is spread over 0...255; of 16-bit RGB the high byte is kept. Data that ends early or is
/// damaged fails. On failure `out` is untouched and `message` tells why.
xi_status xi_decode_png(const uint8_t *data, size_t size, uint32_t max_side, uint64_t max_pixels,
                        xi_image *out, char message[XI_MESSAGE_SIZE]);
xi_status xi_decode_jpeg(const uint8_t *data, size_t size, uint32_t max_side, uint64_t max_pixels,
                         xi_image *out, char message[XI_MESSAGE_SIZE]);

/// Encode touching rows of 1 (grey), 3 (RGB) or 4 (RGBA) bytes a pixel. The same pixels give the same bytes.
xi_status xi_encode_png(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                        xi_bytes *out, char message[XI_MESSAGE_SIZE]);

void xi_free(void *memory);

#endif
