// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "mapper/schedule.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

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
  uint32_t offset = 0;
  for (; buffers_[buffer].same_as; buffer = *buffers_[buffer].same_as) {
    offset += buffers_[buffer].offset;
  }
  return buffers_[buffer].address.value() + offset;
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
      if (use.Meets(meets)) return true;
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
    List& list = write ? writes_ : reads_;
    // Steps of a task often use the same: sends of an exchange do.
    if (!list.empty() && list.back() == std::pair(task, use)) return;
    Find(writes_, task, use, found);
    if (write) Find(reads_, task, use, found);
    list.emplace_back(task, use);
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
  friend bool operator==(const Part&, const Part&) = default;
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

bool Scheduler::MayKeep(const Task& from, const Load& load, bool bands) const {
  return StoredFrom(from, load).has_value() || (bands && StoresBandOf(from, load));
}

int64_t Scheduler::ThroughMemory(const Task& from, const Task& to, bool bands) const {
  int64_t cycles = 0;
  for (const Load& load : to.loads) {
    int64_t stored = 0, loaded = 0;
    for (const Step& step : load.steps) {
      for (const Step& store : from.stores) {
        if (AnyConflict(store.dram, step.dram)) stored += store.cycles;
      }
      loaded += step.cycles;
    }
    if (stored > 0 && !MayKeep(from, load, bands)) cycles += stored + loaded;
  }
  return cycles;
}

int64_t Scheduler::CyclesOfANode(const Step& step) const {
  const bool own = !step.only || step.engine == Engine::kSend || step.only(places_.front());
  return own ? step.cycles : 0;
}

// What the choice of the next task knows of the others.
struct Scheduler::Choice {
  struct Queue {
    Line line = kArray;
    bool updates = false;
    std::vector<size_t> tasks;  // not taken, in order
  };
  std::array<Queue, 2 * kLines> queues;
  std::vector<int64_t> cost, on_links, loads, stores;  // cycles of each task
  std::vector<size_t> awaited;                         // predecessors that are not taken
  std::vector<int64_t> ready;                          // when those that are will have been done
  std::array<int64_t, kLines> busy{};                  // an engine works until then
  int64_t pins = 0;                                    // memory works until then
  int sum = 0;                                         // that was begun
  std::map<int, int> left;                             // tasks of each sum
};

// The tasks of a queue that may come next, as places in it.
std::vector<size_t> Scheduler::Candidates(const Choice& choice, size_t queue,
                                          const Tuning& tuning) const {
  const Choice::Queue& from = choice.queues[queue];
  std::vector<size_t> places;
  auto add = [&](size_t n) {
    if (choice.awaited[from.tasks[n]] == 0) places.push_back(n);
  };
  // Updates keep their order, at most but for those of other operations where no sum has begun:
  // several sums would fill the scratchpad.
  const bool mixes = from.updates && from.line == kArray && tuning.mixes_updates != 0;
  if (!mixes) {
    const size_t ahead = from.updates ? 1 : static_cast<size_t>(tuning.ahead);
    for (size_t n = 0; n < std::min(ahead, from.tasks.size()); ++n) add(n);
    return places;
  }
  std::vector<int> ops;  // of sums; -1: what adds to none keeps its order
  for (size_t n = 0; n < from.tasks.size(); ++n) {
    const Task& task = tasks_[from.tasks[n]];
    if (choice.sum != 0 && task.sum != 0 && task.sum != choice.sum) continue;
    const int op = task.sum == 0 ? -1 : task.op;
    if (std::find(ops.begin(), ops.end(), op) != ops.end()) continue;
    ops.push_back(op);
    add(n);
  }
  return places;
}

