// A producer of CMS that hands over link words and reads accept bits, with thresholds and prescales of its own: two versions side by
// side, four threads, and wrong questions.
//
// Its arguments: the words, and the scores and accept bits of each version; the versions and an emulator without a payload, all without
// ".so". Accept bits are those after THRESHOLD and PRESCALE are set for "tight" in the first half of the events, and after a reset in
// the other.
#include "accept_bits.h"
#include "emulator_model_loader.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <thread>
#include <vector>

using hls4mlEmulator::Model;
using trigger_emulator::AcceptBits;

template <class T>
std::vector<T> content(const char *path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<T> values;
    for (T value; file.read(reinterpret_cast<char *>(&value), sizeof value);) values.push_back(value);
    return values;
}

AcceptBits &accept_bits(Model &model) { return dynamic_cast<AcceptBits &>(model); }

void prepare(Model &model, std::uint64_t *event, std::size_t number) {
    std::vector<std::uint64_t> words(event, event + WORDS);
    const auto &fixed = words;
    switch (number % 5) {
    case 0: model.prepare_input(event); break;
    case 1: model.prepare_input(static_cast<const std::uint64_t *>(event)); break;
    case 2: model.prepare_input(words); break;
    case 3: model.prepare_input(&words); break;
    default: model.prepare_input(&fixed); break;
    }
}

int wrong(Model &model, std::vector<std::uint64_t> words, const std::vector<std::int64_t> &scores,
          const std::vector<unsigned char> &accept) {
    const std::size_t events = words.size() / WORDS;
    accept_bits(model).set_threshold("tight", THRESHOLD);
    accept_bits(model).set_prescale("tight", PRESCALE);
    int count = 0;
    for (std::size_t k = 0; k < events; ++k) {
        if (k == events / 2) accept_bits(model).reset();
        prepare(model, &words[k * WORDS], k);
        model.predict();
        std::int64_t y[OUTPUTS];
        bool bits[2];
        model.read_result(static_cast<std::int64_t *>(y));
        for (int again = 0; again < 2; ++again) { // reading is no event
            model.read_result(static_cast<bool *>(bits));
            count += !std::equal(bits, bits + 2, &accept[k * 2]);
        }
        count += !std::equal(y, y + OUTPUTS, &scores[k * OUTPUTS]);
    }
    return count;
}

int main(int, char **arguments) {
    const auto words = content<std::uint64_t>(arguments[1]);
    const std::vector<std::int64_t> scores[] = {content<std::int64_t>(arguments[2]), content<std::int64_t>(arguments[4])};
    const std::vector<unsigned char> accept[] = {content<unsigned char>(arguments[3]), content<unsigned char>(arguments[5])};
    hls4mlEmulator::ModelLoader first(arguments[6]), second(arguments[7]), third(arguments[8]);
    std::vector<std::shared_ptr<Model>> models;
    for (int k = 0; k < 4; ++k) {
        models.push_back(first.load_model());
        models.push_back(second.load_model());
    }
    int counts[4] = {};
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; ++k)
        threads.emplace_back([&, k] {
            for (int version = 0; version < 2; ++version)
                counts[k] += wrong(*models[2 * k + version], words, scores[version], accept[version]);
        });
    for (auto &thread : threads) thread.join();
    std::printf("%zu events, %d wrong\n", words.size() / WORDS, counts[0] + counts[1] + counts[2] + counts[3]);

    Model &model = *models[0];
    AcceptBits &bits = accept_bits(model);
    for (const auto &name : bits.names()) std::printf("%s %ld %ld\n", name.c_str(), long(bits.threshold(name)), long(bits.prescale(name)));
    bits.set_threshold("loose", INT64_MAX);
    std::printf("%ld ", long(bits.threshold("loose")));
    bits.set_threshold("loose", INT64_MIN);
    bits.set_prescale("loose", UINT32_MAX);
    std::printf("%ld %ld\n", long(bits.threshold("loose")), long(bits.prescale("loose")));
    refused([&] { bits.set_prescale("loose", -1); });
    refused([&] { bits.set_prescale("loose", INT64_C(1) << 32); });
    refused([&] { bits.set_prescale("lose", 1); });
    refused([&] { bits.threshold(""); });
    std::printf("%ld\n", long(bits.prescale("loose")));
    std::vector<std::uint64_t> short_by_one(words.begin(), words.begin() + WORDS - 1), wide(words.begin(), words.begin() + WORDS);
    wide[WORDS - 1] = INT64_C(1) << WORD_BITS;
    std::vector<std::uint64_t> *nothing = nullptr;
    std::vector<std::int64_t> numbers(8);
    bool decided[2];
    refused([&] { model.prepare_input(short_by_one); });
    refused([&] { model.prepare_input(wide.data()); });
    refused([&] { model.predict(); });
    refused([&] { model.prepare_input(static_cast<std::uint64_t *>(nullptr)); });
    refused([&] { model.prepare_input(nothing); });
    refused([&] { model.prepare_input(numbers); });
    model.prepare_input(numbers.data()); // raw integers, as before
    refused([&] { model.read_result(static_cast<bool *>(decided)); });
    model.predict();
    model.read_result(static_cast<bool *>(decided));
    refused([&] { model.read_result(static_cast<bool *>(nullptr)); });
    refused([&] { model.read_result(decided[0]); });
    std::printf("%s\n", dynamic_cast<AcceptBits *>(third.load_model().get()) == nullptr ? "no payload" : "a payload");
}
