#include "MicroKernels.h"
