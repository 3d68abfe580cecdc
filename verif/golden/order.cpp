// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/order.h"

#include <fmt/format.h>

#include <algorithm>

namespace vaultrain::golden {
namespace {

using Clock = std::array<uint32_t, isa::kEngines>;

constexpr uint64_t kVaultCell = isa::kAccessBytes;

void Merge(Clock& clock, const Clock& other) {
  for (int e = 0; e < isa::kEngines; ++e) clock[e] = std::max(clock[e], other[e]);
}

}  // namespace

std::string OrderChecker::Race::Text() const {
  return fmt::format("descriptors {} and {} meet at byte {:#x} of the {} and no token orders them",
                     earlier, later, address, space == Space::kVault ? "vault" : "scratchpad");
}

OrderChecker::OrderChecker(uint64_t scratchpad_bytes, uint64_t cell_bytes)
    : cell_bytes_(cell_bytes), scratchpad_(scratchpad_bytes / cell_bytes) {}

void OrderChecker::Clear() {
  std::fill(scratchpad_.begin(), scratchpad_.end(), Cell{});
  vault_.clear();
  running_ = false;
  clocks_ = {};
  for (auto& indices : indices_) indices.clear();
  for (auto& row : tokens_) {
    for (auto& queue : row) queue.clear();
  }
  sets_.clear();
  taken_ = {};
  race_.reset();
}

void OrderChecker::Start(uint32_t index, isa::Engine engine, uint64_t wait) {
  running_ = true;
  engine_ = static_cast<int>(engine);
  Clock& clock = clocks_[engine_];
  clock[engine_] = static_cast<uint32_t>(indices_[engine_].size());
  indices_[engine_].push_back(index);
  for (int from = 0; from < isa::kEngines; ++from) {
    auto& tokens = tokens_[from][engine_];
    if (!(wait >> from & 1) || tokens.empty()) continue;
    Merge(clock, tokens.front());
    tokens.pop_front();
  }
}

void OrderChecker::Complete(uint64_t signal) {
  running_ = false;
  Clock& clock = clocks_[engine_];
  if (engine_ == static_cast<int>(isa::Engine::kVector)) Merge(clock, taken_);
  clock[engine_] = static_cast<uint32_t>(indices_[engine_].size());
  for (int to = 0; to < isa::kEngines; ++to) {
    if (signal >> to & 1) tokens_[engine_][to].push_back(clock);
  }
}

void OrderChecker::HandOver() {
  Clock clock = clocks_[engine_];
  clock[engine_] = static_cast<uint32_t>(indices_[engine_].size());
  sets_.push_back(clock);
}

// A job that hands over several sets still reads for the later ones when the first is taken.
void OrderChecker::TakeOver() {
  if (sets_.empty()) return;
  Clock clock = sets_.front();
  sets_.pop_front();
  const int compute = static_cast<int>(isa::Engine::kCompute);
  if (!sets_.empty() && sets_.front()[compute] == clock[compute]) --clock[compute];
  Merge(taken_, clock);
}

void OrderChecker::Receive(uint64_t address, uint64_t bytes) {
  for (uint64_t at = address / cell_bytes_; at <= (address + bytes - 1) / cell_bytes_; ++at) {
    scratchpad_[at % scratchpad_.size()] = {};
  }
}

void OrderChecker::Behind(int engine, uint32_t job, Space space, uint64_t address) {
  if (job == 0 || engine == engine_ || job <= clocks_[engine_][engine] || race_) return;
  race_ = Race{indices_[engine][job - 1], indices_[engine_].back(), space, address};
}

void OrderChecker::Touch(Cell& cell, Space space, uint64_t address, bool write) {
  Behind(cell.write_engine, cell.write_job, space, address);
  const auto job = static_cast<uint32_t>(indices_[engine_].size());
  if (!write) {
    cell.reads[engine_] = job;
    return;
  }
  for (int e = 0; e < isa::kEngines; ++e) Behind(e, cell.reads[e], space, address);
  cell = {job, engine_, {}};
}

void OrderChecker::Access(Space space, uint64_t address, uint64_t bytes, bool write) {
  if (!running_ || bytes == 0) return;
  const uint64_t size = space == Space::kVault ? kVaultCell : cell_bytes_;
  for (uint64_t at = address / size; at <= (address + bytes - 1) / size; ++at) {
    Cell& cell = space == Space::kVault ? vault_[at] : scratchpad_[at % scratchpad_.size()];
    Touch(cell, space, at * size, write);
  }
}

}  // namespace vaultrain::golden
