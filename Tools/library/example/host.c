// The example as a program of this machine.
#include <stdio.h>

#include "train.h"

void put(const char *text) { fputs(text, stdout); }

int main(void) { return train(); }
