// The accept bits of an emulated payload: the same class in every emulator, whatever its network and version.
//
// Software that loads emulators by name finds it behind the model, without linking to anything:
//
//     auto *bits = dynamic_cast<trigger_emulator::AcceptBits *>(model.get()); // null: an emulator without a payload
//
// A name that no accept bit has, and a number that its register does not hold, throw std::invalid_argument.
#ifndef TRIGGER_EMULATOR_ACCEPT_BITS_H
#define TRIGGER_EMULATOR_ACCEPT_BITS_H

#include <cstdint>
#include <string>
#include <vector>

namespace trigger_emulator {

class AcceptBits {
public:
    virtual ~AcceptBits() = default;

    // In the order of the accept bits.
    virtual std::vector<std::string> names() const = 0;

    // In units of the score's LSB. The firmware limits it to what a score can be, and so does this.
    virtual std::int64_t threshold(const std::string &name) const = 0;
    virtual void set_threshold(const std::string &name, std::int64_t value) = 0;

    // 0: no event is accepted; 1: every event that passes; n: every n-th of them, from the next on. Up to 32 bits.
    virtual std::int64_t prescale(const std::string &name) const = 0;
    virtual void set_prescale(const std::string &name, std::int64_t value) = 0;

    // Thresholds and prescales as after a reset of the firmware.
    virtual void reset() = 0;
};

} // namespace trigger_emulator

#endif
