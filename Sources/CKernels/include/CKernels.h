#pragma once

#include "attention.h"
#include "bfloat16.h"
#include "direct_convolution.h"
#include "elementwise.h"
#include "gemm.h"
#include "normalization.h"
#include "peak.h"
#include "sha256.h"
#include "winograd.h"
