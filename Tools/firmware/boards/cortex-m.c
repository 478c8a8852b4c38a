// Cortex-M: the vector table, and semihosting through a breakpoint.
//
// The floating-point unit stays off, so on cores that have one a floating-point instruction is a fault.
#include "board.h"

extern uint8_t __stack_top[];
void board_start(void);

static int32_t semihosting(int32_t operation, const void *argument) {
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void board_write(uint8_t character) { semihosting(0x03, &character); }

__attribute__((noreturn)) void board_exit(int32_t status) {
  const uint32_t reason[2] = {0x20026, (uint32_t)status};
  semihosting(0x20, reason);
  for (;;) {}
}

// A trap in the program ends here, and a fault of any kind.
static void fault(void) {
  for (const char *text = "error fault\n"; *text; text++) board_write((uint8_t)*text);
  board_exit(4);
}

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    __stack_top, board_start, fault, fault, fault, fault, fault, fault,
    fault,       fault,       fault, fault, fault, fault, fault, fault,
};
