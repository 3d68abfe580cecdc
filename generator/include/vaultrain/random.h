// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The documented random generator: the same numbers on every machine.
//
// A stream is xoshiro256** (Blackman and Vigna, 2018) whose four words of state are the first four
// outputs of SplitMix64 (Steele, Lea, Flood, 2014) started at seed XOR FNV-1a-64(stream name).
// Separate names give separate streams, so that a new use of random numbers shifts no other.
// Floating point takes part only in exact operations; nothing depends on libm.

#ifndef VAULTRAIN_RANDOM_H_
#define VAULTRAIN_RANDOM_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vaultrain {

class Random {
 public:
  Random(uint64_t seed, std::string_view stream);

  uint64_t Next();
  // Uniform in 0 .. n-1, without bias (rejection); n at least 1.
  uint64_t Below(uint64_t n);
  // Uniform in [0, 1): the top 53 bits of Next, exact.
  double Uniform();
  // Uniform in [low, high).
  double Uniform(double low, double high) { return low + (high - low) * Uniform(); }
  // Mean 0, variance 1, within -6 .. 6: the sum of twelve uniform 32-bit integers (Irwin-Hall), six
  // words of the stream, high half and low half of each; minus its mean, times 2^-32, exact.
  double Normal();
  // Uniform in [1, 2): the top 23 bits of Next are the fraction.
  float OneToTwo();

 private:
  std::array<uint64_t, 4> state_;
};

// Normal with variance 2 / fan_in (He et al., arXiv 1502.01852), rounded once to float.
void FillHeNormal(Random& random, int64_t fan_in, std::span<float> values);

// A permutation of 0 .. n-1: Fisher-Yates from the last element down.
std::vector<uint32_t> Permutation(Random& random, uint32_t n);

// Which samples a step takes: step t takes places t*batch .. t*batch+batch-1 of the endless line of
// epochs; epoch e is the permutation of stream "order/E". A batch may span two epochs.
class DataOrder {
 public:
  DataOrder(uint32_t samples, uint32_t batch, uint64_t seed);
  // Sample indices of a step, in order. Steps may be asked for in any order.
  std::vector<uint32_t> Batch(uint64_t step);

 private:
  uint32_t samples_, batch_;
  uint64_t seed_;
  uint64_t epoch_ = ~uint64_t{0};  // of order_
  std::vector<uint32_t> order_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_RANDOM_H_