void Scheduler::Interleave(const Tuning& tuning) {
  // Tasks of fewer cycles go before others even if they begin up to tuning.wait later: what waits
  // for the loss is the way back.
  constexpr int64_t kShort = 256;
  const size_t count = tasks_.size();
  Choice choice;
  for (std::vector<int64_t>* cycles :
       {&choice.cost, &choice.on_links, &choice.loads, &choice.stores, &choice.ready}) {
    cycles->resize(count);
  }
  choice.awaited.resize(count);
  std::vector<std::vector<size_t>> successors(count);
  const std::vector<std::vector<size_t>> predecessors = Predecessors();
  const bool bands = tuning.band_share > 0;
  for (size_t t = 0; t < count; ++t) {
    const Task& task = tasks_[t];
    choice.awaited[t] = predecessors[t].size();
    for (const size_t before : predecessors[t]) successors[before].push_back(t);
    for (const Step& step : task.work) {
      (step.engine == Engine::kSend ? choice.on_links : choice.cost)[t] += CyclesOfANode(step);
    }
    for (const Step& step : task.stores) choice.stores[t] += CyclesOfANode(step);
    for (const Load& load : task.loads) {
      const bool kept =
          std::any_of(predecessors[t].begin(), predecessors[t].end(),
                      [&](size_t before) { return MayKeep(tasks_[before], load, bands); });
      for (const Step& step : load.steps) choice.loads[t] += kept ? 0 : CyclesOfANode(step);
    }
    const Line line = LineOf(task);
    if (line == kLanes) choice.cost[t] = choice.cost[t] * tuning.lanes_take / 100;
    Choice::Queue& queue = choice.queues[2 * line + (task.update ? 1 : 0)];
    queue.line = line;
    queue.updates = task.update;
    queue.tasks.push_back(t);
    ++choice.left[task.sum];
  }
  std::vector<Task> tasks;
  begin_.clear();
  end_.clear();
  while (tasks.size() < count) {
    // What can begin first; of these a task of the lanes, and an update last.
    Choice::Queue* from = nullptr;
    size_t place = 0;
    int64_t begin = 0, least = 0;
    for (const size_t q : {2 * kLanes, 2 * kArray, 2 * kLanes + 1, 2 * kArray + 1}) {
      Choice::Queue& queue = choice.queues[q];
      for (const size_t n : Candidates(choice, q, tuning)) {
        const size_t task = queue.tasks[n];
        int64_t could = std::max(choice.ready[task], choice.busy[queue.line]);
        if (tuning.prefetch > 0) {
          could =
              std::max(could, std::max(choice.pins, could - tuning.prefetch) + choice.loads[task]);
        }
        const bool is_short = choice.cost[task] < kShort &&
                              (!queue.updates || (queue.line == kArray && tasks_[task].sum == 0));
        const int64_t rank = could - (is_short ? tuning.wait : 0);
        if (from != nullptr && rank >= least) continue;
        from = &queue;
        place = n;
        begin = could;
        least = rank;
      }
    }
    const size_t task = from->tasks[place];
    from->tasks.erase(from->tasks.begin() + static_cast<std::ptrdiff_t>(place));
    if (const int sum = tasks_[task].sum) choice.sum = --choice.left[sum] > 0 ? sum : 0;
    const int64_t end = choice.busy[from->line] = begin + choice.cost[task];
    choice.pins = std::max(choice.pins, begin - choice.loads[task] - tuning.prefetch) +
                  choice.loads[task] + choice.stores[task];
    for (const size_t after : successors[task]) {
      --choice.awaited[after];
      choice.ready[after] =
          std::max(choice.ready[after],
                   end + choice.on_links[task] + ThroughMemory(tasks_[task], tasks_[after], bands));
    }
    tasks.push_back(tasks_[task]);
    begin_.push_back(begin);
    end_.push_back(end);
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

std::vector<Scheduler::Life> Scheduler::Lives() const {
  std::vector<Life> lives(buffers_.size());
  for (size_t t = 0; t < tasks_.size(); ++t) {
    ForEachStep(tasks_[t], [&](const Step& step) {
      for (const BufferUse& use : step.buffers) {
        Life& life = lives[use.buffer];
        life.first = std::min(life.first, t);
        life.last = t;
        if (use.write) life.written = t;
        life.parted = life.parted || use.part >= 0;
      }
    });
  }
  return lives;
}

void Scheduler::KeepStored(int64_t room) {
  std::vector<Life> lives = Lives();
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

bool Scheduler::Band::Follows(const Band& other) const {
  const Rect& a = rect;
  const Rect& b = other.rect;
  return a.tensor == b.tensor && a.col_begin == b.col_begin && a.col_end == b.col_end &&
         a.batch_part == b.batch_part && a.sample_begin == b.sample_begin &&
         a.sample_end == b.sample_end && row_bytes == other.row_bytes;
}

std::optional<Scheduler::Band> Scheduler::BandOf(const Step& step) const {
  if (!step.copy || step.copy->offset != 0 || step.only || step.dram.size() != 1 ||
      step.buffers.size() != 1) {
    return std::nullopt;
  }
  Band band;
  band.rect = step.dram.front().rect;
  band.buffer = step.buffers.front().buffer;
  const int64_t rows = band.rect.row_end - band.rect.row_begin;
  const int64_t bytes = buffers_[band.buffer].bytes;
  if (bytes % rows != 0) return std::nullopt;
  band.row_bytes = bytes / rows;
  return band;
}

bool Scheduler::StoresBandOf(const Task& task, const Load& load) const {
  if (load.steps.size() != 1 || !load.gather.empty()) return false;
  const std::optional<Band> taken = BandOf(load.steps.front());
  return taken && std::any_of(task.stores.begin(), task.stores.end(), [&](const Step& store) {
           const std::optional<Band> band = BandOf(store);
           return band && band->Follows(*taken) && band->rect.Overlaps(taken->rect);
         });
}

struct Scheduler::StoredBand {
  Band band;
  size_t task = 0;
  bool stays = false;  // nothing writes to the buffer afterwards
  int region = -1;
};

// A load that bands of earlier tasks bring together, one behind the other.
struct Scheduler::TakenBands {
  size_t task = 0, load = 0;
  Band band;
  std::vector<StoredBand*> from;
};

// Bands that lie side by side, as one load or another takes them together.
struct Scheduler::Region {
  std::vector<StoredBand*> bands;
  std::vector<const TakenBands*> takers;
};

std::map<int, std::vector<Scheduler::StoredBand>> Scheduler::StoredBands(
    const std::vector<Life>& lives) const {
  std::map<int, std::vector<StoredBand>> stores;
  for (size_t t = 0; t < tasks_.size(); ++t) {
    for (const Step& step : tasks_[t].stores) {
      StoredBand stored;
      stored.task = t;
      stored.band.rect = step.dram.front().rect;
      if (const std::optional<Band> band = BandOf(step)) {
        stored.band = *band;
        stored.stays = lives[band->buffer].written <= t;
      }
      stores[stored.band.rect.tensor].push_back(stored);
    }
  }
  return stores;
}

// Whether only its LOAD writes to a buffer of a task.
bool Scheduler::OnlyRead(int buffer, size_t task, const Life& life) const {
  if (life.first != task || life.written != task) return false;
  return std::none_of(tasks_[task].work.begin(), tasks_[task].work.end(), [&](const Step& step) {
    return std::any_of(step.buffers.begin(), step.buffers.end(),
                       [&](const BufferUse& use) { return use.buffer == buffer && use.write; });
  });
}

std::vector<Scheduler::TakenBands> Scheduler::BandsTaken(
    std::map<int, std::vector<StoredBand>>& stores, const std::vector<Life>& lives,
    int64_t cycles) const {
  auto first_row = [](const StoredBand* stored) { return stored->band.rect.row_begin; };
  std::vector<TakenBands> all;
  for (size_t t = 0; t < tasks_.size(); ++t) {
    for (size_t l = 0; l < tasks_[t].loads.size(); ++l) {
      const Load& load = tasks_[t].loads[l];
      if (load.steps.size() != 1 || !load.gather.empty()) continue;
      const std::optional<Band> band = BandOf(load.steps.front());
      if (!band || !OnlyRead(band->buffer, t, lives[band->buffer])) continue;
      TakenBands taken{t, l, *band, {}};
      for (StoredBand& stored : stores[band->rect.tensor]) {
        if (stored.band.rect.Overlaps(band->rect)) taken.from.push_back(&stored);
      }
      if (taken.from.empty()) continue;
      std::sort(taken.from.begin(), taken.from.end(),
                [&](auto* a, auto* b) { return first_row(a) < first_row(b); });
      int64_t row = first_row(taken.from.front());
      bool whole = row <= band->rect.row_begin;
      for (const StoredBand* stored : taken.from) {
        whole = whole && stored->stays && stored->task < t && stored->band.Follows(*band) &&
                first_row(stored) == row && begin_[t] - end_[stored->task] <= cycles;
        row = stored->band.rect.row_end;
      }
      if (whole && row >= band->rect.row_end) all.push_back(std::move(taken));
    }
  }
  return all;
}

std::vector<Scheduler::Region> Scheduler::RegionsOf(const std::vector<TakenBands>& takers) {
  std::vector<Region> regions;
  for (const TakenBands& taken : takers) {
    Region joined;
    const auto number = static_cast<int>(regions.size());
    joined.takers.push_back(&taken);
    for (StoredBand* stored : taken.from) {
      if (stored->region == number) continue;
      if (stored->region < 0) {
        joined.bands.push_back(stored);
      } else {
        Region& other = regions[stored->region];
        joined.bands.insert(joined.bands.end(), other.bands.begin(), other.bands.end());
        joined.takers.insert(joined.takers.end(), other.takers.begin(), other.takers.end());
        other = {};
      }
      for (StoredBand* band : joined.bands) band->region = number;
    }
    regions.push_back(std::move(joined));
  }
  for (Region& region : regions) {
    std::sort(region.bands.begin(), region.bands.end(),
              [](auto* a, auto* b) { return a->band.rect.row_begin < b->band.rect.row_begin; });
  }
  std::erase_if(regions, [](const Region& region) { return region.bands.empty(); });
  return regions;
}

void Scheduler::KeepBands(int64_t room, int64_t cycles) {
  const std::vector<Life> lives = Lives();
  std::map<int, std::vector<StoredBand>> stores = StoredBands(lives);
  const std::vector<TakenBands> takers = BandsTaken(stores, lives, cycles);
  std::vector<int64_t> held(tasks_.size());
  std::vector<std::vector<size_t>> spared(tasks_.size());  // loads
  for (const Region& region : RegionsOf(takers)) {
    const int64_t first_row = region.bands.front()->band.rect.row_begin;
    size_t first = tasks_.size(), last = 0;
    int64_t bytes = 0, row = first_row;
    bool whole = true;
    std::map<int, int64_t> offsets;  // of buffers
    for (const StoredBand* stored : region.bands) {
      const Band& band = stored->band;
      whole = whole && band.rect.row_begin == row && !buffers_[band.buffer].same_as &&
              !buffers_[band.buffer].resident && offsets.emplace(band.buffer, bytes).second;
      row = band.rect.row_end;
      bytes += buffers_[band.buffer].bytes;
      first = std::min(first, lives[band.buffer].first);
      last = std::max(last, lives[band.buffer].last);
    }
    for (const TakenBands* taken : region.takers) {
      last = std::max(last, lives[taken->band.buffer].last);
    }
    const auto begin = held.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = held.begin() + static_cast<std::ptrdiff_t>(last) + 1;
    if (!whole || std::any_of(begin, end, [&](int64_t other) { return other + bytes > room; })) {
      continue;
    }
    std::for_each(begin, end, [&](int64_t& other) { other += bytes; });
    for (const TakenBands* taken : region.takers) {
      offsets[taken->band.buffer] =
          (taken->band.rect.row_begin - first_row) * taken->band.row_bytes;
      spared[taken->task].push_back(taken->load);
    }
    Join(AddBuffer(static_cast<uint32_t>(bytes), false), offsets, first, last);
  }
  for (size_t t = 0; t < tasks_.size(); ++t) {
    std::sort(spared[t].rbegin(), spared[t].rend());
    for (const size_t load : spared[t]) {
      tasks_[t].loads.erase(tasks_[t].loads.begin() + static_cast<std::ptrdiff_t>(load));
    }
  }
}

// Makes buffers that tasks from `first` to `last` use parts of another, at offsets.
void Scheduler::Join(int whole, const std::map<int, int64_t>& offsets, size_t first, size_t last) {
  for (const auto& [buffer, offset] : offsets) {
    buffers_[buffer].same_as = whole;
    buffers_[buffer].offset = static_cast<uint32_t>(offset);
  }
  for (size_t t = first; t <= last; ++t) {
    ForEachStep(tasks_[t], [&](Step& step) {
      for (BufferUse& use : step.buffers) {
        const auto found = offsets.find(use.buffer);
        if (found == offsets.end()) continue;
        use.begin = static_cast<uint32_t>(found->second);
        use.end = use.begin + buffers_[use.buffer].bytes;
        use.buffer = whole;
      }
    });
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
  // Tokens on their way where the steps run in order. In hardware one engine may be ahead of
  // another by the step under way and a queue of them.
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
