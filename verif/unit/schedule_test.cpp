// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What the scheduler makes of tasks: their order, what stays in the scratchpad, who waits for whom.

#include "mapper/schedule.h"

#include <gtest/gtest.h>

#include <string>

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::FieldId;
using isa::Opcode;

constexpr uint32_t kBytes = 64;  // of every buffer

class Schedule : public testing::Test {
 protected:
  // Tags name the steps of a program.
  Step Job(Engine engine, Opcode opcode, int tag, int64_t cycles, std::vector<BufferUse> buffers) {
    Step step;
    step.engine = engine;
    step.cycles = cycles;
    step.buffers = std::move(buffers);
    const int first = step.buffers.empty() ? -1 : step.buffers.front().buffer;
    step.make = [=, this](const Place&) {
      Descriptor d(opcode);
      d.Set(FieldId::kTag, tag);
      if (opcode == Opcode::kLoad || opcode == Opcode::kStore) {
        d.Set(FieldId::kSpadAddr, scheduler_.AddressOf(first));
      }
      return d;
    };
    return step;
  }
  Step Move(Engine engine, int tag, int tensor, int buffer, int64_t row = 0) {
    const bool loads = engine == Engine::kLoad;
    Step step = Job(engine, loads ? Opcode::kLoad : Opcode::kStore, tag, 100, {{buffer, loads}});
    step.dram = {{{tensor, row, row + 8, 0, 8}, !loads}};
    step.copy = Step::Copy{0, kBytes};
    return step;
  }
  int Buffer() { return scheduler_.AddBuffer(kBytes, false); }
  // A task of the array or the lanes that takes what is in `from` and stores to a tensor of its own
  // number; 0 and -1: nothing.
  void Add(int tag, Engine engine, int64_t cycles, std::vector<int> from, bool update = false) {
    Task task;
    task.update = update;
    std::vector<BufferUse> uses;
    for (const int tensor : from) {
      const int in = Buffer();
      task.loads.emplace_back(Move(Engine::kLoad, tag, tensor, in));
      uses.push_back({in, false});
    }
    const int out = Buffer();
    uses.push_back({out, true});
    const bool lanes = engine == Engine::kLanes;
    task.work.push_back(
        Job(engine, lanes ? Opcode::kLanes : Opcode::kCompute, tag, cycles, std::move(uses)));
    task.stores.push_back(Move(Engine::kStore, tag, tag, out));
    scheduler_.AddTask(std::move(task));
  }
  std::vector<Descriptor> Program() {
    EXPECT_TRUE(scheduler_.Run());
    return scheduler_.Programs().front();
  }
  // Tags of an opcode's descriptors in their order.
  static std::vector<int> Tags(const std::vector<Descriptor>& program, Opcode opcode) {
    std::vector<int> tags;
    for (const Descriptor& d : program) {
      if (static_cast<Opcode>(d.Get(FieldId::kOpcode)) == opcode) {
        tags.push_back(static_cast<int>(d.Get(FieldId::kTag)));
      }
    }
    return tags;
  }

  Scheduler scheduler_{1024, 32, 8, {Place()}};
};

constexpr int kInput = 60;  // a tensor that no task stores

TEST_F(Schedule, TheArrayTakesWhatCanBeginWhileTheLanesMakeTheRest) {
  Add(1, Engine::kCompute, 1000, {kInput});
  Add(2, Engine::kLanes, 1000, {1});
  Add(3, Engine::kCompute, 1000, {2});
  Add(4, Engine::kCompute, 1000, {kInput});
  scheduler_.Interleave();
  EXPECT_EQ(Tags(Program(), Opcode::kCompute), (std::vector<int>{1, 4, 3}));
}

TEST_F(Schedule, UpdatesFillWhatOthersLeaveAndKeepTheirOrder) {
  Add(5, Engine::kLanes, 9000, {kInput});
  Add(1, Engine::kCompute, 1000, {5}, true);
  Add(2, Engine::kCompute, 10, {kInput}, true);
  Add(3, Engine::kCompute, 1000, {kInput});
  Add(4, Engine::kCompute, 1000, {kInput});
  scheduler_.Interleave();
  EXPECT_EQ(Tags(Program(), Opcode::kCompute), (std::vector<int>{3, 4, 1, 2}));
}

TEST_F(Schedule, AShortTaskGoesBeforeALongOneThatCouldBeginALittleEarlier) {
  Add(1, Engine::kCompute, 5000, {kInput});
  Add(2, Engine::kLanes, 6000, {kInput});
  Add(3, Engine::kCompute, 50000, {kInput});
  Add(4, Engine::kCompute, 100, {2});
  scheduler_.Interleave();
  EXPECT_EQ(Tags(Program(), Opcode::kCompute), (std::vector<int>{1, 4, 3}));
}

TEST_F(Schedule, ALongTaskDoesNotWaitForAShortOneThatComesMuchLater) {
  Add(1, Engine::kCompute, 5000, {kInput});
  Add(2, Engine::kLanes, 20000, {kInput});
  Add(3, Engine::kCompute, 50000, {kInput});
  Add(4, Engine::kCompute, 100, {2});
  scheduler_.Interleave();
  EXPECT_EQ(Tags(Program(), Opcode::kCompute), (std::vector<int>{1, 3, 4}));
}

