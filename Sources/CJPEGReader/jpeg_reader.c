#include "jpeg_reader.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>

#include <jerror.h>

// A hostile file can have any number of scans, each of which goes over all coefficients. Encoders write about ten.
enum { MOST_SCANS = 500 };

struct reader {
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char *message;
    size_t message_size;
    // Whether the data of the picture have begun.
    int in_scans;
};

static struct reader *reader_of(j_common_ptr decoder) { return decoder->client_data; }

_Noreturn static void stop(struct reader *reader, const char *reason) {
    snprintf(reader->message, reader->message_size, "%s", reason);
    longjmp(reader->jump, 1);
}

static const char *kind_of_compression(int start_of_frame) {
    switch (start_of_frame) {
    case 0xC3:
    case 0xCB: return "lossless";
    case 0xC5:
    case 0xC6:
    case 0xC7:
    case 0xCD:
    case 0xCE:
    case 0xCF: return "hierarchical";
    case 0xF7: return "JPEG-LS";
    default: return "another";
    }
}

_Noreturn static void fail(j_common_ptr decoder) {
    struct reader *reader = reader_of(decoder);
    char text[JMSG_LENGTH_MAX + 64];
    switch (decoder->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_JPEG_EOF:
    case JERR_INPUT_EOF:
    case JERR_INPUT_EMPTY: stop(reader, "its data end early");
    case JERR_BAD_PRECISION:
        snprintf(text, sizeof text, "its values have %d bits, expected 8", decoder->err->msg_parm.i[0]);
        stop(reader, text);
#if JPEG_LIB_VERSION < 70
    case JERR_ARITH_NOTIMPL: stop(reader, "it is compressed by arithmetic coding, which this libjpeg can't decode");
#endif
    case JERR_SOF_UNSUPPORTED:
        snprintf(
            text, sizeof text, "its compression is %s, expected baseline or progressive",
            kind_of_compression(decoder->err->msg_parm.i[0]));
        stop(reader, text);
    case JERR_EMPTY_IMAGE: stop(reader, "its header says that it has no pixels");
    case JERR_NO_SOI: stop(reader, "it isn't a JPEG");
    case JERR_OUT_OF_MEMORY: stop(reader, "there is too little memory for it");
    case JWRN_EXTRANEOUS_DATA: stop(reader, "its data have stray bytes");
    default: break;
    }
    decoder->err->format_message(decoder, text);
    static const char corrupt[] = "Corrupt JPEG data: ";
    stop(reader, strncmp(text, corrupt, sizeof corrupt - 1) == 0 ? text + sizeof corrupt - 1 : text);
}

// Levels below 0 are warnings, others say what is done.
static void judge(j_common_ptr decoder, int level) {
    if (level >= 0) return;
    // A version of JFIF's to come, and padding between segments, change no pixel.
    int code = decoder->err->msg_code;
    if (code == JWRN_JFIF_MAJOR || (code == JWRN_EXTRANEOUS_DATA && !reader_of(decoder)->in_scans)) return;
    fail(decoder);
}

static void be_silent(j_common_ptr decoder) { (void)decoder; }

static void count_scans(j_common_ptr decoder) {
    if (((j_decompress_ptr)decoder)->input_scan_number > MOST_SCANS) stop(reader_of(decoder), "it has more than 500 scans");
}

static void read_header(struct reader *reader, const uint8_t *bytes, size_t count) {
    struct jpeg_decompress_struct *decoder = &reader->decoder;
    jpeg_mem_src(decoder, bytes, count);
    jpeg_read_header(decoder, TRUE);
    reader->in_scans = 1;
    if (decoder->data_precision != 8) {
        decoder->err->msg_code = JERR_BAD_PRECISION;
        decoder->err->msg_parm.i[0] = decoder->data_precision;
        fail((j_common_ptr)decoder);
    }
    if (decoder->num_components != 1 && decoder->num_components != 3 && decoder->num_components != 4) {
        char text[80];
        snprintf(text, sizeof text, "its pixels have %d values, expected 1, 3 or 4", decoder->num_components);
        stop(reader, text);
    }
}

