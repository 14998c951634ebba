#include <stddef.h>
#include <setjmp.h>
#include <png.h>