// Two tasks of the lanes become ready together but for the way of one's input through memory: a
// store and a load of 100 cycles each.
TEST_F(Schedule, TheWayThroughMemoryCountsUnlessTheBufferWillBeKept) {
  Add(1, Engine::kCompute, 1000, {kInput});
  Task parts;  // of two tensors in one LOAD: no store brings just that
  const int in = Buffer();
  Step both = Move(Engine::kLoad, 2, 1, in, 4);
  parts.loads.emplace_back(both);
  parts.work.push_back(Job(Engine::kLanes, Opcode::kLanes, 2, 1000, {{in, false}}));
  scheduler_.AddTask(std::move(parts));
  Add(3, Engine::kLanes, 1000, {1});
  Tuning tuning;
  tuning.band_share = 0;
  scheduler_.Interleave(tuning);
  EXPECT_EQ(Tags(Program(), Opcode::kLanes), (std::vector<int>{3, 2}));
}

TEST_F(Schedule, WhatWasStoredIsTakenFromItsBuffer) {
  Add(1, Engine::kCompute, 1000, {kInput});
  Add(2, Engine::kLanes, 1000, {1});
  scheduler_.Interleave();
  scheduler_.KeepStored(kBytes);
  const std::vector<Descriptor> program = Program();
  EXPECT_EQ(Tags(program, Opcode::kLoad), (std::vector<int>{1}));
  EXPECT_EQ(Tags(program, Opcode::kStore), (std::vector<int>{1, 2}));
}

TEST_F(Schedule, NothingIsKeptBeyondTheRoomGiven) {
  Add(1, Engine::kCompute, 1000, {kInput});
  Add(2, Engine::kCompute, 1000, {kInput});
  Add(3, Engine::kLanes, 1000, {1});
  scheduler_.KeepStored(kBytes - 1);
  EXPECT_EQ(Tags(Program(), Opcode::kLoad), (std::vector<int>{1, 2, 3}));
}

// Parts of the one mean nothing to parts of the other.
TEST_F(Schedule, ABufferOfPartsIsKeptUnlessItsNextUseHasPartsToo) {
  for (const bool parts_too : {false, true}) {
    scheduler_ = Scheduler(1024, 32, 8, {Place()});
    const int out = Buffer();
    const int in = Buffer();
    Task first;
    first.work.push_back(Job(Engine::kCompute, Opcode::kCompute, 1, 1000, {{out, true, 0}}));
    first.stores.push_back(Move(Engine::kStore, 1, 1, out));
    scheduler_.AddTask(std::move(first));
    Task second;
    second.loads.emplace_back(Move(Engine::kLoad, 2, 1, in));
    second.work.push_back(
        Job(Engine::kLanes, Opcode::kLanes, 2, 1000, {{in, false, parts_too ? 0 : -1}}));
    scheduler_.AddTask(std::move(second));
    scheduler_.KeepStored(kBytes);
    EXPECT_EQ(Tags(Program(), Opcode::kLoad), parts_too ? std::vector<int>{2} : std::vector<int>{});
  }
}

// Behind 20 short tasks; the queue of an engine holds 8.
TEST_F(Schedule, UpdatesAreLoadedFromFurtherAhead) {
  for (const bool updates : {false, true}) {
    scheduler_ = Scheduler(1024, 32, 8, {Place()});
    for (int tag = 1; tag <= 20; ++tag) Add(tag, Engine::kCompute, 10, {}, true);
    Add(21, Engine::kCompute, 10, {kInput}, updates);
    int before = 0;
    for (const Descriptor& d : Program()) {
      const auto opcode = static_cast<Opcode>(d.Get(FieldId::kOpcode));
      if (opcode == Opcode::kLoad) break;
      before += opcode == Opcode::kCompute ? 1 : 0;
    }
    EXPECT_EQ(before, updates ? 10 : 13);
  }
}

TEST_F(Schedule, AStepOfAnotherNodeTakesTheFirstNoTime) {
  for (const int owner : {-1, 0, 3}) {
    std::vector<Place> places(4);
    for (int n = 0; n < 4; ++n) places[n].batch_part = n;
    scheduler_ = Scheduler(1024, 32, 8, places);
    Task task;
    const int out = Buffer();
    task.work.push_back(Job(Engine::kLanes, Opcode::kLanes, 1, 1000, {{out, true}}));
    if (owner >= 0) {
      task.work.back().only = [owner](const Place& place) { return place.batch_part == owner; };
    }
    task.stores.push_back(Move(Engine::kStore, 1, 1, out));
    scheduler_.AddTask(std::move(task));
    Add(2, Engine::kCompute, 1000, {1});
    Add(3, Engine::kCompute, 1000, {kInput});
    Add(4, Engine::kCompute, 1000, {kInput});
    Tuning tuning;
    tuning.prefetch = 0;  // memory takes no time
    scheduler_.Interleave(tuning);
    EXPECT_EQ(Tags(Program(), Opcode::kCompute),
              owner == 3 ? (std::vector<int>{2, 3, 4}) : (std::vector<int>{3, 4, 2}));
  }
}

