// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "codecs.h"
#include "refusals.h"

// libwebp's numbers and structures, which its interface keeps: of the decoder's first half (0x02..) for good.
enum { DECODER_ABI = 0x0209 };
enum { VP8_OK = 0, VP8_NO_MEMORY = 1, VP8_UNSUPPORTED = 4, VP8_SUSPENDED = 5, VP8_NOT_ENOUGH_DATA = 7, STOPPED = 1000 };
enum { MODE_RGB = 0, MODE_RGBA = 1 };

typedef struct {
  int width, height, has_alpha, has_animation, format;
  uint32_t reserved[5];
} features;

static struct {
  int (*get_features)(const uint8_t *, size_t, features *, int);
  void *(*new_rgb)(int, uint8_t *, size_t, int);
  int (*update)(void *, const uint8_t *, size_t);
  void (*delete)(void *);
} webp;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int is_loaded = 0;
static char load_error[LP_MESSAGE_SIZE];

static int find(void *library, const char *name, void *function) {
  void *found = dlsym(library, name);
  if (!found) snprintf(load_error, sizeof load_error, "libwebp has no %s", name);
  *(void **)function = found;
  return found != NULL;
}

static void load(void) {
  void *library = dlopen("libwebp.so.7", RTLD_NOW | RTLD_LOCAL);
  if (!library) library = dlopen("libwebpdecoder.so.3", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    snprintf(load_error, sizeof load_error,
             "libwebp.so.7, which reads such files, is not on this machine; install it (Debian: libwebp7), or convert "
             "the file to PNG");
    return;
  }
  is_loaded = find(library, "WebPGetFeaturesInternal", &webp.get_features) &&
              find(library, "WebPINewRGB", &webp.new_rgb) && find(library, "WebPIUpdate", &webp.update) &&
              find(library, "WebPIDelete", &webp.delete);
}

static lp_status refused(int status, char *message) {
  switch (status) {
    case VP8_NO_MEMORY: return LP_NO_MEMORY;
    // All bytes of the file are there, and they do not hold what they should.
    case VP8_SUSPENDED: snprintf(message, LP_MESSAGE_SIZE, "its data is damaged, or ends early"); return LP_DAMAGED;
    case VP8_NOT_ENOUGH_DATA: snprintf(message, LP_MESSAGE_SIZE, "the file ends early"); return LP_DAMAGED;
    case VP8_UNSUPPORTED:
      snprintf(message, LP_MESSAGE_SIZE, "it has a feature that libwebp does not know");
      return LP_UNSUPPORTED;
    default: snprintf(message, LP_MESSAGE_SIZE, "its data is damaged"); return LP_DAMAGED;
  }
}

/// RIFF, the number of bytes that follow, WEBP.
static lp_status check_container(const uint8_t *data, size_t size, char *message) {
  if (size < 12) return refused(VP8_NOT_ENOUGH_DATA, message);
  const uint64_t claimed = data[4] | data[5] << 8 | data[6] << 16 | (uint64_t)data[7] << 24;
  return claimed + 8 > size ? refused(VP8_NOT_ENOUGH_DATA, message) : LP_OK;
}

/// Gives the decoder the file in as many pieces as there are mebibytes of pixels, `all` bytes.
static int update(void *decoder, const uint8_t *data, size_t size, size_t all, lp_watch watch) {
  const size_t pieces = (all >> 20) + 1, piece = size / pieces + 1;
  for (size_t given = piece; given < size; given += piece) {
    const int code = webp.update(decoder, data, given);
    if (code != VP8_SUSPENDED) return code;
    if (watch.advance(watch.context, all / pieces)) return STOPPED;
  }
  return webp.update(decoder, data, size);
}

lp_status lp_decode_webp(const uint8_t *data, size_t size, uint32_t max_side, uint64_t max_pixels,
                         lp_kept kept, lp_watch watch, lp_image *out, char message[LP_MESSAGE_SIZE]) {
  pthread_once(&once, load);
  if (!is_loaded) {
    snprintf(message, LP_MESSAGE_SIZE, "%s", load_error);
    return LP_UNSUPPORTED;
  }
  lp_status status = check_container(data, size, message);
  if (status != LP_OK) return status;
  features found;
  int code = webp.get_features(data, size, &found, DECODER_ABI);
  if (code != VP8_OK) return refused(code, message);
  if (found.has_animation) {
    snprintf(message, LP_MESSAGE_SIZE, "it is animated; save the frame that is meant as an image of its own");
    return LP_UNSUPPORTED;
  }
  if (found.width < 1 || found.height < 1) return refused(-1, message);
  const uint32_t width = (uint32_t)found.width, height = (uint32_t)found.height;
  status = lp_check_size(width, height, max_side, max_pixels, message);
  if (status != LP_OK) return status;

  const int keeps_alpha = kept == LP_KEEP_ALPHA;
  const size_t row = (keeps_alpha ? 4 : 3) * (size_t)width;
  uint8_t *pixels = malloc(row * height);
  void *decoder = pixels ? webp.new_rgb(keeps_alpha ? MODE_RGBA : MODE_RGB, pixels, row * height, (int)row) : NULL;
  code = decoder ? update(decoder, data, size, row * height, watch) : VP8_NO_MEMORY;
  if (decoder) webp.delete(decoder);
  if (code == STOPPED) {
    free(pixels);
    return LP_STOPPED;
  }
  if (code != VP8_OK) {
    free(pixels);
    return refused(code, message);
  }
  *out = (lp_image){pixels, width, height, keeps_alpha ? LP_RGBA8 : LP_RGB8, 0};
  return LP_OK;
}