static void measure(struct reader *reader, struct jpeg_reader_header *header) {
    struct jpeg_decompress_struct *decoder = &reader->decoder;
    header->width = decoder->image_width;
    header->height = decoder->image_height;
    header->coefficient_bytes = 0;
    if (!jpeg_has_multiple_scans(decoder)) return;
    for (int index = 0; index < decoder->num_components; ++index) {
        const jpeg_component_info *component = decoder->comp_info + index;
        // Of whole units, which are up to four blocks wide and high.
        size_t columns = component->width_in_blocks + 3, rows = component->height_in_blocks + 3;
        header->coefficient_bytes += columns * rows * sizeof(JBLOCK);
    }
}

// (a * b) / 255, rounded, as Pillow computes it.
static int share(int a, int b) {
    int product = a * b + 128;
    return ((product >> 8) + product) >> 8;
}

// Stored are 255 minus the inks.
static void print_inks(const JSAMPLE *stored, uint8_t *pixels, size_t width) {
    for (size_t column = 0; column < width; ++column, stored += 4, pixels += 3) {
        int light = stored[3];
        for (int channel = 0; channel < 3; ++channel) {
            int value = light - share(255 - stored[channel], light);
            pixels[channel] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

static void decode(struct reader *reader, uint8_t *pixels, size_t capacity) {
    struct jpeg_decompress_struct *decoder = &reader->decoder;
    size_t width = decoder->image_width, height = decoder->image_height;
    if (width > SIZE_MAX / 3 / height || width * height * 3 != capacity) stop(reader, "its header says another size than before");
    int has_inks = decoder->num_components == 4;
    decoder->out_color_space = has_inks ? JCS_CMYK : JCS_RGB;
    decoder->dct_method = JDCT_ISLOW;
    decoder->do_fancy_upsampling = TRUE;
    jpeg_start_decompress(decoder);
    if (decoder->output_components != (has_inks ? 4 : 3)) stop(reader, "its colours can't be decoded");
    JSAMPARRAY row = decoder->mem->alloc_sarray((j_common_ptr)decoder, JPOOL_IMAGE, (JDIMENSION)width * 4, 1);
    while (decoder->output_scanline < height) {
        uint8_t *target = pixels + 3 * width * decoder->output_scanline;
        JSAMPROW rows[1] = {has_inks ? row[0] : target};
        jpeg_read_scanlines(decoder, rows, 1);
        if (has_inks) print_inks(row[0], target, width);
    }
    jpeg_finish_decompress(decoder);
}

// One of `header` and `pixels` is given. What changes behind setjmp lies in `reader`, which isn't a register.
static int run(
    struct reader *reader, const uint8_t *bytes, size_t count, struct jpeg_reader_header *header, uint8_t *pixels, size_t capacity) {
    if (setjmp(reader->jump)) {
        jpeg_destroy_decompress(&reader->decoder);
        return 0;
    }
    jpeg_create_decompress(&reader->decoder);
    reader->decoder.client_data = reader;
    reader->decoder.progress = &reader->progress;
    read_header(reader, bytes, count);
    if (header) measure(reader, header);
    if (pixels) decode(reader, pixels, capacity);
    jpeg_destroy_decompress(&reader->decoder);
    return 1;
}

static int start(
    const uint8_t *bytes, size_t count, struct jpeg_reader_header *header, uint8_t *pixels, size_t capacity, char *message,
    size_t message_size) {
    struct reader reader;
    memset(&reader, 0, sizeof reader);
    reader.message = message;
    reader.message_size = message_size;
    reader.decoder.err = jpeg_std_error(&reader.errors);
    reader.decoder.client_data = &reader;
    reader.errors.error_exit = fail;
    reader.errors.emit_message = judge;
    reader.errors.output_message = be_silent;
    reader.progress.progress_monitor = count_scans;
    return run(&reader, bytes, count, header, pixels, capacity);
}

int jpeg_reader_read_header(
    const uint8_t *bytes, size_t count, struct jpeg_reader_header *header, char *message, size_t message_size) {
    return start(bytes, count, header, NULL, 0, message, message_size);
}

int jpeg_reader_decode(const uint8_t *bytes, size_t count, uint8_t *pixels, size_t capacity, char *message, size_t message_size) {
    return start(bytes, count, NULL, pixels, capacity, message, message_size);
}

#define TEXT_OF(value) #value
#define TEXT(value) TEXT_OF(value)

const char *jpeg_reader_version(void) {
#ifdef LIBJPEG_TURBO_VERSION
    return TEXT(LIBJPEG_TURBO_VERSION);
#else
    return TEXT(JPEG_LIB_VERSION) ".0";
#endif
}
