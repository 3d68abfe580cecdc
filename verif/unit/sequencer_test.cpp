// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <optional>
#include <random>

#include "unit/block_bench.h"
#include "vaultrain/isa.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::ErrorCode;
using isa::FieldId;
using isa::Opcode;

constexpr int kEngines = isa::kEngines;
constexpr uint32_t kMemBytes = 1u << VT_MemBits;

using Program = std::vector<Descriptor>;

int EngineOf(const Descriptor& d) {
  return static_cast<int>(isa::EngineOf(static_cast<Opcode>(d.Get(FieldId::kOpcode))));
}

// `kind` chooses among the opcodes of an engine.
Descriptor Legal(int engine, uint32_t kind) {
  constexpr Opcode kVectorUnit[] = {Opcode::kVector, Opcode::kSoftmax, Opcode::kElements};
  const Opcode opcodes[kEngines] = {Opcode::kLoad,         Opcode::kStore, Opcode::kCompute,
                                    kVectorUnit[kind % 3], Opcode::kSend,  Opcode::kLanes};
  const Opcode opcode = opcodes[engine];
  Descriptor d(opcode);
  switch (opcode) {
    case Opcode::kLoad:
    case Opcode::kStore:
      d.Set(FieldId::kRows, 1);
      d.Set(FieldId::kRowAccesses, 1);
      break;
    case Opcode::kCompute:
      d.Set(FieldId::kBLevel, 1);
      d.Set(FieldId::kStoreLevel, 1);
      for (int k = 0; k < isa::kLoops; ++k) d.Set(FieldId::kBound, 1, k);
      break;
    case Opcode::kSend:
      d.Set(FieldId::kSendKind, kind % 2);
      if (kind % 2) {
        d.Set(FieldId::kGroup, static_cast<int>(isa::Group::kAll));
        d.Set(FieldId::kSendRows, 1);
        d.Set(FieldId::kRowFlits, 1);
        d.Set(FieldId::kDstPitch, 1 << 20);  // in the last byte that the queue keeps
      }
      break;
    case Opcode::kSoftmax:
      d.Set(FieldId::kSRows, 1);
      d.Set(FieldId::kClasses, 1);
      break;
    case Opcode::kLanes:
      d.Set(FieldId::kLGroups, 1);
      d.Set(FieldId::kLBody, 1);
      for (int k = 0; k < 3; ++k) d.Set(FieldId::kLBound, 1, k);
      d.Set(FieldId::kLInc, -1, 15);  // in the last bits of a descriptor
      break;
    default:
      if (opcode == Opcode::kVector) d.Set(FieldId::kPopLevel, 1);
      for (int k = 0; k < isa::kLoops; ++k) d.Set(FieldId::kVBound, 1, k);
      break;
  }
  return d;
}

// By the engine that gives and the one that takes.
using Tokens = std::array<std::array<int, kEngines>, kEngines>;

// A program that ends: what a descriptor waits for was given before it, and no semaphore passes its
// largest value.
Program DrawProgram(std::mt19937& random, int count) {
  Program program;
  Tokens value{}, given{};
  for (int i = 0; i < count; ++i) {
    const int engine = static_cast<int>(random() % kEngines);
    Descriptor d = Legal(engine, random());
    d.Set(FieldId::kTag, random() % 64);
    uint32_t wait = 0;
    uint32_t signal = 0;
    for (int other = 0; other < kEngines; ++other) {
      if (other == engine) continue;
      if (value[other][engine] > 0 && random() % 2) {
        wait |= 1u << other;
        --value[other][engine];
      }
      if (random() % 6 == 0 && given[engine][other] + 1 < 1 << isa::kSemaphoreBits) {
        signal |= 1u << other;
        ++value[engine][other];
        ++given[engine][other];
      }
    }
    d.Set(FieldId::kWait, wait);
    d.Set(FieldId::kSignal, signal);
    program.push_back(d);
  }
  program.push_back(Descriptor(Opcode::kEnd));
  return program;
}

