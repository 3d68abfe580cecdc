// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "mapper/schedule.h"

#include <algorithm>
#include <array>
#include <map>

namespace vaultrain {
namespace {

using isa::Descriptor;
using Interval = std::pair<uint32_t, uint32_t>;

bool AnyConflict(const std::vector<DramUse>& a, const std::vector<DramUse>& b) {
  for (const DramUse& one : a) {
    for (const DramUse& other : b) {
      if ((one.write || other.write) && one.rect.Overlaps(other.rect)) return true;
    }
  }
  return false;
}

}  // namespace

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
  while (buffers_[buffer].same_as) buffer = *buffers_[buffer].same_as;
  return buffers_[buffer].address.value();
}

namespace {

// Calls `visit` for every step of a task.
template <typename AnyTask, typename Visit>
void ForEachStep(AnyTask& task, Visit visit) {
  for (auto& load : task.loads) {
    for (auto& step : load.steps) visit(step);
    for (auto& step : load.gather) visit(step);
  }
  for (auto* steps : {&task.work, &task.stores}) {
    for (auto& step : *steps) visit(step);
  }
}

}  // namespace

void Scheduler::AddTask(Task task) { tasks_.push_back(std::move(task)); }

bool Scheduler::Conflict(const Step& a, const Step& b) {
  for (const BufferUse& use : a.buffers) {
    for (const BufferUse& meets : b.buffers) {
      const bool parts = use.part >= 0 && meets.part >= 0 && use.part != meets.part;
      if (use.buffer == meets.buffer && !parts && (use.write || meets.write)) return true;
    }
  }
  return AnyConflict(a.dram, b.dram);
}

namespace {

// Who uses one thing, in the order of tasks: those who change it apart from those who do not.
template <typename Use>
class Users {
 public:
  // Adds to `found` the tasks whose uses meet this one, and notes it.
  void Meet(size_t task, const Use& use, bool write, std::vector<size_t>& found) {
    Find(writes_, task, use, found);
    if (write) Find(reads_, task, use, found);
    (write ? writes_ : reads_).emplace_back(task, use);
  }

 private:
  using List = std::vector<std::pair<size_t, Use>>;
  static void Find(const List& list, size_t task, const Use& use, std::vector<size_t>& found) {
    for (const auto& [other, meets] : list) {
      if (other != task && meets.Overlaps(use)) found.push_back(other);
    }
  }
  List writes_, reads_;
};

struct Part {
  int part = -1;
  bool Overlaps(const Part& other) const {
    return part < 0 || other.part < 0 || part == other.part;
  }
};

}  // namespace

// Of each task the earlier ones that it must come after.
std::vector<std::vector<size_t>> Scheduler::Predecessors() const {
  std::vector<Users<Part>> buffers(buffers_.size());
  std::map<int, Users<Rect>> tensors;
  std::map<int, Users<Part>> exchanges;
  std::vector<std::vector<size_t>> result(tasks_.size());
  for (size_t t = 0; t < tasks_.size(); ++t) {
    std::vector<size_t>& found = result[t];
    ForEachStep(tasks_[t], [&](const Step& step) {
      for (const BufferUse& use : step.buffers) {
        buffers[use.buffer].Meet(t, {use.part}, use.write, found);
      }
      for (const DramUse& use : step.dram)
        tensors[use.rect.tensor].Meet(t, use.rect, use.write, found);
      if (step.engine == Engine::kSend) exchanges[step.exchange].Meet(t, {}, true, found);
    });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
  }
  return result;
}

// Of the lanes are tasks that need no array.
Scheduler::Line Scheduler::LineOf(const Task& task) {
  bool lanes = false, array = false;
  for (const Step& step : task.work) {
    lanes = lanes || step.engine == Engine::kLanes;
    array = array || step.engine == Engine::kCompute || step.engine == Engine::kVector;
  }
  return lanes && !array ? kLanes : kArray;
}

int64_t Scheduler::ThroughMemory(const Task& from, const Task& to) const {
  int64_t cycles = 0;
  for (const Load& load : to.loads) {
    int64_t stored = 0, loaded = 0;
    for (const Step& step : load.steps) {
      for (const Step& store : from.stores) {
        if (AnyConflict(store.dram, step.dram)) stored += store.cycles;
      }
      loaded += step.cycles;
    }
    if (stored > 0 && !StoredFrom(from, load)) cycles += stored + loaded;
  }
  return cycles;
}

int64_t Scheduler::CyclesOfANode(const Step& step) const {
  if (!step.only) return step.cycles;
  return step.cycles * std::count_if(places_.begin(), places_.end(), step.only) /
         static_cast<int64_t>(places_.size());
}

