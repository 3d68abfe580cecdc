// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/signal_log.h"

#include <algorithm>
#include <cstring>

namespace vaultrain {
namespace {

size_t FlagBytes(size_t signals) { return (signals + 7) / 8; }

}  // namespace

SignalLog::SignalLog(const std::vector<int>& widths) : begin_{0}, widths_(widths) {
  for (const int width : widths)
    begin_.push_back(begin_.back() + static_cast<size_t>(width + 7) / 8);
  last_.assign(begin_.back(), 0);
}

void SignalLog::Append(std::span<const uint8_t* const> values) {
  const size_t flags = data_.size();
  data_.resize(flags + FlagBytes(widths_.size()), 0);
  for (size_t i = 0; i < widths_.size(); ++i) {
    const size_t size = begin_[i + 1] - begin_[i];
    uint8_t* last = last_.data() + begin_[i];
    if (std::memcmp(last, values[i], size) == 0) continue;
    std::memcpy(last, values[i], size);
    data_[flags + i / 8] |= static_cast<uint8_t>(1u << (i % 8));
    data_.insert(data_.end(), last, last + size);
  }
  ++cycles_;
}

SignalLog::Reader::Reader(const SignalLog& log) : log_(log), values_(log.begin_.back(), 0) {}

bool SignalLog::Reader::Next() {
  if (cycle_ == log_.cycles_) return false;
  ++cycle_;
  flags_ = log_.data_.data() + at_;
  at_ += FlagBytes(log_.widths_.size());
  for (size_t i = 0; i < log_.widths_.size(); ++i) {
    if (!Changed(i)) continue;
    const size_t size = log_.begin_[i + 1] - log_.begin_[i];
    std::memcpy(values_.data() + log_.begin_[i], log_.data_.data() + at_, size);
    at_ += size;
  }
  return true;
}

}  // namespace vaultrain
