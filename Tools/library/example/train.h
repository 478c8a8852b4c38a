#ifndef TRAIN_H
#define TRAIN_H

#include <stdint.h>

// Trains and says what came out; 0, or the exit code of a failure that has been printed.
int32_t train(void);

// Prints a text; whoever runs the example provides it.
void put(const char *text);

#endif
