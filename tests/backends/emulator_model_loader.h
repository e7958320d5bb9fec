// A loader written to the interface of hls4mlEmulator (hls4mlEmulatorExtras), and what its producers are told.
#pragma once

#include "emulator_interface.h"

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <dlfcn.h>

namespace hls4mlEmulator {
class ModelLoader {
public:
    explicit ModelLoader(const std::string &name) : name_(name) {}
    ModelLoader(const ModelLoader &) = delete;
    ModelLoader &operator=(const ModelLoader &) = delete;
    ~ModelLoader() {
        if (library_ != nullptr) dlclose(library_);
    }

    std::shared_ptr<Model> load_model() {
        library_ = dlopen((name_ + ".so").c_str(), RTLD_LAZY | RTLD_LOCAL);
        if (library_ == nullptr) throw std::runtime_error(dlerror());
        auto *create = reinterpret_cast<Model *(*)()>(dlsym(library_, "create_model"));
        auto *destroy = reinterpret_cast<void (*)(Model *)>(dlsym(library_, "destroy_model"));
        return std::shared_ptr<Model>(create(), [destroy](Model *model) { destroy(model); });
    }

private:
    std::string name_;
    void *library_ = nullptr;
};
} // namespace hls4mlEmulator

// Print why a call is refused.
template <class F>
void refused(const F &call) {
    try {
        call();
        std::printf("not refused\n");
    } catch (const std::invalid_argument &error) {
        std::printf("%s\n", error.what());
    }
}
