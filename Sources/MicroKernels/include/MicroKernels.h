#ifndef TALLY_MICROKERNELS_H
#define TALLY_MICROKERNELS_H
#include <stdint.h>
#endif
