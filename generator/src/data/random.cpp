// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/random.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <numeric>
#include <utility>

#include "vaultrain/error.h"

namespace vaultrain {

Random::Random(uint64_t seed, std::string_view stream) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a, 64 bits
  for (unsigned char c : stream) hash = (hash ^ c) * 0x100000001b3;
  uint64_t split = seed ^ hash;
  for (uint64_t& word : state_) {
    split += 0x9e3779b97f4a7c15;
    uint64_t z = split;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    word = z ^ (z >> 31);
  }
}

uint64_t Random::Next() {
  uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::Below(uint64_t n) {
  uint64_t rest = (uint64_t{0} - n) % n;  // 2^64 mod n values are one too many
  uint64_t value;
  do {
    value = Next();
  } while (value < rest);
  return value % n;
}

double Random::Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

double Random::Normal() {
  // Each integer stands for the middle of its step, hence twelve halves in the mean.
  int64_t twice = 12;
  for (int i = 0; i < 6; ++i) {
    uint64_t word = Next();
    twice += static_cast<int64_t>(((word >> 32) + (word & 0xffffffff)) * 2);
  }
  return static_cast<double>(twice - (int64_t{12} << 32)) * 0x1p-33;
}

float Random::OneToTwo() {
  return std::bit_cast<float>(static_cast<uint32_t>(0x3F800000 | Next() >> 41));
}

void FillHeNormal(Random& random, int64_t fan_in, std::span<float> values) {
  double deviation = std::sqrt(2.0 / static_cast<double>(fan_in));
  for (float& value : values) value = static_cast<float>(random.Normal() * deviation);
}

std::vector<uint32_t> Permutation(Random& random, uint32_t n) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  for (uint32_t i = n; i > 1; --i) std::swap(order[i - 1], order[random.Below(i)]);
  return order;
}

DataOrder::DataOrder(uint32_t samples, uint32_t batch, uint64_t seed)
    : samples_(samples), batch_(batch), seed_(seed) {
  if (samples == 0) throw Error(ExitStatus::kInternal, "a data order needs at least one sample");
}

std::vector<uint32_t> DataOrder::Batch(uint64_t step) {
  std::vector<uint32_t> batch;
  batch.reserve(batch_);
  for (uint64_t place = step * batch_; batch.size() < batch_; ++place) {
    if (uint64_t epoch = place / samples_; epoch != epoch_) {
      Random random(seed_, fmt::format("order/{}", epoch));
      order_ = Permutation(random, samples_);
      epoch_ = epoch;
    }
    batch.push_back(order_[place % samples_]);
  }
  return batch;
}

}  // namespace vaultrain
