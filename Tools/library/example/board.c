// The example on a board of Tools/firmware, whose start-up code calls this.
#include "board.h"
#include "train.h"

int32_t firmware_main(void);

void put(const char *text) {
  while (*text) board_write((uint8_t)*text++);
}

int32_t firmware_main(void) { return train(); }