struct Outcome {
  bool done = false;
  bool error = false;
  int code = 0;
  uint32_t info = 0;
  int cycles = 0;
};

// All engines and a vault around the sequencer, each as slow as it likes.
class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_request_(random_, stalls),
        go_data_(random_, stalls),
        go_ready_(random_, stalls),
        go_done_(random_, stalls) {
    memory_.assign(kMemBytes, 0);
    dut_.start_i = dut_.abort_i = dut_.rd_data_valid_i = dut_.job_ready_i = dut_.job_done_i = 0;
    dut_.fault_i = dut_.fault_code_i = dut_.mesh_overflow_i = 0;
    dut_.my_x_i = dut_.my_y_i = dut_.last_x_i = dut_.last_y_i = 0;
    dut_.watchdog_i = 0;
    dut_.progress_i = 0;
    dut_.engine_idle_i = 3;
    dut_.window_base_i = 0;
    dut_.window_size_i = kMemBytes;
    Reset(dut_);
  }

  // `count` descriptors from `address`; what lies behind the program is noise.
  Outcome Run(const Program& program, uint32_t address, uint32_t count) {
    for (uint32_t i = 0; i < 64 * 12; ++i) {
      memory_[(address + 64 * program.size() + i) % kMemBytes] = static_cast<uint8_t>(random_());
    }
    for (size_t i = 0; i < program.size(); ++i) {
      std::copy(program[i].bytes().begin(), program[i].bytes().end(),
                memory_.begin() + address + 64 * i);
    }
    for (auto& jobs : expected_) jobs.clear();
    for (const Descriptor& d : program) {
      if (d.Get(FieldId::kOpcode) != static_cast<int>(Opcode::kEnd)) {
        expected_[EngineOf(d)].push_back(d);
      }
    }
    tokens_ = {};
    issued_ = finished_ = 0;
    dut_.prog_addr_i = address;
    dut_.prog_count_i = count;
    dut_.start_i = 1;
    Outcome outcome;
    for (;; ++outcome.cycles) {
      dut_.abort_i = abort_at && outcome.cycles == *abort_at;
      dut_.fault_i = fault_at && (outcome.cycles == *fault_at || outcome.cycles == *fault_at + 3);
      dut_.fault_code_i =
          static_cast<uint8_t>(dut_.fault_i ? fault_code + outcome.cycles - *fault_at : 0xff);
      dut_.mesh_overflow_i = overflow_at && outcome.cycles == *overflow_at;
      Cycle(outcome);
      dut_.start_i = 0;
      if (outcome.done || outcome.error || ::testing::Test::HasFailure()) return outcome;
      if (outcome.cycles > 50000) {
        ADD_FAILURE() << "never ends" << Where();
        return outcome;
      }
    }
  }

  std::optional<int> abort_at;  // cycle after the start
  std::optional<int> fault_at, overflow_at;
  int fault_code = 0;  // the one that comes 3 cycles later is 3 more
  bool engines_hang = false;
  void SetWatchdog(uint32_t cycles) { dut_.watchdog_i = cycles; }
  std::mt19937& random() { return random_; }
  int issued() const { return issued_; }

 private:
  struct Job {
    Descriptor descriptor;
    bool taken = false;
  };

  void Cycle(Outcome& outcome) {
    // Offers that stand since the last cycle may be taken, jobs that were taken may complete.
    uint32_t ready = 0;
    uint32_t done = 0;
    for (int e = 0; e < kEngines; ++e) {
      if (offer_[e] && !engines_hang && go_ready_.Go()) ready |= 1u << e;
      if (e < 2 && !running_[e].empty() && !engines_hang && go_done_.Go()) done |= 1u << e;
      if (e >= 2 && ready >> e & 1) done |= 1u << e;
      if (done >> e & 1) {
        const Descriptor& d = e < 2 ? running_[e].front() : *offer_[e];
        PutBits(dut_.job_signal_i, static_cast<size_t>(kEngines * e), kEngines,
                static_cast<uint64_t>(d.Get(FieldId::kSignal)));
      }
    }
    dut_.job_ready_i = ready;
    dut_.job_done_i = done;
    dut_.engine_idle_i = idle_;
    dut_.rd_req_ready_i = go_request_.Go();
    dut_.rd_data_valid_i = !flying_.empty() && flying_.front().first <= cycle_ && go_data_.Go();
    if (dut_.rd_data_valid_i) {
      PutBytes(dut_.rd_data_i, 0, std::span(memory_).subspan(flying_.front().second, 8));
      flying_.pop_front();
    }
    Settle(dut_);
    if (dut_.rd_req_valid_o && dut_.rd_req_ready_i) {
      for (uint32_t b = 0; b < 8; ++b) {
        flying_.emplace_back(cycle_ + 25, static_cast<uint32_t>(dut_.rd_req_addr_o) * 64 + 8 * b);
      }
    }
    outcome.done = dut_.done_o;
    outcome.error = dut_.error_o;
    EXPECT_FALSE(outcome.done && outcome.error) << Where();
    if (outcome.done) {
      for (int e = 0; e < kEngines; ++e) {
        EXPECT_TRUE(expected_[e].empty() && !offer_[e] && running_[e].empty())
            << "done before engine " << e << " is" << Where();
      }
    }
    if (outcome.error) {
      outcome.code = dut_.error_code_o;
      outcome.info = dut_.error_info_o;
      EXPECT_EQ(idle_, 3u) << "engines still await memory" << Where();
    }
    if (outcome.done || outcome.error) {
      EXPECT_TRUE(flying_.empty()) << "descriptors are still on their way" << Where();
    }
    for (int e = 0; e < kEngines; ++e) {
      if (done >> e & 1) {
        const Descriptor& d = e < 2 ? running_[e].front() : *offer_[e];
        for (int to = 0; to < kEngines; ++to) tokens_[e][to] += d.Get(FieldId::kSignal) >> to & 1;
        if (e < 2) running_[e].pop_front();
        ++finished_;
      }
      if (ready >> e & 1) {
        if (e < 2) running_[e].push_back(*offer_[e]);
        offer_[e].reset();
      }
    }
    const uint32_t valid = dut_.job_valid_o & ~ready;
    for (int e = 0; e < kEngines; ++e) CheckOffer(e, valid >> e & 1);
    if (!dut_.engine_rst_no) {
      for (int e = 0; e < kEngines; ++e) {
        offer_[e].reset();
        running_[e].clear();
      }
    }
    // Load and store come to rest some time after they were told to.
    idle_ =
        dut_.halt_o ? idle_ | (random_() % 16 == 0) | (random_() % 16 == 0) << 1 : random_() % 4;
    Rise(dut_);
    ++cycle_;
  }

  void CheckOffer(int e, bool valid) {
    if (offer_[e]) {
      EXPECT_TRUE(valid || !dut_.engine_rst_no)
          << "engine " << e << ": an offer is withdrawn" << Where();
    }
    if (!valid) return;
    Descriptor seen;
    const std::vector<uint8_t> bytes = GetBytes(dut_.job_o, static_cast<size_t>(512 * e), 64);
    std::copy(bytes.begin(), bytes.end(), seen.bytes().begin());
    if (!offer_[e]) {
      if (expected_[e].empty()) {
        ADD_FAILURE() << "engine " << e << " gets a job too many" << Where();
        return;
      }
      offer_[e] = expected_[e].front();
      expected_[e].pop_front();
      ++issued_;
      for (int from = 0; from < kEngines; ++from) {
        tokens_[from][e] -= offer_[e]->Get(FieldId::kWait) >> from & 1;
        EXPECT_GE(tokens_[from][e], 0)
            << "engine " << e << " starts without a token of " << from << Where();
      }
    }
    EXPECT_TRUE(seen == *offer_[e]) << "engine " << e << " rtl " << isa::ToText(seen) << " program "
                                    << isa::ToText(*offer_[e]) << Where();
  }

  std::string Where() const {
    return " cycle " + std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  Stalls go_request_, go_data_, go_ready_, go_done_;
  std::vector<uint8_t> memory_;
  std::deque<std::pair<int, uint32_t>> flying_;
  std::array<std::deque<Descriptor>, kEngines> expected_;
  std::array<std::optional<Descriptor>, kEngines> offer_;
  std::array<std::deque<Descriptor>, kEngines> running_;  // taken, not complete: load and store
  Tokens tokens_{};
  uint32_t idle_ = 3;
  int issued_ = 0;
  int finished_ = 0;
  int cycle_ = 0;
};

