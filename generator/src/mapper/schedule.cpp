// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "mapper/schedule.h"

#include <algorithm>
#include <array>

namespace vaultrain {
namespace {

using isa::Descriptor;
using Interval = std::pair<uint32_t, uint32_t>;

bool AnyOverlap(const std::vector<Interval>& a, const std::vector<Interval>& b) {
  for (const auto& [a_begin, a_end] : a) {
    for (const auto& [b_begin, b_end] : b) {
      if (a_begin < b_end && b_begin < a_end) return true;
    }
  }
  return false;
}

bool Conflicts(const DramUse& a, const DramUse& b) {
  return (a.write || b.write) && a.rect.Overlaps(b.rect);
}

}  // namespace

Scheduler::Scheduler(uint32_t scratchpad_bytes, uint32_t word_bytes, int queue)
    : scratchpad_bytes_(scratchpad_bytes),
      word_bytes_(word_bytes),
      queue_(static_cast<size_t>(queue)) {}

int Scheduler::AddBuffer(uint32_t bytes, bool resident) {
  Buffer buffer;
  buffer.bytes = (bytes + word_bytes_ - 1) / word_bytes_ * word_bytes_;
  buffer.resident = resident;
  buffers_.push_back(buffer);
  return static_cast<int>(buffers_.size()) - 1;
}

uint32_t Scheduler::AddressOf(int buffer) const { return buffers_[buffer].address.value(); }

void Scheduler::AddTask(Task task) {
  for (const auto* steps : {&task.loads, &task.work, &task.stores}) {
    for (const Step& step : *steps) {
      for (const BufferUse& use : step.buffers) ++buffers_[use.buffer].uses_left;
    }
  }
  loaded_.emplace_back(task.loads.size(), false);
  tasks_.push_back(std::move(task));
}

bool Scheduler::Place(Buffer& buffer) {
  std::vector<Interval> live;
  for (const Buffer& other : buffers_) {
    if (other.address && other.uses_left > 0) {
      live.emplace_back(*other.address, *other.address + other.bytes);
    }
  }
  std::sort(live.begin(), live.end());
  // First fit from `start` on.
  auto fit = [&](uint32_t start) -> std::optional<uint32_t> {
    uint32_t at = start;
    for (const auto& [begin, end] : live) {
      if (end <= at) continue;
      if (begin >= at + buffer.bytes) break;
      at = end;
    }
    if (at + buffer.bytes > scratchpad_bytes_) return std::nullopt;
    return at;
  };
  std::optional<uint32_t> address = buffer.resident ? fit(0) : fit(next_fit_);
  if (!address && !buffer.resident) address = fit(0);
  if (!address) return false;
  if (!buffer.resident) next_fit_ = *address + buffer.bytes;
  buffer.address = address;
  return true;
}

bool Scheduler::PlaceTask(size_t task) {
  std::vector<int> placed;
  const uint32_t next_fit = next_fit_;
  for (const auto* steps : {&tasks_[task].loads, &tasks_[task].work, &tasks_[task].stores}) {
    for (const Step& step : *steps) {
      for (const BufferUse& use : step.buffers) {
        Buffer& buffer = buffers_[use.buffer];
        if (buffer.address) continue;
        if (!Place(buffer)) {
          for (int undo : placed) buffers_[undo].address.reset();
          next_fit_ = next_fit;
          return false;
        }
        placed.push_back(use.buffer);
      }
    }
  }
  return true;
}

// Whether every store of an earlier task that the load reads behind has been emitted.
bool Scheduler::DataReady(const Step& load, size_t task) const {
  for (size_t t = current_; t < task; ++t) {
    for (const Step& store : tasks_[t].stores) {
      for (const DramUse& written : store.dram) {
        for (const DramUse& read : load.dram) {
          if (Conflicts(written, read)) return false;
        }
      }
    }
  }
  return true;
}

void Scheduler::HoistLoads(size_t current) {
  // The distance grows by one task each task, so that the first tile does not wait for those behind
  // it. It ends where loads not yet run would fill the queue of their engine and keep the jobs
  // behind them from theirs.
  const size_t end = std::min({tasks_.size(), current + queue_, 2 * current + 2});
  size_t ahead = 0;
  for (size_t t = current + 1; t < std::min(end, placed_tasks_); ++t) {
    ahead += static_cast<size_t>(std::count(loaded_[t].begin(), loaded_[t].end(), true));
  }
  while (placed_tasks_ < end && PlaceTask(placed_tasks_)) ++placed_tasks_;
  for (size_t t = current; t < std::min(end, placed_tasks_); ++t) {
    for (size_t l = 0; l < tasks_[t].loads.size(); ++l) {
      if (loaded_[t][l] || !DataReady(tasks_[t].loads[l], t)) continue;
      if (t > current && ++ahead > queue_) return;
      Emit(tasks_[t].loads[l]);
      loaded_[t][l] = true;
    }
  }
}

void Scheduler::Emit(const Step& step) {
  Emitted emitted;
  emitted.engine = step.engine;
  emitted.dram = step.dram;
  emitted.descriptor = step.make();
  for (const BufferUse& use : step.buffers) {
    const Buffer& buffer = buffers_[use.buffer];
    const Interval interval(*buffer.address, *buffer.address + buffer.bytes);
    (use.write ? emitted.writes : emitted.reads).push_back(interval);
  }
  for (const BufferUse& use : step.buffers) --buffers_[use.buffer].uses_left;
  emitted_.push_back(std::move(emitted));
}

std::optional<std::vector<isa::Descriptor>> Scheduler::Run() {
  for (current_ = 0; current_ < tasks_.size(); ++current_) {
    HoistLoads(current_);
    if (placed_tasks_ <= current_) return std::nullopt;
    for (const Step& step : tasks_[current_].work) Emit(step);
    for (const Step& step : tasks_[current_].stores) Emit(step);
  }
  AddSemaphores();
  std::vector<isa::Descriptor> program;
  for (const Emitted& emitted : emitted_) program.push_back(emitted.descriptor);
  return program;
}

void Scheduler::AddSemaphores() {
  using isa::kEngines;
  // Per engine, how many of its steps are known to be done.
  using Clock = std::array<size_t, kEngines>;
  std::array<std::vector<size_t>, kEngines> of_engine;  // emitted steps of each engine, in order
  std::vector<Clock> clocks(emitted_.size());           // when a step starts
  Clock none{};
  for (size_t i = 0; i < emitted_.size(); ++i) {
    Emitted& step = emitted_[i];
    const int q = static_cast<int>(step.engine);
    Clock clock = of_engine[q].empty() ? none : clocks[of_engine[q].back()];
    // The latest step of each other engine that this one must come after.
    Clock needed{};
    for (int p = 0; p < kEngines; ++p) {
      if (p == q) continue;
      for (size_t n = of_engine[p].size(); n > clock[p]; --n) {
        const Emitted& earlier = emitted_[of_engine[p][n - 1]];
        bool conflict = AnyOverlap(earlier.writes, step.reads) ||
                        AnyOverlap(earlier.writes, step.writes) ||
                        AnyOverlap(earlier.reads, step.writes);
        for (const DramUse& a : earlier.dram) {
          for (const DramUse& b : step.dram) conflict = conflict || Conflicts(a, b);
        }
        if (conflict) {
          needed[p] = n;
          break;
        }
      }
    }
    // What one of them waited for itself needs no wait here.
    for (int p = 0; p < kEngines; ++p) {
      if (needed[p] == 0) continue;
      const Clock& behind = clocks[of_engine[p][needed[p] - 1]];
      for (int other = 0; other < kEngines; ++other) {
        if (other != p && needed[other] <= behind[other]) needed[other] = 0;
      }
    }
    for (int p = 0; p < kEngines; ++p) {
      if (needed[p] == 0) continue;
      const size_t source = of_engine[p][needed[p] - 1];
      const int64_t bit = int64_t{1}
                          << isa::SemaphoreOf(static_cast<Engine>(p), static_cast<Engine>(q));
      using isa::FieldId;
      Descriptor& from = emitted_[source].descriptor;
      from.Set(FieldId::kSignal, from.Get(FieldId::kSignal) | bit);
      step.descriptor.Set(FieldId::kWait, step.descriptor.Get(FieldId::kWait) | bit);
      for (int other = 0; other < kEngines; ++other) {
        clock[other] = std::max(clock[other], clocks[source][other]);
      }
      clock[p] = std::max(clock[p], needed[p]);
    }
    clocks[i] = clock;
    of_engine[q].push_back(i);
  }
}

}  // namespace vaultrain
