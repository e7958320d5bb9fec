// Run an exported emulator on events in files, by every way into it, under sanitizers. MODEL is its namespace, HEADER its header.
// Arguments: the file of the inputs, that of the outputs expected, and the library for CMSSW's loader.
#include HEADER
#include "emulator_interface.h"

#include <algorithm>
#include <any>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <dlfcn.h>

#define JOINED(a, b) a##b
#define C_NAME(a, b) JOINED(a, b)

static void check(bool holds, const std::string &what) {
    if (holds) return;
    std::printf("%s\n", what.c_str());
    std::exit(1);
}

static std::vector<std::int64_t> numbers(const char *path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<std::int64_t> values(bytes.size() / sizeof(std::int64_t));
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char *>(values.data()));
    return values;
}

template <class Call>
static std::string error_of(Call call) {
    try {
        call();
    } catch (const std::invalid_argument &error) {
        return error.what();
    }
    return "no error";
}

int main(int, char **arguments) {
    std::vector<std::int64_t> x = numbers(arguments[1]);
    const std::vector<std::int64_t> wanted = numbers(arguments[2]);
    const std::size_t events = x.size() / MODEL::inputs;
    check(events > 0 && wanted.size() == events * MODEL::outputs, "the files do not fit");
    check(C_NAME(MODEL, _inputs)() == MODEL::inputs && C_NAME(MODEL, _outputs)() == MODEL::outputs, "C: numbers of ports");

    std::vector<std::int64_t> found(wanted.size());
    check(C_NAME(MODEL, _run)(x.data(), found.data(), events) == events && found == wanted, "C: different");

    std::fill(found.begin(), found.end(), -7);
    std::vector<std::thread> workers;
    for (std::size_t t = 0; t < 4; ++t)
        workers.emplace_back([&, t] {
            for (std::size_t e = t; e < events; e += 4) MODEL::run(&x[e * MODEL::inputs], &found[e * MODEL::outputs]);
        });
    for (auto &worker : workers) worker.join();
    check(found == wanted, "C++, four threads: different");

    void *library = dlopen(arguments[3], RTLD_LAZY | RTLD_LOCAL);
    check(library != nullptr, "dlopen fails");
    auto *create = reinterpret_cast<hls4mlEmulator::Model *(*)()>(dlsym(library, "create_model"));
    auto *destroy = reinterpret_cast<void (*)(hls4mlEmulator::Model *)>(dlsym(library, "destroy_model"));
    check(create != nullptr && destroy != nullptr, "no create_model or destroy_model");
    hls4mlEmulator::Model *model = create();
    for (std::size_t e = 0; e < events; ++e) {
        std::int32_t narrow[MODEL::inputs], result[MODEL::outputs];
        for (int i = 0; i < MODEL::inputs; ++i) narrow[i] = static_cast<std::int32_t>(x[e * MODEL::inputs + i]);
        std::int64_t wide[MODEL::outputs];
        model->prepare_input(static_cast<const std::int32_t *>(narrow));
        model->predict();
        model->read_result(static_cast<std::int32_t *>(result));
        model->prepare_input(&x[e * MODEL::inputs]);
        model->predict();
        model->read_result(static_cast<std::int64_t *>(wide));
        for (int j = 0; j < MODEL::outputs; ++j)
            check(result[j] == wanted[e * MODEL::outputs + j] && wide[j] == result[j], "CMSSW: different");
    }
    std::int64_t result[MODEL::outputs];
    const auto refused = [](auto call) { std::printf("%s\n", error_of(call).c_str()); };
    const auto read = [&] { model->read_result(result); };
    model->predict(); // once more, and what was read can be read again
    read();
    read();
    check(std::equal(result, result + MODEL::outputs, wanted.end() - MODEL::outputs), "CMSSW: read twice: different");
    double real = 0;
    refused([&] { model->prepare_input(&real); });
    refused([&] { model->predict(); }); // the input before is gone
    refused(read);
    refused([&] { model->prepare_input(x); });
    refused([&] { model->prepare_input(static_cast<std::int32_t *>(nullptr)); });
    refused([&] { model->prepare_input(nullptr); });
    model->prepare_input(&x[0]);
    refused(read); // of the event before
    model->prepare_input(&x[MODEL::inputs]); // the later one holds
    model->predict();
    refused([&] { model->read_result(std::any()); });
    refused([&] { model->read_result(static_cast<std::int64_t *>(nullptr)); });
    refused([&] { model->read_result(static_cast<const std::int64_t *>(result)); });
    read();
    check(std::equal(result, result + MODEL::outputs, wanted.begin() + MODEL::outputs), "CMSSW: prepared twice: different");
    x[0] = INT64_C(1) << 40;
    model->prepare_input(x.data());
    refused([&] { model->predict(); });
    refused(read);
    hls4mlEmulator::Model *fresh = create();
    refused([&] { fresh->predict(); });
    destroy(fresh);
    destroy(model);
    dlclose(library);
    check(C_NAME(MODEL, _run)(x.data(), found.data(), events) == 0, "C: an input outside its type is taken");
    std::printf("%zu events\n", events);
}