void Scheduler::Interleave() {
  // Tasks of a queue that may come next. Updates keep their order: sums of several that have begun
  // would fill the scratchpad: `lstm` on 4 x 4 nodes takes 861 thousand cycles in order, 869 with 3
  // and 960 with 16 that may come next (`convnet` on 2 x 2: 1,313, 1,303 and 1,280).
  constexpr size_t kAhead = 16;
  // Tasks of fewer cycles than kShort go before others even if they begin up to kWait later: what
  // waits for the loss is the way back. With 0, 4,000 and 12,000 `convnet` takes 1,280, 1,227 and
  // 1,227 thousand cycles on 2 x 2 nodes.
  constexpr int64_t kShort = 256, kWait = 4000;
  // Jobs of the lanes take longer than their instructions, as they wait for banks of the
  // scratchpad: those of `convnet` 1.04 to 1.24 times.
  constexpr double kLanesTake = 1.15;
  struct Queue {
    Line line = kArray;
    size_t ahead = kAhead;
    std::vector<size_t> tasks;  // not taken, in order
  };
  std::array<Queue, 2 * kLines> queues;
  std::vector<int64_t> cost(tasks_.size()), on_links(tasks_.size());
  for (size_t t = 0; t < tasks_.size(); ++t) {
    for (const Step& step : tasks_[t].work) {
      (step.engine == Engine::kSend ? on_links : cost)[t] += CyclesOfANode(step);
    }
    const Line line = LineOf(tasks_[t]);
    if (line == kLanes) cost[t] = static_cast<int64_t>(kLanesTake * static_cast<double>(cost[t]));
    Queue& queue = queues[2 * line + (tasks_[t].update ? 1 : 0)];
    queue.line = line;
    if (tasks_[t].update) queue.ahead = 1;
    queue.tasks.push_back(t);
  }
  std::vector<size_t> awaited(tasks_.size());  // predecessors that are not taken
  std::vector<int64_t> ready(tasks_.size());   // when those that are will have been done
  std::vector<std::vector<size_t>> successors(tasks_.size());
  const std::vector<std::vector<size_t>> predecessors = Predecessors();
  for (size_t t = 0; t < tasks_.size(); ++t) {
    awaited[t] = predecessors[t].size();
    for (const size_t before : predecessors[t]) successors[before].push_back(t);
  }
  std::vector<int64_t> begin(tasks_.size()), end(tasks_.size());
  std::vector<size_t> order;
  std::array<int64_t, kLines> busy{};  // an engine works until then
  while (order.size() < tasks_.size()) {
    // What can begin first; of these a task of the lanes, and an update last.
    Queue* from = nullptr;
    size_t place = 0;
    int64_t at = 0, least = 0;
    for (const size_t q : {2 * kLanes, 2 * kArray, 2 * kLanes + 1, 2 * kArray + 1}) {
      Queue& queue = queues[q];
      for (size_t n = 0; n < std::min(queue.ahead, queue.tasks.size()); ++n) {
        const size_t task = queue.tasks[n];
        const int64_t could = std::max(ready[task], busy[queue.line]);
        const bool is_short = !tasks_[task].update && cost[task] < kShort;
        const int64_t rank = could - (is_short ? kWait : 0);
        if (awaited[task] > 0 || (from != nullptr && rank >= least)) continue;
        from = &queue;
        place = n;
        at = could;
        least = rank;
      }
    }
    const size_t task = from->tasks[place];
    from->tasks.erase(from->tasks.begin() + static_cast<std::ptrdiff_t>(place));
    begin[task] = at;
    end[task] = busy[from->line] = at + cost[task];
    order.push_back(task);
    for (const size_t after : successors[task]) {
      --awaited[after];
      ready[after] = std::max(
          ready[after], end[task] + on_links[task] + ThroughMemory(tasks_[task], tasks_[after]));
    }
  }
  std::vector<Task> tasks;
  begin_.clear();
  end_.clear();
  for (const size_t t : order) {
    tasks.push_back(std::move(tasks_[t]));
    begin_.push_back(begin[t]);
    end_.push_back(end[t]);
  }
  tasks_ = std::move(tasks);
}

std::optional<int> Scheduler::StoredFrom(const Task& task, const Load& load) {
  if (!load.gather.empty()) return std::nullopt;
  std::optional<int> from;
  size_t matched = 0;
  for (const Step& store : task.stores) {
    if (std::none_of(load.steps.begin(), load.steps.end(),
                     [&](const Step& step) { return AnyConflict(store.dram, step.dram); })) {
      continue;
    }
    if (matched == load.steps.size()) return std::nullopt;
    const Step& step = load.steps[matched++];
    const bool same = store.copy && store.copy == step.copy && !store.only && !step.only &&
                      store.dram.front().rect == step.dram.front().rect;
    const int buffer = store.buffers.front().buffer;
    if (!same || (from && *from != buffer)) return std::nullopt;
    from = buffer;
  }
  return matched == load.steps.size() ? from : std::nullopt;
}

