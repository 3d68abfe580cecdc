// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// From tile tasks to the programs of all nodes: places buffers in the scratchpad, hoists loads, and
// derives every semaphore.
//
// All nodes run the same steps on buffers at the same addresses; what differs from node to node is
// which part of a tensor a step moves, and that some steps are only for the node that owns a part.
//
// A task is what one tile needs: loads into buffers, one job of the array or the vector unit,
// stores. Tasks come in an order that is right when each runs after the other. The scheduler moves
// loads ahead as far as the scratchpad has room and their data is there; so memory works on the
// next tiles while the array works on this one.
//
// Tasks of the lanes, which need no array, change places with those of the array, and tasks of a
// kind with each other, where neither needs what the other does: what could begin first comes next,
// by an estimate of the cycles of array and lanes. Of what could begin together updates come last,
// as nothing in the step waits for them: they fill what the others leave. Engines take their queues
// in order; so stores of a kind are queued behind those of the other kind that are done earlier,
// and loads of what was stored just now behind loads that need not wait.
//
// What a task loads as an earlier one stored it, it takes out of that one's buffer, where there is
// room to keep it so long. Where several tasks store a tensor band by band, and others take windows
// of it, their buffers become parts of one that lies like the tensor.
//
// tuning.h lists what may be chosen; Estimate tells about how long a node takes. The order of tasks
// is made in order.cpp, what stays in the scratchpad is found in keep.cpp, the rest in
// schedule.cpp.
//
// Semaphores follow from what the steps read and write: one semaphore per ordered pair of engines.
// Where a step needs a later step of the other engine than any step before it did, that one signals
// and this one waits; where more tokens would be on the way than a semaphore counts, it waits for
// more than it needs.

#ifndef VAULTRAIN_SRC_MAPPER_SCHEDULE_H_
#define VAULTRAIN_SRC_MAPPER_SCHEDULE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "mapper/estimate.h"
#include "vaultrain/isa.h"
#include "vaultrain/tuning.h"

namespace vaultrain {

using isa::Engine;

// Part of a tensor in memory.
struct Rect {
  int tensor = 0;
  int64_t row_begin = 0, row_end = 0;
  int64_t col_begin = 0, col_end = 0;
  int batch_part = -1;  // of the only nodes that mean it, -1: all do
  // Of the samples of each pixel these.
  int64_t sample_begin = 0, sample_end = std::numeric_limits<int64_t>::max();

  friend bool operator==(const Rect&, const Rect&) = default;
  bool Overlaps(const Rect& other) const {
    return tensor == other.tensor && sample_begin < other.sample_end &&
           other.sample_begin < sample_end &&
           (batch_part < 0 || other.batch_part < 0 || batch_part == other.batch_part) &&
           row_begin < other.row_end && other.row_begin < row_end && col_begin < other.col_end &&
           other.col_begin < col_end;
  }
};

struct DramUse {
  Rect rect;
  bool write = false;
};

struct BufferUse {
  int buffer = 0;
  bool write = false;
  int part = -1;  // uses of different parts of a buffer do not meet; -1 is all of it
  // Bytes of the buffer.
  uint32_t begin = 0, end = std::numeric_limits<uint32_t>::max();

  // Whether they may not change places.
  bool Meets(const BufferUse& other) const {
    const bool parts = part >= 0 && other.part >= 0 && part != other.part;
    return buffer == other.buffer && begin < other.end && other.begin < end && !parts &&
           (write || other.write);
  }
};

// A node, and the part of every operation that it has: one of the parts of the batch, one of the
// parts of the outputs.
struct Place {
  int x = 0;
  int y = 0;
  int batch_part = 0;
  int output_part = 0;
};

// One descriptor to be. `make` is called once all buffers it uses have addresses.
struct Step {
  Engine engine = Engine::kLoad;
  std::function<isa::Descriptor(const Place&)> make;
  std::function<bool(const Place&)> only;  // nodes that have the step; empty: all
  std::vector<BufferUse> buffers;
  std::vector<DramUse> dram;
  int64_t cycles = 0;  // about, of its engine
  // Of a LOAD or STORE after which memory and a buffer, from an offset on, hold the same bytes in
  // rows of a pitch.
  struct Copy {
    int64_t offset = 0, pitch = 0;
    friend bool operator==(const Copy&, const Copy&) = default;
  };
  std::optional<Copy> copy;
  // Of a SEND: steps of one exchange meet in the order of their tasks, as their tokens do not say
  // whose they are.
  int exchange = 0;
};

// Steps that bring one operand: LOADs, and what then gathers it from the nodes that loaded parts of
// it. The second half is never parted, and stays near the task: behind it in the queue of its
// engine stand results that other nodes wait for.
struct Load {
  Load() = default;
  Load(Step step) { steps.push_back(std::move(step)); }  // NOLINT(runtime/explicit)
  std::vector<Step> steps;
  std::vector<Step> gather;
};

struct Task {
  std::vector<Load> loads;
  std::vector<Step> work;  // COMPUTE and its VECTOR, or SOFTMAX: never parted by a load
  std::vector<Step> stores;
  bool update = false;  // of a parameter: nothing in the step waits for it
  int op = 0;           // that it belongs to
  int sum = 0;          // that it adds to, in the scratchpad; 0: none
};

// Whether one changes what the other uses.
bool AnyConflict(const std::vector<DramUse>& a, const std::vector<DramUse>& b);

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

class Scheduler {
 public:
  // Scratchpad in bytes; buffers are aligned to word_bytes. queue: descriptors that wait in front
  // of an engine.
  Scheduler(uint32_t scratchpad_bytes, uint32_t word_bytes, int queue, std::vector<Place> places);

