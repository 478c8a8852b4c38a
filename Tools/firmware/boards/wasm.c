// WebAssembly with WASI (preview 1), run by the toolchain's wasmkit.
//
// Locals live in the engine; what C and Swift keep in memory is on the shadow stack, which is painted.
#include "board.h"

extern uint8_t __stack_low[], __stack_high[];
int32_t firmware_main(void);

typedef struct { const uint8_t *start; uint32_t count; } slice;

__attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_write")))
int32_t wasi_write(int32_t file, const slice *slices, uint32_t count, uint32_t *written);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit"), noreturn))
void wasi_exit(int32_t status);

enum { paint = 0xC5, memory_bytes = 1 << 18 };
static uint8_t memory[memory_bytes] __attribute__((aligned(64)));

void board_write(uint8_t character) {
  const slice text = {&character, 1};
  uint32_t written;
  wasi_write(1, &text, 1, &written);
}
uint8_t *board_memory(void) { return memory; }
uint32_t board_memory_bytes(void) { return memory_bytes; }
uint32_t board_static_bytes(void) { return 0; }
uint32_t board_stack_limit(void) { return (uint32_t)(__stack_high - __stack_low); }
uint32_t board_stack_bytes(void) {
  const volatile uint8_t *p = __stack_low;
  while (p < __stack_high && *p == paint) p++;
  return (uint32_t)(__stack_high - p);
}

void _start(void) {
  // This function's own frame is at most 64 bytes.
  for (volatile uint8_t *p = __stack_low; p < __stack_high - 64; p++) *p = paint;
  wasi_exit(firmware_main());
}
