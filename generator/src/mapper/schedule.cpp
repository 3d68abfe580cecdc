// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "mapper/schedule.h"

#include <algorithm>
#include <array>
#include <utility>

namespace vaultrain {
namespace {

using Interval = std::pair<uint32_t, uint32_t>;

}  // namespace

bool AnyConflict(const std::vector<DramUse>& a, const std::vector<DramUse>& b) {
  for (const DramUse& one : a) {
    for (const DramUse& other : b) {
      if ((one.write || other.write) && one.rect.Overlaps(other.rect)) return true;
    }
  }
  return false;
}

Scheduler::Scheduler(uint32_t scratchpad_bytes, uint32_t word_bytes, int queue,
                     std::vector<Place> places)
    : scratchpad_bytes_(scratchpad_bytes),
      word_bytes_(word_bytes),
      queue_(static_cast<size_t>(queue)),
      places_(std::move(places)) {}

int Scheduler::AddBuffer(uint32_t bytes, bool resident) {
  Buffer buffer;
  buffer.bytes = (bytes + word_bytes_ - 1) / word_bytes_ * word_bytes_;
  buffer.resident = resident;
  buffers_.push_back(buffer);
  return static_cast<int>(buffers_.size()) - 1;
}

uint32_t Scheduler::AddressOf(int buffer) const {
  uint32_t offset = 0;
  for (; buffers_[buffer].same_as; buffer = *buffers_[buffer].same_as) {
    offset += buffers_[buffer].offset;
  }
  return buffers_[buffer].address.value() + offset;
}

void Scheduler::AddTask(Task task) { tasks_.push_back(std::move(task)); }

bool Scheduler::Conflict(const Step& a, const Step& b) {
  for (const BufferUse& use : a.buffers) {
    for (const BufferUse& meets : b.buffers) {
      if (use.Meets(meets)) return true;
    }
  }
  return AnyConflict(a.dram, b.dram);
}

void Scheduler::CountUses() {
  for (const Task& task : tasks_) {
    ForEachStep(task, [this](const Step& step) {
      for (const BufferUse& use : step.buffers) ++buffers_[use.buffer].uses_left;
    });
    loaded_.emplace_back(task.loads.size(), false);
    gathered_.emplace_back(task.loads.size(), false);
  }
}

bool Scheduler::PlaceBuffer(Buffer& buffer) {
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
  bool fits = true;
  ForEachStep(tasks_[task], [&](const Step& step) {
    for (const BufferUse& use : step.buffers) {
      Buffer& buffer = buffers_[use.buffer];
      if (!fits || buffer.address) continue;
      fits = PlaceBuffer(buffer);
      if (fits) placed.push_back(use.buffer);
    }
  });
  if (!fits) {
    for (int undo : placed) buffers_[undo].address.reset();
    next_fit_ = next_fit;
  }
  return fits;
}

// Whether every store of an earlier task that the load reads behind has been emitted.
bool Scheduler::DataReady(const Load& load, size_t task) const {
  auto meets = [&](size_t earlier) {
    for (const Step& store : tasks_[earlier].stores) {
      for (const Step& step : load.steps) {
        if (AnyConflict(store.dram, step.dram)) return true;
      }
    }
    return false;
  };
  for (int line = 0; line < kLines; ++line) {
    if (stores_left_[line] && meets(*last_[line])) return false;
  }
  for (size_t t = current_; t < task; ++t) {
    if (meets(t)) return false;
  }
  return true;
}

// Whether it waits for the last task of a kind.
bool Scheduler::JustStored(const Load& load) const {
  for (const std::optional<size_t>& last : last_) {
    if (!last) continue;
    for (const Step& store : tasks_[*last].stores) {
      for (const Step& step : load.steps) {
        if (AnyConflict(store.dram, step.dram)) return true;
      }
    }
  }
  return false;
}

void Scheduler::EmitLoad(size_t task, size_t load) {
  for (const Step& step : tasks_[task].loads[load].steps) Emit(step);
  loaded_[task][load] = true;
}

void Scheduler::HoistLoads(size_t current) {
  // The distance grows by one task each task, so that the first tile does not wait for those behind
  // it. It ends where loads not yet run would fill the queue of their engine and keep the jobs
  // behind them from theirs. Updates may come from further ahead, behind the small tasks of steps:
  // `convnet` and `lstm` on 2 x 2 nodes take 1,154 and 770 thousand cycles so, 1,181 and 785
  // without, and 1,225 and 770 if all tasks may.
  const size_t growing = std::min(tasks_.size(), 2 * current + 2);
  size_t end = std::min(growing, current + queue_);
  while (end < std::min(growing, current + 4 * queue_) && tasks_[end].update) ++end;
  size_t ahead = 0;
  for (size_t t = current + 1; t < std::min(end, placed_tasks_); ++t) {
    ahead += static_cast<size_t>(std::count(loaded_[t].begin(), loaded_[t].end(), true));
  }
  while (placed_tasks_ < end && PlaceTask(placed_tasks_)) ++placed_tasks_;
  const size_t placed = std::min(end, placed_tasks_);
  // What the next tasks need and memory has comes before what it does not have yet.
  const size_t near = std::min(placed, current + 3);
  for (size_t t = current; t < near; ++t) {
    for (size_t l = 0; l < tasks_[t].loads.size(); ++l) {
      const Load& load = tasks_[t].loads[l];
      if (loaded_[t][l] || !DataReady(load, t) || JustStored(load)) continue;
      if (t > current && ++ahead > queue_) break;
      EmitLoad(t, l);
    }
  }
  for (size_t t = current; t < placed; ++t) {
    for (size_t l = 0; l < tasks_[t].loads.size(); ++l) {
      const Load& load = tasks_[t].loads[l];
      if (!loaded_[t][l]) {
        if (!DataReady(load, t) || (t > current && JustStored(load))) continue;
        if (t > current && ++ahead > queue_) return;
        EmitLoad(t, l);
      }
      if (t <= current + 1 && !gathered_[t][l]) {
        for (const Step& step : load.gather) Emit(step);
        gathered_[t][l] = true;
      }
    }
  }
}

void Scheduler::FlushStores(Line line) {
  if (!stores_left_[line]) return;
  stores_left_[line] = false;
  for (const Step& step : tasks_[*last_[line]].stores) Emit(step);
}

void Scheduler::FlushStoresBefore(const Task& task) {
  for (const Line line : {kArray, kLanes}) {
    if (!stores_left_[line]) continue;
    bool waits = false;
    for (const Step& store : tasks_[*last_[line]].stores) {
      ForEachStep(task, [&](const Step& step) { waits = waits || Conflict(store, step); });
    }
    if (waits) FlushStores(line);
  }
}

void Scheduler::Emit(const Step& step) {
  Emitted emitted{step, {}};
  for (const BufferUse& use : step.buffers) {
    const Buffer& buffer = buffers_[use.buffer];
    emitted.extents.push_back(
        {*buffer.address + use.begin, *buffer.address + std::min(buffer.bytes, use.end), use});
  }
  for (const BufferUse& use : step.buffers) --buffers_[use.buffer].uses_left;
  emitted_.push_back(std::move(emitted));
}

bool Scheduler::Run() {
  CountUses();
  begin_.resize(tasks_.size());
  end_.resize(tasks_.size());
  for (current_ = 0; current_ < tasks_.size(); ++current_) {
    const Task& task = tasks_[current_];
    const Line line = LineOf(task);
    FlushStores(line);
    FlushStoresBefore(task);
    for (const Line other : {kArray, kLanes}) {
      if (stores_left_[other] && end_[*last_[other]] <= begin_[current_]) FlushStores(other);
    }
    HoistLoads(current_);
    if (placed_tasks_ <= current_) return false;
    for (const Step& step : task.work) Emit(step);
    last_[line] = current_;
    stores_left_[line] = true;
  }
  for (const Line line : {kArray, kLanes}) FlushStores(line);
  return true;
}

std::vector<std::vector<isa::Descriptor>> Scheduler::Programs() const {
  std::vector<std::vector<isa::Descriptor>> programs;
  for (const Place& place : places_) programs.push_back(ProgramOf(place));
  return programs;
}

bool Scheduler::Conflict(const Emitted& a, const Emitted& b) {
  for (const Extent& one : a.extents) {
    for (const Extent& other : b.extents) {
      if (one.Meets(other)) return true;
    }
  }
  return AnyConflict(a.step.dram, b.step.dram);
}

template <typename Keep, typename Visit>
void Scheduler::ForEachInOrder(Keep keep, Visit visit) const {
  using isa::kEngines;
  // Per engine, how many of its steps are known to be done.
  using Clock = std::array<size_t, kEngines>;
  struct Taken {
    const Emitted* emitted;
    size_t index;  // among those that are kept
    Clock clock;   // when it starts
  };
  std::array<std::vector<Taken>, kEngines> of_engine;  // steps of each engine, in order
  // Steps of the second engine that take a token of the first.
  std::array<std::array<std::vector<size_t>, kEngines>, kEngines> takers;
  // Tokens on their way where the steps run in order. In hardware the steps placed last have not
  // taken theirs: as many as a queue holds, which is one more than its depth (vt_sram_fifo).
  const size_t most_tokens = (size_t{1} << isa::kSemaphoreBits) - 1 - 1 - queue_;
  size_t index = 0;
  for (const Emitted& emitted : emitted_) {
    if (!keep(emitted.step)) continue;
    const int q = static_cast<int>(emitted.step.engine);
    Clock clock = of_engine[q].empty() ? Clock{} : of_engine[q].back().clock;
    // The latest step of each other engine that this one must come after.
    Clock needed{};
    for (int p = 0; p < kEngines; ++p) {
      if (p == q) continue;
      for (size_t n = of_engine[p].size(); n > clock[p]; --n) {
        const Emitted& earlier = *of_engine[p][n - 1].emitted;
        if (Conflict(earlier, emitted)) {
          needed[p] = n;
          break;
        }
      }
    }
    // What one of them waited for itself needs no wait here.
    for (int p = 0; p < kEngines; ++p) {
      if (needed[p] == 0) continue;
      const Clock& behind = of_engine[p][needed[p] - 1].clock;
      for (int other = 0; other < kEngines; ++other) {
        if (other != p && needed[other] <= behind[other]) needed[other] = 0;
      }
    }
    std::vector<size_t> after;
    for (int p = 0; p < kEngines; ++p) {
      if (needed[p] == 0) continue;
      // Those on their way as this one is given. If they are too many, the last step so far gives
      // it: no other can follow before a new step.
      std::vector<size_t>& takes = takers[p][q];
      const auto later =
          std::upper_bound(takes.begin(), takes.end(), of_engine[p][needed[p] - 1].index);
      if (static_cast<size_t>(takes.end() - later) + 1 >= most_tokens)
        needed[p] = of_engine[p].size();
      takes.push_back(index);
      const Taken& source = of_engine[p][needed[p] - 1];
      after.push_back(source.index);
      for (int other = 0; other < kEngines; ++other) {
        clock[other] = std::max(clock[other], source.clock[other]);
      }
      clock[p] = std::max(clock[p], needed[p]);
    }
    visit(emitted.step, std::move(after));
    of_engine[q].push_back({&emitted, index++, clock});
  }
}

std::vector<isa::Descriptor> Scheduler::ProgramOf(const Place& place) const {
  std::vector<isa::Descriptor> program;
  ForEachInOrder([&](const Step& step) { return !step.only || step.only(place); },
                 [&](const Step& step, const std::vector<size_t>& after) {
                   isa::Descriptor descriptor = step.make(place);
                   for (const size_t source : after) isa::Order(program[source], descriptor);
                   program.push_back(descriptor);
                 });
  return program;
}

Estimate Scheduler::EstimateOf(bool of_slowest) const {
  Estimate slowest;
  for (const Place& place : places_) {
    std::vector<EstimatedJob> jobs;
    // What others send takes the links, too.
    ForEachInOrder(
        [&](const Step& step) {
          return !step.only || step.engine == Engine::kSend || step.only(place);
        },
        [&](const Step& step, std::vector<size_t> after) {
          EstimatedJob job;
          job.engine = step.engine;
          job.cycles = step.cycles;
          job.drains = step.engine == Engine::kVector && !jobs.empty() &&
                       jobs.back().engine == Engine::kCompute;
          job.after = std::move(after);
          jobs.push_back(std::move(job));
        });
    const Estimate of_place = vaultrain::EstimateOf(jobs, queue_);
    if (of_place.cycles > slowest.cycles) slowest = of_place;
    if (!of_slowest) break;
  }
  return slowest;
}

}  // namespace vaultrain