  // A buffer lives from the first task that uses it to the last. Resident buffers, which many tasks
  // use, lie at the low end, so that they do not cut the room of the others.
  int AddBuffer(uint32_t bytes, bool resident);
  uint32_t AddressOf(int buffer) const;

  void AddTask(Task task);

  // Lets tasks of the lanes and of the array change places; after the last AddTask.
  void Interleave(const Tuning& tuning = {});

  // Spares loads of what an earlier task stores from its buffer; after Interleave. `room`: bytes
  // that may be held from one task to the other.
  void KeepStored(int64_t room);

  // Spares loads of what several earlier tasks store, band by band: their buffers become parts of
  // one that lies like the tensor. After KeepStored. `cycles`: at most between the two.
  void KeepBands(int64_t room, int64_t cycles);

  // Whether the buffers of each task fit beside what must stay.
  bool Run();

  // After Run: of the first node, or of the slowest.
  Estimate EstimateOf(bool of_slowest) const;

  // After Run: the programs without END, one per place.
  std::vector<std::vector<isa::Descriptor>> Programs() const;

 private:
  struct Buffer {
    uint32_t bytes = 0;
    bool resident = false;
    int uses_left = 0;  // steps not yet emitted
    std::optional<uint32_t> address;
    std::optional<int> same_as;  // the buffer that it is a later use, or a part, of
    uint32_t offset = 0;         // in that one
  };
  // Uses of a buffer in the order of tasks.
  struct Life {
    size_t first = std::numeric_limits<size_t>::max();
    size_t last = 0;
    size_t written = 0;   // by this task last
    bool parted = false;  // by parts, which mean nothing to another parted buffer
  };
  // Part of the scratchpad.
  struct Extent {
    uint32_t begin = 0, end = 0;
    BufferUse use;

    bool Meets(const Extent& other) const {
      const bool other_part = use.buffer == other.use.buffer && use.part >= 0 &&
                              other.use.part >= 0 && use.part != other.use.part;
      return begin < other.end && other.begin < end && !other_part &&
             (use.write || other.use.write);
    }
  };
  struct Emitted {
    Step step;
    std::vector<Extent> extents;
  };

  enum Line { kArray, kLanes, kLines };  // kinds of tasks
  static Line LineOf(const Task& task);
  // The buffer from which `task` stores exactly what the load brings, or nothing.
  static std::optional<int> StoredFrom(const Task& task, const Load& load);
  // Whether the task stores a band of what the load brings.
  bool StoresBandOf(const Task& task, const Load& load) const;
  std::vector<std::vector<size_t>> Predecessors() const;
  // Cycles about of a step at the first node; links carry what others send, too.
  int64_t CyclesOfANode(const Step& step) const;
  // Whether the load may find what the task stores in the scratchpad.
  bool MayKeep(const Task& from, const Load& load, bool bands) const;
  // Cycles about from the end of a task until another has from memory what it stored.
  int64_t ThroughMemory(const Task& from, const Task& to, bool bands) const;
  struct Choice;
  std::vector<size_t> Candidates(const Choice& choice, size_t queue, const Tuning& tuning) const;
  void CountUses();
  std::vector<Life> Lives() const;
  // A load or store of one step between memory and all of a buffer: what it moves, and the buffer.
  struct Band {
    Rect rect;
    int buffer = 0;
    int64_t row_bytes = 0;  // of a row of the tensor, in the buffer

    bool Follows(const Band& other) const;  // the same but for the rows
  };
  std::optional<Band> BandOf(const Step& step) const;
  struct StoredBand;
  struct TakenBands;
  struct Region;
  // All stores, by tensor, in the order of tasks; bands or not.
  std::map<int, std::vector<StoredBand>> StoredBands(const std::vector<Life>& lives) const;
  bool OnlyRead(int buffer, size_t task, const Life& life) const;
  std::vector<TakenBands> BandsTaken(std::map<int, std::vector<StoredBand>>& stores,
                                     const std::vector<Life>& lives, int64_t cycles) const;
  static std::vector<Region> RegionsOf(const std::vector<TakenBands>& takers);
  void Join(int whole, const std::map<int, int64_t>& offsets, size_t first, size_t last);

  bool PlaceBuffer(Buffer& buffer);
  bool PlaceTask(size_t task);
  bool DataReady(const Load& load, size_t task) const;
  bool JustStored(const Load& load) const;
  void EmitLoad(size_t task, size_t load);
  void HoistLoads(size_t current);
  // Emits what stores are left of the last task of a kind.
  void FlushStores(Line line);
  void FlushStoresBefore(const Task& task);
  void Emit(const Step& step);
  static bool Conflict(const Emitted& a, const Emitted& b);
  static bool Conflict(const Step& a, const Step& b);
  // Visits the steps that are kept, in order, with those of other engines that each waits for, as
  // numbers among them.
  template <typename Keep, typename Visit>
  void ForEachInOrder(Keep keep, Visit visit) const;
  std::vector<isa::Descriptor> ProgramOf(const Place& place) const;

  uint32_t scratchpad_bytes_;
  uint32_t word_bytes_;
  size_t queue_;
  std::vector<Place> places_;
  uint32_t next_fit_ = 0;
  std::vector<Buffer> buffers_;
  std::vector<Task> tasks_;
  std::vector<std::vector<bool>> loaded_;  // per task and load
  std::vector<std::vector<bool>> gathered_;
  size_t placed_tasks_ = 0;
  size_t current_ = 0;
  std::vector<int64_t> begin_, end_;                // of tasks, about, in cycles of their engine
  std::array<std::optional<size_t>, kLines> last_;  // task emitted last, of each kind
  std::array<bool, kLines> stores_left_{};          // its stores are still to be emitted
  std::vector<Emitted> emitted_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_MAPPER_SCHEDULE_H_
