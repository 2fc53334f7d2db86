// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>

#include <jerror.h>

#include "codecs.h"
#include "refusals.h"

// A progressive file of a few bytes a scan would otherwise buy a pass over all pixels with each.
enum { MOST_SCANS = 100 };

typedef struct {
  struct jpeg_decompress_struct decoder;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  uint8_t *pixels;
  lp_watch watch;
  lp_status problem;
  char *message;
  int is_resynchronized;
  jmp_buf out;
} reader;

static reader *reader_of(j_common_ptr decoder) { return decoder->client_data; }

_Noreturn static void fail(j_common_ptr decoder) {
  char text[JMSG_LENGTH_MAX];
  decoder->err->format_message(decoder, text);
  snprintf(reader_of(decoder)->message, LP_MESSAGE_SIZE, "%s", text);
  longjmp(reader_of(decoder)->out, 1);
}

/// libjpeg warns where data is missing or makes no sense, and draws something grey. What leaves the pixels as they were
/// meant passes here, and, noted, what is drawn where restart markers are not in their order: libjpeg finds its way by
/// them, and some cameras number them wrongly.
static void judge_warning(j_common_ptr decoder, int level) {
  if (level >= 0) return;  // a trace, not a warning
  switch (decoder->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_TOO_MUCH_DATA:
    case JWRN_JFIF_MAJOR:
    // Cameras and phones write other numbers of coefficients into the scan's header; a sequential scan has all of them.
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_ADOBE_XFORM: return;
    case JWRN_MUST_RESYNC: reader_of(decoder)->is_resynchronized = 1; return;
    case JWRN_HIT_MARKER:
      if (reader_of(decoder)->is_resynchronized) return;
      fail(decoder);
    default: fail(decoder);
  }
}

static boolean refuse_to_invent_data(j_decompress_ptr decoder) {
  ERREXIT(decoder, JERR_INPUT_EOF);
  return FALSE;
}

/// Called once for each row of blocks, of every scan and of the image.
static void watch_reading(j_common_ptr common) {
  const j_decompress_ptr decoder = (j_decompress_ptr)common;
  reader *r = reader_of(common);
  if (decoder->input_scan_number > MOST_SCANS) {
    snprintf(r->message, LP_MESSAGE_SIZE, "it has more than %d scans", MOST_SCANS);
    longjmp(r->out, 1);
  }
  const size_t row = (size_t)decoder->image_width * (size_t)decoder->num_components * DCTSIZE;
  if (r->watch.advance(r->watch.context, row)) {
    r->problem = LP_STOPPED;
    longjmp(r->out, 1);
  }
}

/// Every 8x8 block of every component takes a bit or more of Huffman-coded data.
static uint64_t least_bytes(j_decompress_ptr decoder) {
  uint64_t blocks = 0;
  for (int i = 0; i < decoder->num_components; i++) {
    const jpeg_component_info *c = &decoder->comp_info[i];
    blocks += (uint64_t)c->width_in_blocks * c->height_in_blocks;
  }
  return blocks / 8;
}

static lp_status choose_samples(j_decompress_ptr decoder, lp_samples *kind, char *message) {
  if (decoder->arith_code) {
    snprintf(message, LP_MESSAGE_SIZE, "arithmetic coding is not supported");
    return LP_UNSUPPORTED;
  }
  switch (decoder->num_components) {
    case 1: *kind = LP_GRAY8, decoder->out_color_space = JCS_GRAYSCALE; return LP_OK;
    case 3: *kind = LP_RGB8, decoder->out_color_space = JCS_RGB; return LP_OK;
    case 4: *kind = LP_CMYK8, decoder->out_color_space = JCS_CMYK; return LP_OK;
    default:
      snprintf(message, LP_MESSAGE_SIZE, "%d colour components; 1, 3 and 4 are supported",
               decoder->num_components);
      return LP_UNSUPPORTED;
  }
}

static lp_status read_jpeg(reader *r, const uint8_t *data, size_t size, uint32_t max_side,
                           uint64_t max_pixels, lp_image *out) {
  j_decompress_ptr decoder = &r->decoder;
  jpeg_create_decompress(decoder);
  decoder->progress = &r->progress;
  jpeg_mem_src(decoder, data, size);
  decoder->src->fill_input_buffer = refuse_to_invent_data;
  jpeg_read_header(decoder, TRUE);

  const uint32_t width = decoder->image_width, height = decoder->image_height;
  lp_samples kind;
  lp_status status = lp_check_size(width, height, max_side, max_pixels, r->message);
  if (status == LP_OK) status = lp_check_claim(width, height, least_bytes(decoder), size, r->message);
  if (status == LP_OK) status = choose_samples(decoder, &kind, r->message);
  if (status != LP_OK) return status;

  // Said explicitly: the networks were trained on the accurate transform and smooth chroma.
  decoder->dct_method = JDCT_ISLOW;
  decoder->do_fancy_upsampling = TRUE;
  jpeg_start_decompress(decoder);
  const size_t row = (size_t)decoder->output_width * (size_t)decoder->output_components;
  r->pixels = malloc(row * height);
  if (!r->pixels) return LP_NO_MEMORY;
  while (decoder->output_scanline < height) {
    JSAMPROW target = r->pixels + row * decoder->output_scanline;
    jpeg_read_scanlines(decoder, &target, 1);
  }
  jpeg_finish_decompress(decoder);

  *out = (lp_image){r->pixels, width, height, kind, r->is_resynchronized};
  return LP_OK;
}

