// A producer of CMS: emulators are loaded by name with a loader written to the interface of hls4mlEmulator
// (hls4mlEmulatorExtras), called with the types INPUT and OUTPUT by four threads, and asked wrong questions.
//
// Its arguments: the events and the results of each version, as doubles, and the two versions without ".so".
#include "emulator_model_loader.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include DECLARATIONS

using hls4mlEmulator::Model;

template <class T>
void fill(T &number, const double *&values) { number = *values++; }
template <class T, std::size_t N>
void fill(std::array<T, N> &numbers, const double *&values) {
    for (auto &number : numbers) fill(number, values);
}
template <class A, class B>
void fill(std::pair<A, B> &both, const double *&values) {
    fill(both.first, values);
    fill(both.second, values);
}

template <class T>
bool same(const T &number, const double *&values) { return static_cast<double>(number) == *values++; }
template <class T, std::size_t N>
bool same(const std::array<T, N> &numbers, const double *&values) {
    bool all = true;
    for (const auto &number : numbers) all = same(number, values) && all;
    return all;
}
template <class A, class B>
bool same(const std::pair<A, B> &both, const double *&values) {
    const bool first = same(both.first, values);
    return same(both.second, values) && first;
}

std::vector<double> doubles(const char *path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<double> values;
    for (double value; file.read(reinterpret_cast<char *>(&value), sizeof value);) values.push_back(value);
    return values;
}

// INPUT and OUTPUT are objects, or the numbers of a pointer.
struct Event {
    INPUT input[INPUTS_OF_A_POINTER];
    OUTPUT output[OUTPUTS_OF_A_POINTER];

    void fill_from(const double *values) {
        for (INPUT &one : input) fill(one, values);
    }

    bool is(const double *values) const {
        bool all = true;
        for (const OUTPUT &one : output) all = same(one, values) && all;
        return all;
    }
};

int wrong(Model &model, const std::vector<double> &x, const std::vector<double> &y, std::size_t first) {
    Event event;
    int count = 0;
    const std::size_t events = x.size() / INPUTS;
    for (std::size_t k = first; k < events; k += 4) {
        event.fill_from(&x[k * INPUTS]);
        switch (k % 3) {
        case 0: model.prepare_input(static_cast<INPUT *>(event.input)); break;
        case 1: model.prepare_input(static_cast<const INPUT *>(event.input)); break;
        default: model.prepare_input(BY_VALUE(event.input)); break;
        }
        model.predict();
        model.read_result(static_cast<OUTPUT *>(event.output));
        count += !event.is(&y[k * OUTPUTS]);
    }
    return count;
}

int main(int, char **arguments) {
    const auto x = doubles(arguments[1]), one = doubles(arguments[2]), two = doubles(arguments[3]);
    hls4mlEmulator::ModelLoader first(arguments[4]), second(arguments[5]);
    // The loader opens its library with each model that it makes.
    std::vector<std::shared_ptr<Model>> models;
    for (int k = 0; k < 4; ++k) {
        models.push_back(first.load_model());
        models.push_back(second.load_model());
    }
    int counts[8] = {};
    std::vector<std::thread> threads;
    for (std::size_t k = 0; k < 4; ++k)
        threads.emplace_back([&, k] {
            counts[2 * k] = wrong(*models[2 * k], x, one, k);
            counts[2 * k + 1] = wrong(*models[2 * k + 1], x, two, k);
        });
    for (auto &thread : threads) thread.join();
    int all = 0;
    for (int count : counts) all += count;
    std::printf("%zu events, %d wrong\n", x.size() / INPUTS, all);
    Model &model = *models[0];
    static INPUT *no_input = nullptr;
    static OUTPUT *no_output = nullptr;
    std::vector<short> shorts(64);
    refused([&] { model.prepare_input(shorts.data()); });
    refused([&] { model.prepare_input(no_input); });
    Event event;
    const std::vector<double> bad(INPUTS, BAD);
    event.fill_from(bad.data());
    refused([&] { model.prepare_input(static_cast<INPUT *>(event.input)); });
    refused([&] { model.predict(); });
    event.fill_from(x.data());
    model.prepare_input(static_cast<INPUT *>(event.input));
    model.predict();
    refused([&] { model.read_result(shorts); });
    refused([&] { model.read_result(no_output); });
    model.read_result(static_cast<OUTPUT *>(event.output));
    std::printf("%s\n", event.is(one.data()) ? "as before" : "another result");
}
