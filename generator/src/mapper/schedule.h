// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// From tile tasks to a program: places buffers in the scratchpad, hoists loads, and derives every
// semaphore.
//
// A task is what one tile needs: loads into buffers, one job of the array or the vector unit,
// stores. Tasks come in an order that is right when each runs after the other. The scheduler keeps
// that order for everything but loads, which it moves ahead as far as the scratchpad has room and
// their data is there; so memory works on the next tiles while the array works on this one.
//
// Semaphores follow from what the steps read and write: one semaphore per ordered pair of engines.
// Where a step needs a later step of the other engine than any step before it did, that one signals
// and this one waits.

#ifndef VAULTRAIN_SRC_MAPPER_SCHEDULE_H_
#define VAULTRAIN_SRC_MAPPER_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "vaultrain/isa.h"

namespace vaultrain {

using isa::Engine;

// Part of a tensor in memory.
struct Rect {
  int tensor = 0;
  int64_t row_begin = 0, row_end = 0;
  int64_t col_begin = 0, col_end = 0;

  bool Overlaps(const Rect& other) const {
    return tensor == other.tensor && row_begin < other.row_end && other.row_begin < row_end &&
           col_begin < other.col_end && other.col_begin < col_end;
  }
};

struct DramUse {
  Rect rect;
  bool write = false;
};

struct BufferUse {
  int buffer = 0;
  bool write = false;
};

// One descriptor to be. `make` is called once all buffers it uses have addresses.
struct Step {
  Engine engine = Engine::kLoad;
  std::function<isa::Descriptor()> make;
  std::vector<BufferUse> buffers;
  std::vector<DramUse> dram;
};

struct Task {
  std::vector<Step> loads;
  std::vector<Step> work;  // COMPUTE and its VECTOR, or SOFTMAX: never parted by a load
  std::vector<Step> stores;
};

class Scheduler {
 public:
  // Scratchpad in bytes; buffers are aligned to word_bytes. queue: descriptors that wait in front
  // of an engine.
  Scheduler(uint32_t scratchpad_bytes, uint32_t word_bytes, int queue);

  // A buffer lives from the first task that uses it to the last. Resident buffers, which many tasks
  // use, lie at the low end, so that they do not cut the room of the others.
  int AddBuffer(uint32_t bytes, bool resident);
  uint32_t AddressOf(int buffer) const;

  void AddTask(Task task);

  // The program without END, or nothing if a task's buffers do not fit beside what must stay.
  std::optional<std::vector<isa::Descriptor>> Run();

 private:
  struct Buffer {
    uint32_t bytes = 0;
    bool resident = false;
    int uses_left = 0;  // steps not yet emitted
    std::optional<uint32_t> address;
  };
  struct Emitted {
    Engine engine;
    std::vector<DramUse> dram;
    std::vector<std::pair<uint32_t, uint32_t>> reads;  // scratchpad intervals
    std::vector<std::pair<uint32_t, uint32_t>> writes;
    isa::Descriptor descriptor;
  };

  bool Place(Buffer& buffer);
  bool PlaceTask(size_t task);
  bool DataReady(const Step& load, size_t task) const;
  void HoistLoads(size_t current);
  void Emit(const Step& step);
  void AddSemaphores();

  uint32_t scratchpad_bytes_;
  uint32_t word_bytes_;
  size_t queue_;
  uint32_t next_fit_ = 0;
  std::vector<Buffer> buffers_;
  std::vector<Task> tasks_;
  std::vector<std::vector<bool>> loaded_;  // per task and load
  size_t placed_tasks_ = 0;
  size_t current_ = 0;
  std::vector<Emitted> emitted_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_MAPPER_SCHEDULE_H_