/// The caller owns what a longjmp to here must not lose.
static lp_status try_read(reader *r, const uint8_t *data, size_t size, uint32_t max_side,
                          uint64_t max_pixels, lp_image *out) {
  return setjmp(r->out) ? r->problem : read_jpeg(r, data, size, max_side, max_pixels, out);
}

lp_status lp_decode_jpeg(const uint8_t *data, size_t size, uint32_t max_side, uint64_t max_pixels,
                         lp_watch watch, lp_image *out, char message[LP_MESSAGE_SIZE]) {
  reader r = {.watch = watch, .problem = LP_DAMAGED, .message = message};
  r.decoder.err = jpeg_std_error(&r.errors);
  r.decoder.client_data = &r;
  r.errors.error_exit = fail;
  r.errors.emit_message = judge_warning;
  r.progress.progress_monitor = watch_reading;
  const lp_status status = try_read(&r, data, size, max_side, max_pixels, out);
  jpeg_destroy_decompress(&r.decoder);
  if (status != LP_OK) free(r.pixels);
  return status;
}

typedef struct {
  struct jpeg_compress_struct encoder;
  struct jpeg_error_mgr errors;
  struct jpeg_destination_mgr destination;
  struct jpeg_progress_mgr progress;
  uint8_t *data;
  size_t capacity;
  lp_watch watch;
  lp_status problem;
  char *message;
  jmp_buf out;
} writer;

_Noreturn static void fail_to_write(j_common_ptr encoder) {
  writer *w = encoder->client_data;
  char text[JMSG_LENGTH_MAX];
  encoder->err->format_message(encoder, text);
  snprintf(w->message, LP_MESSAGE_SIZE, "%s", text);
  longjmp(w->out, 1);
}

/// Gives libjpeg the half of the memory that is not written yet, which doubles each time.
static boolean grow(j_compress_ptr encoder) {
  writer *w = encoder->client_data;
  const size_t used = w->capacity, capacity = used ? 2 * used : 1 << 14;
  uint8_t *data = realloc(w->data, capacity);
  if (!data) ERREXIT1(encoder, JERR_OUT_OF_MEMORY, 0);
  w->data = data;
  w->capacity = capacity;
  w->destination.next_output_byte = data + used;
  w->destination.free_in_buffer = capacity - used;
  return TRUE;
}

static void start_writing(j_compress_ptr encoder) { grow(encoder); }

/// Called once for each row of blocks, of both passes.
static void watch_writing(j_common_ptr common) {
  const j_compress_ptr encoder = (j_compress_ptr)common;
  writer *w = common->client_data;
  const size_t row = (size_t)encoder->image_width * (size_t)encoder->input_components * DCTSIZE;
  if (w->watch.advance(w->watch.context, row)) {
    w->problem = LP_STOPPED;
    longjmp(w->out, 1);
  }
}

static void end_writing(j_compress_ptr encoder) { (void)encoder; }

static lp_status write_jpeg(writer *w, const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                            int quality, lp_bytes *out) {
  j_compress_ptr encoder = &w->encoder;
  jpeg_create_compress(encoder);
  w->destination.init_destination = start_writing;
  w->destination.empty_output_buffer = grow;
  w->destination.term_destination = end_writing;
  encoder->dest = &w->destination;
  encoder->progress = &w->progress;
  encoder->image_width = width;
  encoder->image_height = height;
  encoder->input_components = (int)channels;
  encoder->in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(encoder);
  jpeg_set_quality(encoder, quality, TRUE);
  // Said explicitly: the one transform that is the same with and without vector instructions.
  encoder->dct_method = JDCT_ISLOW;
  encoder->optimize_coding = TRUE;
  jpeg_start_compress(encoder, TRUE);
  while (encoder->next_scanline < height) {
    // libjpeg does not write to it.
    JSAMPROW row = (JSAMPROW)(pixels + (size_t)width * channels * encoder->next_scanline);
    jpeg_write_scanlines(encoder, &row, 1);
  }
  jpeg_finish_compress(encoder);
  *out = (lp_bytes){w->data, w->capacity - w->destination.free_in_buffer};
  return LP_OK;
}

/// The caller owns what a longjmp to here must not lose.
static lp_status try_write(writer *w, const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                           int quality, lp_bytes *out) {
  return setjmp(w->out) ? w->problem : write_jpeg(w, pixels, width, height, channels, quality, out);
}

lp_status lp_encode_jpeg(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, int quality,
                         lp_watch watch, lp_bytes *out, char message[LP_MESSAGE_SIZE]) {
  writer w = {.watch = watch, .problem = LP_UNSUPPORTED, .message = message};
  w.encoder.err = jpeg_std_error(&w.errors);
  w.encoder.client_data = &w;
  w.errors.error_exit = fail_to_write;
  w.progress.progress_monitor = watch_writing;
  const lp_status status = try_write(&w, pixels, width, height, channels, quality, out);
  jpeg_destroy_compress(&w.encoder);
  if (status != LP_OK) free(w.data);
  return status;
}
