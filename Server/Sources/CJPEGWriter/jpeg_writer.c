#include "jpeg_writer.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

/// libjpeg ends the process on an error unless it is told to go elsewhere.
struct failure {
    struct jpeg_error_mgr manager;
    jmp_buf place;
    char *reason;
    size_t reason_size;
};

static void fail(j_common_ptr info) {
    struct failure *failure = (struct failure *)info->err;
    char message[JMSG_LENGTH_MAX];
    info->err->format_message(info, message);
    snprintf(failure->reason, failure->reason_size, "%s", message);
    longjmp(failure->place, 1);
}

static void ignore(j_common_ptr info) { (void)info; }

unsigned char *jpeg_writer_encode(const unsigned char *pixels, int width, int height, int quality, size_t *size, char *reason,
                                  size_t reason_size) {
    struct jpeg_compress_struct info;
    struct failure failure = {.reason = reason, .reason_size = reason_size};
    // Changed between setjmp and longjmp, so they may not live in registers.
    unsigned char *volatile file = NULL;
    unsigned char *buffer = NULL;
    unsigned long count = 0;
    memset(&info, 0, sizeof info);
    info.err = jpeg_std_error(&failure.manager);
    failure.manager.error_exit = fail;
    failure.manager.output_message = ignore;
    if (setjmp(failure.place) != 0) {
        jpeg_destroy_compress(&info);
        free(file);
        return NULL;
    }
    jpeg_create_compress(&info);
    jpeg_mem_dest(&info, &buffer, &count);
    info.image_width = (JDIMENSION)width;
    info.image_height = (JDIMENSION)height;
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    jpeg_start_compress(&info, TRUE);
    file = buffer;
    while (info.next_scanline < info.image_height) {
        JSAMPROW row = (JSAMPROW)(pixels + 3 * (size_t)width * info.next_scanline);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    jpeg_destroy_compress(&info);
    *size = count;
    return buffer;
}

void jpeg_writer_free(unsigned char *file) { free(file); }
