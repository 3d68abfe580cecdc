// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What some signals showed in every cycle of a simulation: the changes alone.

#ifndef VAULTRAIN_SIGNAL_LOG_H_
#define VAULTRAIN_SIGNAL_LOG_H_

#include <cstdint>
#include <span>
#include <vector>

namespace vaultrain {

class SignalLog {
 public:
  // Bits of each signal. All were 0 before the first cycle.
  explicit SignalLog(const std::vector<int>& widths);

  // One cycle: where each signal's bits stand, little-endian.
  void Append(std::span<const uint8_t* const> values);

  uint64_t cycles() const { return cycles_; }
  uint64_t bytes() const { return data_.size(); }

  // Walks the cycles from the first on.
  class Reader {
   public:
    explicit Reader(const SignalLog& log);
    bool Next();
    bool Changed(size_t signal) const { return flags_[signal / 8] >> (signal % 8) & 1; }
    const uint8_t* Value(size_t signal) const { return values_.data() + log_.begin_[signal]; }

   private:
    const SignalLog& log_;
    std::vector<uint8_t> values_;
    const uint8_t* flags_ = nullptr;
    size_t at_ = 0;
    uint64_t cycle_ = 0;
  };

 private:
  // Of each signal its first byte among the values, and behind the last one their number.
  std::vector<size_t> begin_;
  std::vector<int> widths_;
  std::vector<uint8_t> last_;
  std::vector<uint8_t> data_;  // per cycle a bit a signal, changed or not, then the changed values
  uint64_t cycles_ = 0;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SIGNAL_LOG_H_
