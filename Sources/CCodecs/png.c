// SPDX-License-Identifier: Apache-2.0
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "codecs.h"
#include "refusals.h"

// deflate expands a byte to at most 1032.
enum { MOST_EXPANSION = 1032 };

typedef struct {
  const uint8_t *data;
  size_t size, position;
  uint8_t *pixels;
  lp_watch watch;
  char *message;
  jmp_buf out;
} source;

typedef struct {
  uint8_t *data;
  size_t size, capacity;
  lp_watch watch;
  char *message;
  jmp_buf out;
} sink;

static void ignore_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void source_error(png_structp png, png_const_charp text) {
  source *s = png_get_error_ptr(png);
  snprintf(s->message, LP_MESSAGE_SIZE, "%s", text);
  longjmp(s->out, 1);
}

static void source_read(png_structp png, png_bytep to, size_t count) {
  source *s = png_get_io_ptr(png);
  if (count > s->size - s->position) png_error(png, "the file ends early");
  memcpy(to, s->data + s->position, count);
  s->position += count;
}

static uint32_t big_endian(const uint8_t *b) {
  return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static uint32_t checksum(const uint8_t *data, size_t size) {
  uint32_t crc = ~(uint32_t)0;
  for (size_t i = 0; i < size; i++) {
    crc ^= data[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
  }
  return ~crc;
}

/// Pillow reads the checksums up to the pixels, and none from there on: zlib has one of its own for those.
static lp_status check_head(const source *s) {
  for (size_t at = 8; at + 12 <= s->size;) {
    const size_t length = big_endian(s->data + at);
    const uint8_t *kind = s->data + at + 4;
    if (length > s->size - at - 12 || !memcmp(kind, "IDAT", 4)) return LP_OK;
    if (checksum(kind, length + 4) != big_endian(kind + 4 + length)) {
      snprintf(s->message, LP_MESSAGE_SIZE, "a chunk before its pixels is damaged (CRC error)");
      return LP_DAMAGED;
    }
    at += length + 12;
  }
  return LP_OK;
}

/// What the rows are to hold of what the file has.
static lp_samples request_samples(png_structp png, png_infop info, lp_kept kept) {
  const int color = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
  const int has_alpha = color & PNG_COLOR_MASK_ALPHA, is_color = color & PNG_COLOR_MASK_COLOR;
  if (depth == 16 && (kept == LP_KEEP_16_BITS || color == PNG_COLOR_TYPE_GRAY)) {
    const uint16_t one = 1;
    if (*(const uint8_t *)&one == 1) png_set_swap(png);
    if (has_alpha) png_set_strip_alpha(png);
    return is_color ? LP_RGB16 : LP_GRAY16;
  }
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (color == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (depth == 16) png_set_strip_16(png);
  if (kept == LP_KEEP_ALPHA) {
    const int has_transparent = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
    if (has_transparent) png_set_tRNS_to_alpha(png);
    if (!is_color) png_set_gray_to_rgb(png);
    if (!has_alpha && !has_transparent) png_set_add_alpha(png, 0xFF, PNG_FILLER_AFTER);
    return LP_RGBA8;
  }
  if (has_alpha) png_set_strip_alpha(png);
  return is_color ? LP_RGB8 : LP_GRAY8;
}

static lp_status read_png(png_structp png, png_infop info, source *s, uint32_t max_side,
                          uint64_t max_pixels, lp_kept kept, lp_image *out) {
  png_set_read_fn(png, s, source_read);
  // Compressed text and profiles could be bombs, and transparent colours would make palettes RGBA.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  if (kept != LP_KEEP_ALPHA) png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, (png_const_bytep) "tRNS", 1);
  png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
  png_read_info(png, info);

  const uint32_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  lp_status status = lp_check_size(width, height, max_side, max_pixels, s->message);
  if (status != LP_OK) return status;
  const uint64_t stored = (uint64_t)height * png_get_rowbytes(png, info);
  status = lp_check_claim(width, height, stored / MOST_EXPANSION, s->size, s->message);
  if (status != LP_OK) return status;

  const lp_samples kind = request_samples(png, info, kept);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  const size_t row = png_get_rowbytes(png, info);
  s->pixels = malloc(row * height);
  if (!s->pixels) return LP_NO_MEMORY;
  for (int pass = 0; pass < passes; pass++)
    for (uint32_t y = 0; y < height; y++) {
      png_read_row(png, s->pixels + row * y, NULL);
      if (s->watch.advance(s->watch.context, row)) return LP_STOPPED;
    }
  png_read_end(png, NULL);

  *out = (lp_image){s->pixels, width, height, kind, 0};
  return LP_OK;
}

/// The caller owns what a longjmp to here must not lose.
static lp_status try_read(png_structp png, png_infop info, source *s, uint32_t max_side,
                          uint64_t max_pixels, lp_kept kept, lp_image *out) {
  return setjmp(s->out) ? LP_DAMAGED : read_png(png, info, s, max_side, max_pixels, kept, out);
}

lp_status lp_decode_png(const uint8_t *data, size_t size, uint32_t max_side, uint64_t max_pixels,
                        lp_kept kept, lp_watch watch, lp_image *out, char message[LP_MESSAGE_SIZE]) {
  source s = {.data = data, .size = size, .watch = watch, .message = message};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, source_error, ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  lp_status status = check_head(&s);
  if (status == LP_OK) status = info ? try_read(png, info, &s, max_side, max_pixels, kept, out) : LP_NO_MEMORY;
  png_destroy_read_struct(&png, &info, NULL);
  if (status != LP_OK) free(s.pixels);
  return status;
}

static void sink_error(png_structp png, png_const_charp text) {
  sink *s = png_get_error_ptr(png);
  snprintf(s->message, LP_MESSAGE_SIZE, "%s", text);
  longjmp(s->out, 1);
}

static void sink_write(png_structp png, png_bytep from, size_t count) {
  sink *s = png_get_io_ptr(png);
  if (count > s->capacity - s->size) {
    size_t capacity = s->capacity * 2 + count + 4096;
    uint8_t *data = realloc(s->data, capacity);
    if (!data) png_error(png, "no memory for the encoded image");
    s->data = data;
    s->capacity = capacity;
  }
  memcpy(s->data + s->size, from, count);
  s->size += count;
}

static void sink_flush(png_structp png) { (void)png; }

static lp_status try_write(png_structp png, png_infop info, sink *s, const uint8_t *pixels, uint32_t width,
                           uint32_t height, uint32_t channels, uint32_t bytes) {
  if (setjmp(s->out)) return LP_NO_MEMORY;
  const int color = channels == 1   ? PNG_COLOR_TYPE_GRAY
                    : channels == 3 ? PNG_COLOR_TYPE_RGB
                                    : PNG_COLOR_TYPE_RGB_ALPHA;
  png_set_write_fn(png, s, sink_write, sink_flush);
  png_set_IHDR(png, info, width, height, 8 * (int)bytes, color, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  // Said explicitly, so that the bytes do not depend on how libpng was configured. Level 3 takes a third of the
  // time of the usual 6 and makes photographs a tenth larger.
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
  png_set_compression_level(png, 3);
  png_write_info(png, info);
  // Files have the high byte first.
  const uint16_t probe = 1;
  if (bytes == 2 && *(const uint8_t *)&probe) png_set_swap(png);
  const size_t row = (size_t)width * channels * bytes;
  for (uint32_t y = 0; y < height; y++) {
    png_write_row(png, pixels + row * y);
    if (s->watch.advance(s->watch.context, row)) return LP_STOPPED;
  }
  png_write_end(png, NULL);
  return LP_OK;
}

static lp_status encode(const void *pixels, uint32_t width, uint32_t height, uint32_t channels, uint32_t bytes,
                        lp_watch watch, lp_bytes *out, char message[LP_MESSAGE_SIZE]) {
  sink s = {.watch = watch, .message = message};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, sink_error, ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  lp_status status = LP_NO_MEMORY;
  if (info) status = try_write(png, info, &s, pixels, width, height, channels, bytes);
  png_destroy_write_struct(&png, &info);
  if (status == LP_OK) *out = (lp_bytes){s.data, s.size};
  else free(s.data);
  return status;
}

lp_status lp_encode_png(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                        lp_watch watch, lp_bytes *out, char message[LP_MESSAGE_SIZE]) {
  return encode(pixels, width, height, channels, 1, watch, out, message);
}

lp_status lp_encode_png16(const uint16_t *samples, uint32_t width, uint32_t height, uint32_t channels,
                          lp_watch watch, lp_bytes *out, char message[LP_MESSAGE_SIZE]) {
  return encode(samples, width, height, channels, 2, watch, out, message);
}

void lp_free(void *memory) { free(memory); }