TEST_F(Schedule, ALoadOfMoreThanOneTaskStoredStays) {
  Add(1, Engine::kCompute, 1000, {kInput});
  Task task;
  const int in = scheduler_.AddBuffer(2 * kBytes, false);
  Step load = Move(Engine::kLoad, 2, 1, in);
  load.dram.front().rect.row_end = 16;
  task.loads.emplace_back(load);
  task.work.push_back(Job(Engine::kLanes, Opcode::kLanes, 2, 1000, {{in, false}}));
  scheduler_.AddTask(std::move(task));
  scheduler_.KeepStored(1024);
  EXPECT_EQ(Tags(Program(), Opcode::kLoad), (std::vector<int>{1, 2}));
}

// Two tasks store a band each of tensor 50, and two others take parts of both.
class Bands : public Schedule {
 protected:
  // Rows of 8 bytes.
  Step MoveRows(Engine engine, int tag, int buffer, int64_t begin, int64_t end) {
    Step step = Move(engine, tag, 50, buffer, begin);
    step.dram.front().rect.row_end = end;
    return step;
  }
  void Store(int tag, int64_t begin) {
    const int out = Buffer();
    Task task;
    task.work.push_back(Job(Engine::kCompute, Opcode::kCompute, tag, 1000, {{out, true}}));
    task.stores.push_back(MoveRows(Engine::kStore, tag, out, begin, begin + 8));
    scheduler_.AddTask(std::move(task));
    stored_.push_back(out);
  }
  void Take(int tag, int64_t begin, int64_t end, bool writes = false) {
    const int in = scheduler_.AddBuffer(static_cast<uint32_t>(8 * (end - begin)), false);
    Task task;
    task.loads.emplace_back(MoveRows(Engine::kLoad, tag, in, begin, end));
    task.work.push_back(Job(Engine::kLanes, Opcode::kLanes, tag, 1000, {{in, writes}}));
    scheduler_.AddTask(std::move(task));
    taken_.push_back(in);
  }
  std::vector<int> Loads(int64_t room, int64_t cycles) {
    scheduler_.Interleave();
    scheduler_.KeepBands(room, cycles);
    return Tags(Program(), Opcode::kLoad);
  }

  std::vector<int> stored_, taken_;
};

TEST_F(Bands, LieSideBySideForThoseWhoTakeThem) {
  Store(1, 8);  // in any order
  Store(2, 0);
  Take(3, 4, 12);
  Take(4, 0, 16);
  EXPECT_EQ(Loads(2 * kBytes, 100000), (std::vector<int>{}));
  const uint32_t first = scheduler_.AddressOf(stored_[1]);
  EXPECT_EQ(scheduler_.AddressOf(stored_[0]), first + 64);
  EXPECT_EQ(scheduler_.AddressOf(taken_[0]), first + 32);
  EXPECT_EQ(scheduler_.AddressOf(taken_[1]), first);
}

TEST_F(Bands, WhoWritesLoadsForItself) {
  Store(1, 0);
  Store(2, 8);
  Take(3, 4, 12, true);
  Take(4, 0, 16);
  EXPECT_EQ(Loads(2 * kBytes, 100000), (std::vector<int>{3}));
}

TEST_F(Bands, NeedRoom) {
  Store(1, 0);
  Store(2, 8);
  Take(3, 4, 12);
  EXPECT_EQ(Loads(2 * kBytes - 1, 100000), (std::vector<int>{3}));
}

TEST_F(Bands, AreNotHeldForLong) {
  Store(1, 0);
  Store(2, 8);
  Add(3, Engine::kLanes, 9000, {1});
  Add(4, Engine::kLanes, 9000, {1});
  Take(5, 4, 12);
  scheduler_.Interleave();
  EXPECT_EQ(Loads(2 * kBytes, 100), (std::vector<int>{3, 4, 5}));
}

TEST_F(Bands, OfRowsThatNobodyStoredComeFromMemory) {
  Store(1, 0);
  Store(2, 16);
  Take(3, 4, 12);
  EXPECT_EQ(Loads(4 * kBytes, 100000), (std::vector<int>{3}));
}

TEST_F(Bands, OfRowsThatAreStoredTwiceComeFromMemory) {
  Store(1, 0);
  Store(2, 8);
  Store(3, 4);
  Take(4, 4, 12);
  EXPECT_EQ(Loads(4 * kBytes, 100000), (std::vector<int>{4}));
}

TEST_F(Schedule, WhatDoesNotFitIsNoProgram) {
  Task task;
  const int large = scheduler_.AddBuffer(2048, false);
  task.work.push_back(Job(Engine::kLanes, Opcode::kLanes, 1, 1, {{large, true}}));
  scheduler_.AddTask(std::move(task));
  EXPECT_FALSE(scheduler_.Run());
}

}  // namespace
}  // namespace vaultrain
