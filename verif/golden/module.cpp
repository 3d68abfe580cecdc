// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/module.h"

#include <algorithm>
#include <cstring>

#include "golden/fp32.h"

namespace vaultrain::golden {
namespace {

using isa::ErrorCode;
using isa::Group;
using isa::SendKind;

// sum += values, element by element.
void Add(std::vector<uint32_t>& sum, const std::vector<uint32_t>& values) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] = Fp32Add(sum[i], values[i]);
}

// Sums along a line towards `owner`: at each place ((local + from below) + from above).
std::vector<uint32_t> Line(const std::vector<std::vector<uint32_t>>& local, int owner) {
  auto chain = [&](int begin, int step) {
    std::vector<uint32_t> sum = local[static_cast<size_t>(begin)];
    for (int i = begin + step; i != owner; i += step) {
      std::vector<uint32_t> here = local[static_cast<size_t>(i)];
      Add(here, sum);
      sum = std::move(here);
    }
    return sum;
  };
  std::vector<uint32_t> sum = local[static_cast<size_t>(owner)];
  const int last = static_cast<int>(local.size()) - 1;
  if (owner > 0) Add(sum, chain(0, 1));
  if (owner < last) Add(sum, chain(last, -1));
  return sum;
}

std::vector<uint32_t> Values(const Message& message) {
  std::vector<uint32_t> values(message.bytes.size() / 4);
  std::memcpy(values.data(), message.bytes.data(), values.size() * 4);
  return values;
}

}  // namespace

Module::Module(const MachineConfig& config, int columns, int rows)
    : columns_(columns), rows_(rows), reductions_(static_cast<size_t>(columns * rows)) {
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      MachineConfig own = config;
      own.x = x;
      own.y = y;
      own.last_x = columns - 1;
      own.last_y = rows - 1;
      nodes_.push_back(std::make_unique<Machine>(own));
    }
  }
}

std::vector<int> Module::GroupOf(int node, Group group) const {
  std::vector<int> members;
  for (int other = 0; other < nodes(); ++other) {
    const bool same_row = other / columns_ == node / columns_;
    const bool same_column = other % columns_ == node % columns_;
    if (group == Group::kAll || (group == Group::kRow && same_row) ||
        (group == Group::kColumn && same_column)) {
      members.push_back(other);
    }
  }
  return members;
}

void Module::Deliver(int from, Message message) {
  if (message.kind == SendKind::kReduce) {
    reductions_[static_cast<size_t>(from)].push_back(std::move(message));
    return;
  }
  if (message.group == Group::kOwner) {
    node(message.owner_y * columns_ + message.owner_x).Receive(message);
    return;
  }
  for (int to : GroupOf(from, message.group)) {
    if (to != from) node(to).Receive(message);
  }
}

std::vector<uint32_t> Module::SumOver(const std::vector<Message>& of_node,
                                      const Message& what) const {
  auto values = [&](int x, int y) {
    return Values(
        of_node[static_cast<size_t>(y) * static_cast<size_t>(columns_) + static_cast<size_t>(x)]);
  };
  auto row = [&](int y) {
    std::vector<std::vector<uint32_t>> local;
    for (int x = 0; x < columns_; ++x) local.push_back(values(x, y));
    return Line(local, what.owner_x);
  };
  if (what.group == Group::kRow) return row(what.owner_y);
  std::vector<std::vector<uint32_t>> column;
  for (int y = 0; y < rows_; ++y) {
    column.push_back(what.group == Group::kAll ? row(y) : values(what.owner_x, y));
  }
  return Line(column, what.owner_y);
}

// Completes the first reduction whose whole group has come to it; false if there is none.
bool Module::ReduceReady() {
  for (int n = 0; n < nodes(); ++n) {
    if (reductions_[static_cast<size_t>(n)].empty()) continue;
    const Message& what = reductions_[static_cast<size_t>(n)].front();
    const std::vector<int> group = GroupOf(n, what.group);
    const bool ready = std::all_of(group.begin(), group.end(), [&](int member) {
      const auto& queue = reductions_[static_cast<size_t>(member)];
      return !queue.empty() && queue.front().Matches(what);
    });
    if (!ready) continue;
    std::vector<Message> of_node(nodes_.size());
    for (int member : group) {
      auto& queue = reductions_[static_cast<size_t>(member)];
      of_node[static_cast<size_t>(member)] = std::move(queue.front());
      queue.pop_front();
    }
    Message sum = of_node[static_cast<size_t>(n)];
    const std::vector<uint32_t> values = SumOver(of_node, sum);
    std::memcpy(sum.bytes.data(), values.data(), sum.bytes.size());
    node(sum.owner_y * columns_ + sum.owner_x).Receive(sum);
    return true;
  }
  return false;
}

ModuleResult Module::Run(std::span<const ProgramPlace> programs) {
  ModuleResult module;
  std::vector<bool> ended(nodes_.size(), false);
  for (auto& queue : reductions_) queue.clear();
  for (int n = 0; n < nodes(); ++n) {
    const ProgramPlace& place = programs[static_cast<size_t>(n)];
    // A node without a program is not started.
    ended[static_cast<size_t>(n)] = place.count == 0;
    if (place.count > 0) node(n).Begin(place.address, place.count);
  }
  for (bool moved = true; moved;) {
    moved = false;
    for (int n = 0; n < nodes(); ++n) {
      if (ended[static_cast<size_t>(n)]) continue;
      const uint32_t before = node(n).result().index;
      ended[static_cast<size_t>(n)] = node(n).Continue();
      moved = moved || ended[static_cast<size_t>(n)] || node(n).result().index != before;
      for (Message& message : node(n).TakeMessages()) Deliver(n, std::move(message));
    }
    while (ReduceReady()) moved = true;
  }
  for (int n = nodes() - 1; n >= 0; --n) {
    if (programs[static_cast<size_t>(n)].count == 0) continue;
    RunResult result = node(n).result();
    if (!ended[static_cast<size_t>(n)]) result.fault = OrderFault::kNoTokens;
    module.counts.descriptors += result.counts.descriptors;
    module.counts.macs += result.counts.macs;
    module.counts.dram_read_bytes += result.counts.dram_read_bytes;
    module.counts.dram_write_bytes += result.counts.dram_write_bytes;
    module.counts.noc_bytes += result.counts.noc_bytes;
    // A node that only waits for one that was stopped is not the culprit.
    const bool waits = result.fault == OrderFault::kNoTokens;
    if ((n == 0 && module.result.ok()) || (!result.ok() && (!waits || module.result.ok()))) {
      module.result = result;
      module.node = n;
    }
  }
  const bool left = std::any_of(reductions_.begin(), reductions_.end(),
                                [](const auto& queue) { return !queue.empty(); });
  if (left && module.result.ok()) module.result.fault = OrderFault::kMismatch;
  return module;
}

}  // namespace vaultrain::golden