TEST(Sequencer, IssuesEveryJobOnceInOrderAndWhenItsSemaphoresAllow) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    for (int run = 0; run < 10; ++run) {
      const Program program = DrawProgram(bench.random(), static_cast<int>(bench.random()() % 60));
      const Outcome outcome =
          bench.Run(program, bench.random()() % 1000 * 64, static_cast<uint32_t>(program.size()));
      ASSERT_TRUE(outcome.done) << "code " << outcome.code << " run " << run << " seed " << seed;
      ASSERT_FALSE(HasFailure());
    }
  }
}

// What is fetched behind END must have come back before the next program may start.
TEST(Sequencer, DescriptorsBehindEndDoNotReachTheNextProgram) {
  Bench bench(1, true);
  for (int run = 0; run < 20; ++run) {
    const Program program = DrawProgram(bench.random(), static_cast<int>(bench.random()() % 4));
    const Outcome outcome =
        bench.Run(program, 64 * (run % 3), static_cast<uint32_t>(program.size()) + 9);
    ASSERT_TRUE(outcome.done) << "code " << outcome.code << " run " << run;
    ASSERT_FALSE(HasFailure()) << "run " << run;
  }
}

TEST(Sequencer, AMalformedDescriptorIsNamedAndNothingBehindItRuns) {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    Bench bench(seed, true);
    Program program = DrawProgram(bench.random(), 20);
    const size_t bad = bench.random()() % 20;
    program[bad] = Descriptor(Opcode::kLoad);
    const Program legal(program.begin(), program.begin() + static_cast<int>(bad));
    const Outcome outcome = bench.Run(program, 0, 21);
    ASSERT_TRUE(outcome.error) << "seed " << seed;
    EXPECT_EQ(outcome.code, static_cast<int>(ErrorCode::kZeroCount)) << "seed " << seed;
    EXPECT_EQ(outcome.info, bad) << "seed " << seed;
    EXPECT_LE(bench.issued(), static_cast<int>(bad)) << "seed " << seed;
    // And the node is as good as new.
    const Program next = DrawProgram(bench.random(), 10);
    EXPECT_TRUE(bench.Run(next, 4096, 11).done) << "seed " << seed;
    ASSERT_FALSE(HasFailure());
  }
}

