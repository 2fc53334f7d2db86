/* libFuzzer harness: an image from memory is decoded; what could be decoded is encoded and comes back the same. */
#include <stdlib.h>
#include <string.h>

#include "codecs.h"

enum { MAX_SIDE = 65535, MAX_PIXELS = 1 << 22, ENCODED_PIXELS = 1 << 14 };

static int advance(void *context, size_t bytes) {
  (void)context, (void)bytes;
  return 0;
}

static const lp_watch unwatched = {advance, NULL};

static void encode(const lp_image *image) {
  char message[LP_MESSAGE_SIZE];
  const uint32_t channels = image->kind == LP_GRAY8 ? 1 : 3;
  const size_t size = (size_t)image->width * image->height;
  lp_bytes png;
  lp_image again;
  if (size > ENCODED_PIXELS || (image->kind != LP_GRAY8 && image->kind != LP_RGB8)) return;
  if (lp_encode_png(image->samples, image->width, image->height, channels, unwatched, &png, message) != LP_OK) abort();
  if (lp_decode_png(png.data, png.size, MAX_SIDE, MAX_PIXELS, LP_KEEP_COLORS, unwatched, &again, message) != LP_OK) abort();
  if (again.kind != image->kind || memcmp(again.samples, image->samples, size * channels) != 0) abort();
  lp_free(again.samples);
  lp_free(png.data);
}

/* The signatures decide in the library; here the first byte does, so that all decoders see all inputs. What is kept of an image,
 * its length says. WebP is tried where the machine has libwebp. */
static lp_status decode(const uint8_t *data, size_t size, lp_image *image, char *message) {
  const lp_kept kept = (lp_kept)(size % 3);
  switch (size > 0 ? data[0] : 0) {
    case 0x89: return lp_decode_png(data, size, MAX_SIDE, MAX_PIXELS, kept, unwatched, image, message);
    case 'R': return lp_decode_webp(data, size, MAX_SIDE, MAX_PIXELS, kept, unwatched, image, message);
    default: return lp_decode_jpeg(data, size, MAX_SIDE, MAX_PIXELS, unwatched, image, message);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char message[LP_MESSAGE_SIZE] = "";
  lp_image image;
  memset(&image, 0, sizeof image);
  if (decode(data, size, &image, message) == LP_OK) {
    if (!image.samples || image.width < 1 || image.height < 1) abort();
    encode(&image);
    lp_free(image.samples);
  } else if (image.samples || message[0] == '\0') {
    abort();
  }
  return 0;
}
