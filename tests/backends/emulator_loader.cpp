// Load several emulators (the arguments) as CMSSW's loader does, all before any is called, and run the event (3, -5) through each.
// A line for each: its outputs read as 64 bits, then as 32 bits, or why not.
#include "emulator_interface.h"

#include <any>
#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include <dlfcn.h>

int main(int count, char **paths) {
    std::vector<hls4mlEmulator::Model *> models;
    for (int i = 1; i < count; ++i) {
        void *create = dlsym(dlopen(paths[i], RTLD_NOW | RTLD_GLOBAL), "create_model");
        models.push_back(reinterpret_cast<hls4mlEmulator::Model *(*)()>(create)());
    }
    std::int64_t x[] = {3, -5}, wide[2];
    std::int32_t narrow[2];
    for (auto *model : models) model->prepare_input(x);
    for (auto *model : models) model->predict();
    for (auto *model : models) {
        model->read_result(wide);
        std::printf("%ld %ld, ", static_cast<long>(wide[0]), static_cast<long>(wide[1]));
        try {
            model->read_result(narrow);
            std::printf("%d %d\n", narrow[0], narrow[1]);
        } catch (const std::invalid_argument &error) {
            std::printf("%s\n", error.what());
        }
    }
}