TEST(Sequencer, AProgramWithoutEndIsRefusedWithItsCount) {
  for (const uint32_t count : {0u, 1u, 5u}) {
    Bench bench(count + 1, true);
    const Program program = DrawProgram(bench.random(), 8);
    const Outcome outcome = bench.Run(program, 0, count);
    EXPECT_EQ(outcome.code, static_cast<int>(ErrorCode::kNoEnd));
    EXPECT_EQ(outcome.info, count);
  }
}

TEST(Sequencer, AbortEndsAProgramAtAnyTime) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    Bench bench(seed, true);
    bench.abort_at = 1 + static_cast<int>(bench.random()() % 600);
    const Program program = DrawProgram(bench.random(), 50);
    const Outcome outcome = bench.Run(program, 0, 51);
    ASSERT_TRUE(outcome.error) << "seed " << seed;
    EXPECT_EQ(outcome.code, static_cast<int>(ErrorCode::kAborted)) << "seed " << seed;
    bench.abort_at.reset();
    EXPECT_TRUE(bench.Run(DrawProgram(bench.random(), 10), 4096, 11).done) << "seed " << seed;
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

// An ECC fault of the vault, a peer's error: the first code stays.
TEST(Sequencer, AFaultEndsAProgramAtAnyTimeWithItsCode) {
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    Bench bench(seed, true);
    bench.fault_at = 1 + static_cast<int>(bench.random()() % 600);
    bench.fault_code = static_cast<int>(seed % 2 ? ErrorCode::kMesh : ErrorCode::kPeer);
    if (seed % 3 == 0) bench.overflow_at = *bench.fault_at + 1;
    const Outcome outcome = bench.Run(DrawProgram(bench.random(), 50), 0, 51);
    ASSERT_TRUE(outcome.error) << "seed " << seed;
    EXPECT_EQ(outcome.code, bench.fault_code) << "seed " << seed;
    bench.fault_at.reset();
    bench.overflow_at.reset();
    EXPECT_TRUE(bench.Run(DrawProgram(bench.random(), 10), 4096, 11).done) << "seed " << seed;
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
  }
}

