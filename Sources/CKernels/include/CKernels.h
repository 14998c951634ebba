#pragma once

#include "elementwise.h"
#include "normalization.h"
#include "attention.h"
