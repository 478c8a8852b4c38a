// The image of a run, as a constant array. IMAGE names its file.
#include "board.h"

static const uint8_t image[] __attribute__((aligned(64))) = {
#embed IMAGE
};

const uint8_t *board_image(void) { return image; }