TEST(Sequencer, AFaultBetweenProgramsIsNoError) {
  Bench bench(1, true);
  bench.fault_code = static_cast<int>(ErrorCode::kPeer);
  bench.fault_at = -3;  // so the second comes with the start
  EXPECT_TRUE(bench.Run(DrawProgram(bench.random(), 10), 0, 11).done);
}

TEST(Sequencer, AMeshSemaphoreBeyondItsLargestValueEndsTheProgram) {
  Bench bench(1, true);
  bench.overflow_at = 200;
  const Outcome outcome = bench.Run(DrawProgram(bench.random(), 50), 0, 51);
  EXPECT_EQ(outcome.code, static_cast<int>(ErrorCode::kSemaphore));
}

TEST(Sequencer, TheWatchdogEndsAHang) {
  Bench bench(1, false);
  bench.engines_hang = true;
  bench.SetWatchdog(500);
  const Outcome outcome = bench.Run(DrawProgram(bench.random(), 40), 0, 41);
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.code, static_cast<int>(ErrorCode::kWatchdog));
  EXPECT_GE(outcome.cycles, 500);
  EXPECT_LE(outcome.cycles, 500 + 40 * 20 + 100);
  // A semaphore that nobody signals is a hang as well.
  bench.engines_hang = false;
  Program waits = {Legal(2, 0), Descriptor(Opcode::kEnd)};
  waits[0].Set(FieldId::kWait, isa::BitOf(isa::Engine::kLanes));
  EXPECT_EQ(bench.Run(waits, 4096, 2).code, static_cast<int>(ErrorCode::kWatchdog));
}

TEST(Sequencer, ASemaphoreBeyondItsLargestValueEndsTheProgram) {
  Bench bench(1, true);
  Program program;
  for (int i = 0; i < 1 << isa::kSemaphoreBits; ++i) {
    program.push_back(Legal(static_cast<int>(isa::Engine::kLanes), 0));
    program.back().Set(FieldId::kSignal, isa::BitOf(isa::Engine::kSend));
  }
  program.push_back(Descriptor(Opcode::kEnd));
  const uint32_t count = static_cast<uint32_t>(program.size());
  EXPECT_EQ(bench.Run(program, 0, count).code, static_cast<int>(ErrorCode::kSemaphore));
  program.erase(program.begin());
  EXPECT_TRUE(bench.Run(program, 0, count - 1).done);
}

TEST(Sequencer, ADescriptorTakesItsBeatsAndItsCheck) {
  Bench bench(1, false);
  const int most[kEngines] = {28, 28, 18, 12, 12, 12};
  for (int engine = 0; engine < kEngines; ++engine) {
    Program program(100, Legal(engine, 0));
    program.push_back(Descriptor(Opcode::kEnd));
    const Outcome outcome = bench.Run(program, 0, 101);
    ASSERT_TRUE(outcome.done);
    EXPECT_LE(outcome.cycles, 100 * most[engine] + 60) << "engine " << engine;
  }
}

}  // namespace
}  // namespace vaultrain
