#include "png_reader.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

struct source {
    const uint8_t *bytes;
    size_t count, position;
    char *message;
    size_t message_size;
};

static void read_bytes(png_structp png, png_bytep target, size_t count) {
    struct source *source = png_get_io_ptr(png);
    if (count > source->count - source->position) png_error(png, "the file ends early");
    memcpy(target, source->bytes + source->position, count);
    source->position += count;
}

static void fail(png_structp png, png_const_charp reason) {
    struct source *source = png_get_error_ptr(png);
    snprintf(source->message, source->message_size, "%s", reason);
    png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp reason) {
    (void)png;
    (void)reason;
}

int png_reader_decode(const uint8_t *bytes, size_t count, uint8_t *pixels, size_t capacity, char *message, size_t message_size) {
    struct source source = {bytes, count, 0, message, message_size};
    snprintf(message, message_size, "libpng can't be started");
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, fail, ignore);
    if (!png) return 0;
    png_infop info = png_create_info_struct(png);
    if (!info) {
        png_destroy_read_struct(&png, NULL, NULL);
        return 0;
    }
    // Neither changes behind this line, so both are what they are when an error jumps back.
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_read_struct(&png, &info, NULL);
        return 0;
    }
    png_set_read_fn(png, &source, read_bytes);
    // The caller has its own limit.
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(png, info);
    size_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
    if (width > SIZE_MAX / 4 / height || width * height * 4 > capacity) png_error(png, "it has more pixels than its header says");
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 0xFF, PNG_FILLER_AFTER);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != width * 4) png_error(png, "its rows have another length than expected");
    for (int pass = 0; pass < passes; ++pass)
        for (size_t row = 0; row < height; ++row) png_read_row(png, pixels + row * width * 4, NULL);
    png_read_end(png, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    return 1;
}
