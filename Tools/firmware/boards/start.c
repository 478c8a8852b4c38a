// What boards with a linker script share: start-up in C, memory, and the painted stack.
#include "board.h"

extern uint8_t __data_start[], __data_end[], __data_load[], __bss_start[], __bss_end[];
extern uint8_t __memory_start[], __memory_end[], __stack_limit[], __stack_top[];

int32_t firmware_main(void);
void board_exit(int32_t status) __attribute__((noreturn));

static const uint32_t paint = 0xC5C5C5C5;

// The reset code calls this with a stack pointer and nothing else set up.
void board_start(void) {
  const uint8_t *from = __data_load;
  for (uint8_t *to = __data_start; to < __data_end; to++) *to = *from++;
  for (uint8_t *to = __bss_start; to < __bss_end; to++) *to = 0;
  // Up to a little below this function's own frame.
  volatile uint32_t *here = (volatile uint32_t *)((uintptr_t)__builtin_frame_address(0) - 64);
  for (volatile uint32_t *p = (volatile uint32_t *)__stack_limit; p < here; p++) *p = paint;
  board_exit(firmware_main());
}

uint8_t *board_memory(void) { return __memory_start; }
uint32_t board_memory_bytes(void) { return (uint32_t)(__memory_end - __memory_start); }
uint32_t board_static_bytes(void) {
  return (uint32_t)((__data_end - __data_start) + (__bss_end - __bss_start));
}
uint32_t board_stack_limit(void) { return (uint32_t)(__stack_top - __stack_limit); }

uint32_t board_stack_bytes(void) {
  const volatile uint32_t *p = (const volatile uint32_t *)__stack_limit;
  while ((const uint8_t *)p < __stack_top && *p == paint) p++;
  return (uint32_t)(__stack_top - (const uint8_t *)p);
}
