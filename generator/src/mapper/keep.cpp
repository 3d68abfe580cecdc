// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What stays in the scratchpad from the task that stores it to those that load it.

#include <algorithm>
#include <map>
#include <utility>

#include "mapper/schedule.h"

namespace vaultrain {

bool Scheduler::MayKeep(const Task& from, const Load& load, bool bands) const {
  return StoredFrom(from, load).has_value() || (bands && StoresBandOf(from, load));
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

}  // namespace vaultrain
