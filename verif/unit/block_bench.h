// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What the benches of Verilated blocks share: bits of ports of any width, a clock, random stalls.

#ifndef VAULTRAIN_VERIF_UNIT_BLOCK_BENCH_H_
#define VAULTRAIN_VERIF_UNIT_BLOCK_BENCH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <type_traits>
#include <vector>

namespace vaultrain {

inline uint64_t LowBits(size_t bits) {
  return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
}

// `bits` bits, at most 64, of a port from `lsb` up.
template <typename Port>
uint64_t GetBits(const Port& port, size_t lsb, size_t bits) {
  if constexpr (std::is_integral_v<Port>) {
    return static_cast<uint64_t>(port) >> lsb & LowBits(bits);
  } else {
    uint64_t value = 0;
    for (size_t done = 0; done < bits;) {
      const size_t at = lsb + done;
      const size_t part = std::min(32 - at % 32, bits - done);
      value |= (uint64_t{port[at / 32]} >> at % 32 & LowBits(part)) << done;
      done += part;
    }
    return value;
  }
}

template <typename Port>
void PutBits(Port& port, size_t lsb, size_t bits, uint64_t value) {
  if constexpr (std::is_integral_v<Port>) {
    const uint64_t mask = LowBits(bits) << lsb;
    port = static_cast<Port>((static_cast<uint64_t>(port) & ~mask) | (value << lsb & mask));
  } else {
    for (size_t done = 0; done < bits;) {
      const size_t at = lsb + done;
      const size_t part = std::min(32 - at % 32, bits - done);
      const uint32_t mask = static_cast<uint32_t>(LowBits(part) << at % 32);
      const uint32_t piece = static_cast<uint32_t>((value >> done & LowBits(part)) << at % 32);
      port[at / 32] = (port[at / 32] & ~mask) | piece;
      done += part;
    }
  }
}

template <typename Port>
void PutBytes(Port& port, size_t lsb, std::span<const uint8_t> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) PutBits(port, lsb + 8 * i, 8, bytes[i]);
}

template <typename Port>
std::vector<uint8_t> GetBytes(const Port& port, size_t lsb, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(GetBits(port, lsb + 8 * i, 8));
  return bytes;
}

// How often a handshake is held up: never, or in runs, so that queues fill and empty.
class Stalls {
 public:
  explicit Stalls(std::mt19937& random, bool enabled = true) : random_(random), enabled_(enabled) {}

  // True if the handshake may go on in this cycle.
  bool Go() {
    if (!enabled_) return true;
    if (left_-- == 0) {
      left_ = static_cast<int>(random_() % 24);
      rate_ = random_() % 5;  // of 4
    }
    return random_() % 4 < rate_;
  }

 private:
  std::mt19937& random_;
  bool enabled_;
  int left_ = 0;
  uint32_t rate_ = 4;
};

// Falling edge, inputs settle: call Settle after setting inputs, Rise to take the edge.
template <typename Dut>
void Settle(Dut& dut) {
  dut.clk_i = 0;
  dut.eval();
}

template <typename Dut>
void Rise(Dut& dut) {
  dut.clk_i = 1;
  dut.eval();
}

template <typename Dut>
void Reset(Dut& dut) {
  dut.rst_ni = 0;
  for (int i = 0; i < 2; ++i) {
    Settle(dut);
    Rise(dut);
  }
  dut.rst_ni = 1;
}

inline std::vector<uint8_t> RandomBytes(std::mt19937& random, size_t count) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
  return bytes;
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_BLOCK_BENCH_H_