void Scheduler::KeepStored(int64_t room) {
  std::vector<Life> lives(buffers_.size());
  for (size_t t = 0; t < tasks_.size(); ++t) {
    ForEachStep(tasks_[t], [&](const Step& step) {
      for (const BufferUse& use : step.buffers) {
        Life& life = lives[use.buffer];
        life.first = std::min(life.first, t);
        life.last = t;
        life.parted = life.parted || use.part >= 0;
      }
    });
  }
  std::vector<int64_t> held(tasks_.size());
  std::map<int, std::vector<size_t>> stores;  // tasks that store parts of a tensor
  // The task that stores last what a load takes, and the buffer if it stores just that.
  auto stored = [&](const Load& load) -> std::optional<std::pair<size_t, int>> {
    const std::vector<size_t>& all = stores[load.steps.front().dram.front().rect.tensor];
    for (size_t n = all.size(); n-- > 0;) {
      for (const Step& store : tasks_[all[n]].stores) {
        for (const Step& step : load.steps) {
          if (!AnyConflict(store.dram, step.dram)) continue;
          const std::optional<int> from = StoredFrom(tasks_[all[n]], load);
          if (!from) return std::nullopt;
          return std::pair(all[n], *from);
        }
      }
    }
    return std::nullopt;
  };
  for (size_t t = 0; t < tasks_.size(); ++t) {
    std::vector<Load>& loads = tasks_[t].loads;
    for (size_t l = 0; l < loads.size();) {
      const size_t here = l++;
      if (loads[here].steps.empty() || !loads[here].steps.front().copy) continue;
      const auto found = stored(loads[here]);
      if (!found) continue;
      const auto [source, from] = *found;
      const int to = loads[here].steps.front().buffers.front().buffer;
      const Life& later = lives[to];
      if (lives[from].last != source || later.first != t || (lives[from].parted && later.parted) ||
          buffers_[from].bytes != buffers_[to].bytes) {
        continue;
      }
      const int64_t bytes = buffers_[from].bytes;
      const auto begin = held.begin() + static_cast<std::ptrdiff_t>(source) + 1;
      const auto end = held.begin() + static_cast<std::ptrdiff_t>(t);
      if (std::any_of(begin, end, [&](int64_t other) { return other + bytes > room; })) continue;
      std::for_each(begin, end, [&](int64_t& other) { other += bytes; });
      loads.erase(loads.begin() + static_cast<std::ptrdiff_t>(here));
      l = here;
      for (size_t n = t; n <= later.last; ++n) {
        ForEachStep(tasks_[n], [&, from = from](Step& step) {
          for (BufferUse& use : step.buffers) {
            if (use.buffer == to) use.buffer = from;
          }
        });
      }
      buffers_[to].same_as = from;
      lives[from].last = later.last;
      lives[from].parted = lives[from].parted || later.parted;
    }
    for (const Step& store : tasks_[t].stores) stores[store.dram.front().rect.tensor].push_back(t);
  }
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
    emitted.extents.push_back({*buffer.address, *buffer.address + buffer.bytes, use});
  }
  for (const BufferUse& use : step.buffers) --buffers_[use.buffer].uses_left;
  emitted_.push_back(std::move(emitted));
}

std::optional<std::vector<std::vector<isa::Descriptor>>> Scheduler::Run() {
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
    if (placed_tasks_ <= current_) return std::nullopt;
    for (const Step& step : task.work) Emit(step);
    last_[line] = current_;
    stores_left_[line] = true;
  }
  for (const Line line : {kArray, kLanes}) FlushStores(line);
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

std::vector<isa::Descriptor> Scheduler::ProgramOf(const Place& place) const {
  using isa::kEngines;
  // Per engine, how many of its steps are known to be done.
  using Clock = std::array<size_t, kEngines>;
  struct Taken {
    const Emitted* emitted;
    size_t index;  // in the program
    Clock clock;   // when it starts
  };
  std::array<std::vector<Taken>, kEngines> of_engine;  // steps of each engine, in order
  std::vector<isa::Descriptor> program;
  for (const Emitted& emitted : emitted_) {
    if (emitted.step.only && !emitted.step.only(place)) continue;
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
    isa::Descriptor descriptor = emitted.step.make(place);
    for (int p = 0; p < kEngines; ++p) {
      if (needed[p] == 0) continue;
      const Taken& source = of_engine[p][needed[p] - 1];
      isa::Order(program[source.index], descriptor);
      for (int other = 0; other < kEngines; ++other) {
        clock[other] = std::max(clock[other], source.clock[other]);
      }
      clock[p] = std::max(clock[p], needed[p]);
    }
    of_engine[q].push_back({&emitted, program.size(), clock});
    program.push_back(descriptor);
  }
  return program;
}

}  // namespace vaultrain
