#include <stddef.h>
#include <stdint.h>

// libjpeg reports errors by longjmp, which may not pass through Swift: here it passes through C alone.

struct jpeg_reader_header {
    // In pixels, as stored.
    size_t width, height;
    // The memory that decoding takes beside the pixels: a file of several scans has all its coefficients in memory at once.
    size_t coefficient_bytes;
};

// Reads what stands before the first scan. Returns 1, or 0 with a reason in `message`.
int jpeg_reader_read_header(
    const uint8_t *bytes, size_t count, struct jpeg_reader_header *header, char *message, size_t message_size);

// Decodes a JPEG to interleaved 8-bit red, green and blue, row by row from the top: gray, YCbCr and RGB as they are, CMYK and YCCK with
// the inverted inks that Adobe's programs write, printed over white as Pillow does it. No colour space is applied.
//
// What libjpeg only warns of, such as data that end early, would be a picture with a part that nobody drew: it is an error here.
//
// `pixels` has `capacity` bytes, three for each pixel of the header. Returns 1, or 0 with a reason in `message`.
int jpeg_reader_decode(const uint8_t *bytes, size_t count, uint8_t *pixels, size_t capacity, char *message, size_t message_size);

// The version of libjpeg-turbo, or of libjpeg's interface, that this was compiled for.
const char *jpeg_reader_version(void);
