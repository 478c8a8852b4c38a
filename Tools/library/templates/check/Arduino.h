// The few names of an Arduino core that the sketch uses, for a board of Tools/firmware: what is printed
// goes to the board's console, and `loop` runs ten times.
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>

extern "C" {
#include "board.h"
int32_t firmware_main(void);
const uint8_t *board_image(void) { return nullptr; }
}

struct Console {
  void begin(unsigned long) {}
  void print(const char *text) {
    while (*text) board_write(static_cast<uint8_t>(*text++));
  }
  void print(uint32_t number) {
    if (number >= 10) print(number / 10);
    board_write(static_cast<uint8_t>('0' + number % 10));
  }
  void print(int32_t number) {
    if (number < 0) print("-");
    print(static_cast<uint32_t>(number < 0 ? -number : number));
  }
  template <typename Value> void println(Value value) {
    print(value);
    print("\n");
  }
};

static Console Serial;

void setup();
void loop();

int32_t firmware_main(void) {
  setup();
  for (int turn = 0; turn < 10; turn++) loop();
  return 0;
}

#endif
