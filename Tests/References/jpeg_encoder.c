// Writes the kinds of JPEG that Pillow doesn't: jpeg.py compiles it, with libjpeg-turbo.
//
//     jpeg_encoder WIDTH HEIGHT COLOURS STORED SAMPLING QUALITY FLAGS < VALUES > FILE
//
// COLOURS are those of the values, and STORED those of the file: gray, rgb, ycc, cmyk, ycck or two. SAMPLING has two digits a component,
// how often it is sampled across and down. FLAGS: p progressive, f progressive by frequency alone, a arithmetic, s a scan for each
// component, r restart markers in every row, n no marker that says what the colours are.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

static J_COLOR_SPACE space(const char *name) {
    return strcmp(name, "gray") == 0 ? JCS_GRAYSCALE
        : strcmp(name, "rgb") == 0   ? JCS_RGB
        : strcmp(name, "ycc") == 0   ? JCS_YCbCr
        : strcmp(name, "cmyk") == 0  ? JCS_CMYK
        : strcmp(name, "ycck") == 0  ? JCS_YCCK
                                     : JCS_UNKNOWN;
}

int main(int count, char **arguments) {
    if (count != 8) return 1;
    const char *sampling = arguments[5], *flags = arguments[7];
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    encoder.err = jpeg_std_error(&errors);
    jpeg_create_compress(&encoder);
    jpeg_stdio_dest(&encoder, stdout);
    encoder.image_width = atoi(arguments[1]);
    encoder.image_height = atoi(arguments[2]);
    encoder.in_color_space = space(arguments[3]);
    encoder.input_components = encoder.in_color_space == JCS_GRAYSCALE ? 1
        : encoder.in_color_space == JCS_UNKNOWN                        ? 2
        : encoder.in_color_space == JCS_CMYK                           ? 4
                                                                       : 3;
    jpeg_set_defaults(&encoder);
    jpeg_set_colorspace(&encoder, space(arguments[4]));
    jpeg_set_quality(&encoder, atoi(arguments[6]), TRUE);
    for (int index = 0; index < encoder.num_components && sampling[2 * index]; ++index) {
        encoder.comp_info[index].h_samp_factor = sampling[2 * index] - '0';
        encoder.comp_info[index].v_samp_factor = sampling[2 * index + 1] - '0';
    }
    jpeg_scan_info scans[4] = {{0}};
    if (strchr(flags, 'p')) jpeg_simple_progression(&encoder);
    if (strchr(flags, 's')) {
        for (int index = 0; index < encoder.num_components; ++index)
            scans[index] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {index}, .Se = 63};
        encoder.scan_info = scans;
        encoder.num_scans = encoder.num_components;
    }
    if (strchr(flags, 'f')) {
        scans[0] = (jpeg_scan_info){.comps_in_scan = 1};
        scans[1] = (jpeg_scan_info){.comps_in_scan = 1, .Ss = 1, .Se = 63};
        encoder.scan_info = scans;
        encoder.num_scans = 2;
    }
    if (strchr(flags, 'a')) encoder.arith_code = TRUE;
    if (strchr(flags, 'r')) encoder.restart_in_rows = 1;
    if (strchr(flags, 'n')) encoder.write_Adobe_marker = encoder.write_JFIF_header = FALSE;
    size_t size = (size_t)encoder.image_width * encoder.input_components;
    unsigned char *row = malloc(size);
    jpeg_start_compress(&encoder, TRUE);
    while (encoder.next_scanline < encoder.image_height) {
        if (fread(row, 1, size, stdin) != size) return 1;
        jpeg_write_scanlines(&encoder, &row, 1);
    }
    jpeg_finish_compress(&encoder);
    jpeg_destroy_compress(&encoder);
    return 0;
}
