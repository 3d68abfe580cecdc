// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The order of tasks: which must come after which, and which could begin first.

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "mapper/schedule.h"

namespace vaultrain {
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

}  // namespace vaultrain
