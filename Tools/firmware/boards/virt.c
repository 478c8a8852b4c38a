// QEMU's `virt` machines (RISC-V, AArch64): semihosting. virt.S holds the first instructions.
#include "board.h"

intptr_t board_semihosting(intptr_t operation, const void *argument);

void board_write(uint8_t character) { board_semihosting(0x03, &character); }

__attribute__((noreturn)) void board_exit(int32_t status) {
  const uintptr_t reason[2] = {0x20026, (uintptr_t)status};
  board_semihosting(0x20, reason);
  for (;;) {}
}

// A trap in the program ends here, and a fault of any kind.
void board_fault(void) {
  for (const char *text = "error fault\n"; *text; text++) board_write((uint8_t)*text);
  board_exit(4);
}
