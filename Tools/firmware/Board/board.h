// What the application asks of the machine it runs on. Each file in boards/ answers for one kind.
#ifndef TALLY_FIRMWARE_BOARD_H
#define TALLY_FIRMWARE_BOARD_H

#include <stdint.h>

/// Writes one character to wherever a person or run.sh reads it.
void board_write(uint8_t character);

/// The image of the run (Images/Image.md): model, recipe and samples, 64-byte aligned, in flash.
const uint8_t *board_image(void);

/// Memory that nobody else uses, 16-byte aligned: all RAM but statics and the stack.
uint8_t *board_memory(void);
uint32_t board_memory_bytes(void);

/// Bytes of initialised and zeroed statics.
uint32_t board_static_bytes(void);

/// The most bytes of stack in use at one time so far: the stack was painted before main, and this
/// counts what is no longer paint. 0 is never true; all of the stack means that it overflowed.
uint32_t board_stack_bytes(void);
uint32_t board_stack_limit(void);

#endif
