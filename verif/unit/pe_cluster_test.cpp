// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A cluster whose meshes lead back to itself: what it sends, it receives. The vault and the golden
// machine's must hold the same bytes in the end. Programs that compute are the kernels' business,
// but for gradients of fx32, which no kernel has.

#include <Vdut.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "golden/machine.h"
#include "unit/block_bench.h"
#include "vaultrain/isa.h"
#include "vaultrain/lane_program.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::ErrorCode;
using isa::FieldId;
using isa::Opcode;
using isa::SendKind;

constexpr uint32_t kMemBytes = 1u << VT_MemBits;
constexpr int kFlitBytes = VT_LinkBits / 8;
constexpr int kAccessBytes = 64;
constexpr int kBeatBytes = 8;
constexpr int kSlotBytes = VT_Cols * 4;
constexpr uint32_t kProgram = 0, kInput = 0x10000, kOutput = 0x20000, kLaneWords = 0x30000;

using Program = std::vector<Descriptor>;

// Doubles what it reads.
lanes::Program Doubling() {
  lanes::Program program;
  program.body.LoadWide(0, 0).Add(0, 0, 0).StoreWide(0, 1);
  return program;
}

golden::MachineConfig Config() {
  golden::MachineConfig config;
  config.rows = VT_Rows;
  config.cols = VT_Cols;
  config.lanes = VT_Lanes;
  if (VT_ExpBits == 0) config.operand = {NumberFormat::kFx16, VT_FracBits};
  config.wide_gradients = VT_GuardBits != 0;
  config.align_bits = VT_AlignBits;
  config.acc_depth = VT_AccDepth;
  config.scratchpad_bytes = VT_SpadBytes;
  config.dram_bytes = kMemBytes;
  config.link_bytes = kFlitBytes;
  config.check_order = true;
  return config;
}

struct Outcome {
  bool done = false;
  bool error = false;
  int code = 0;
  int cycles = 0;
};

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        random_(seed),
        go_request_(random_, stalls),
        go_data_(random_, stalls),
        go_write_(random_, stalls),
        go_mesh_(random_, stalls),
        go_sums_(random_, stalls) {
    memory_ = RandomBytes(random_, kMemBytes);
    for (uint32_t i = 3; i < kMemBytes; i += 4) memory_[i] &= 0xbf;  // few huge values
    const std::vector<uint32_t> words = Doubling().Words();
    for (size_t i = 0; i < 4 * words.size(); ++i) {
      memory_[kLaneWords + i] = static_cast<uint8_t>(words[i / 4] >> i % 4 * 8);
    }
    dut_.start_i = dut_.abort_i = dut_.fault_i = dut_.fault_code_i = 0;
    dut_.rx_valid_i = dut_.red_rx_valid_i = 0;
    dut_.rd_data_valid_i = dut_.wr_ack_valid_i = 0;
    dut_.my_x_i = dut_.my_y_i = dut_.last_x_i = dut_.last_y_i = 0;
    dut_.window_base_i = 0;
    dut_.window_size_i = kMemBytes;
    dut_.watchdog_i = 0;
    PutBits(dut_.scalars_i, 32, 32, kScale);
    Reset(dut_);
  }

  Outcome Run(const Program& program, int most = 20000) {
    for (size_t i = 0; i < program.size(); ++i) {
      std::copy(program[i].bytes().begin(), program[i].bytes().end(),
                memory_.begin() + kProgram + 64 * i);
    }
    dut_.prog_addr_i = kProgram;
    dut_.prog_count_i = static_cast<uint32_t>(program.size());
    dut_.start_i = 1;
    Outcome outcome;
    for (; outcome.cycles < most; ++outcome.cycles) {
      dut_.fault_i = outcome.cycles == fault_at;
      dut_.fault_code_i = static_cast<uint8_t>(ErrorCode::kMesh);
      if (trickle && outcome.cycles % 50 == 0) mesh_.push_back(Put(0));
      Cycle(outcome);
      dut_.start_i = 0;
      if (outcome.done || outcome.error) break;
    }
    return outcome;
  }

  // The golden machine on the memory as it is now; leaves in it what the run must leave.
  void RunGolden(const Program& program, std::vector<uint8_t> before) {
    golden::Machine machine(Config());
    for (size_t i = 0; i < program.size(); ++i) {
      std::copy(program[i].bytes().begin(), program[i].bytes().end(),
                before.begin() + kProgram + static_cast<int>(64 * i));
    }
    machine.Write(0, before);
    machine.SetScalar(1, kScale);
    machine.Begin(kProgram, static_cast<uint32_t>(program.size()));
    for (int rounds = 0; !machine.Continue() && rounds < 10; ++rounds) {
      for (const golden::Message& m : machine.TakeMessages()) machine.Receive(m);
    }
    ASSERT_TRUE(machine.result().ok()) << static_cast<int>(machine.result().error);
    std::vector<uint8_t> after(kMemBytes);
    machine.Read(0, after);
    for (uint32_t i = 0; i < kMemBytes; ++i) {
      ASSERT_EQ(memory_[i], after[i]) << "byte " << i << " of the vault";
    }
  }

  // Payload for an address, as another node would send it.
  std::vector<uint32_t> Put(uint32_t address) {
    std::vector<uint32_t> flit((41 + VT_LinkBits + 31) / 32);
    for (uint32_t& w : flit) w = random_();
    PutBits(flit, 8, 4, 0);
    PutBits(flit, 17, 24, address);
    return flit;
  }
  void BringToMesh(const std::vector<uint32_t>& flit) { mesh_.push_back(flit); }
  void Idle(int cycles) {
    Outcome outcome;
    while (cycles-- > 0) Cycle(outcome);
    EXPECT_FALSE(outcome.done || outcome.error);
  }
  size_t waiting() const { return mesh_.size(); }

  // fp32 values, most of which fx32 holds.
  void DrawGradients(uint32_t address, uint32_t bytes) {
    for (uint32_t i = address; i < address + bytes; i += 4) {
      const auto exponent = static_cast<uint32_t>(127 + 3 - random_() % (random_() % 8 ? 32 : 128));
      const uint32_t value = (random_() & 0x807FFFFF) | exponent << 23;
      for (int b = 0; b < 4; ++b) memory_[i + b] = static_cast<uint8_t>(value >> 8 * b);
    }
  }

  const std::vector<uint8_t>& memory() const { return memory_; }
  std::mt19937& random() { return random_; }
  void SetWatchdog(uint32_t cycles) { dut_.watchdog_i = cycles; }
  int fault_at = -1;
  bool trickle = false;  // a payload comes every 50 cycles
  int sent() const { return sent_; }

 private:
  static constexpr uint32_t kScale = 0x3f400000;

  void Cycle(Outcome& outcome) {
    dut_.rd_req_ready_i = static_cast<uint8_t>(go_request_.Go() ? 1 + random_() % 3 : 0);
    dut_.rd_data_valid_i = 0;
    if (!reads_.empty() && reads_.front().due <= cycle_ && go_data_.Go()) {
      dut_.rd_data_valid_i = static_cast<uint8_t>(1u << reads_.front().reader);
      PutBytes(dut_.rd_data_i, 0, std::span(memory_).subspan(reads_.front().address, kBeatBytes));
      reads_.pop_front();
    }
    dut_.wr_req_ready_i = dut_.wr_data_ready_i = go_write_.Go();
    dut_.wr_ack_valid_i = acks_ > 0;
    acks_ = 0;
    dut_.tx_ready_i = go_mesh_.Go();
    dut_.red_tx_ready_i = go_sums_.Go();
    dut_.rx_valid_i = !mesh_.empty();
    if (!mesh_.empty()) Copy(mesh_.front(), dut_.rx_flit_i, 41 + VT_LinkBits);
    dut_.red_rx_valid_i = !sums_.empty();
    if (!sums_.empty()) Copy(sums_.front(), dut_.red_rx_flit_i, 38 + VT_LinkBits);
    Settle(dut_);
    outcome.done = dut_.done_o;
    outcome.error = dut_.error_o;
    outcome.code = dut_.error_code_o;
    for (int reader = 0; reader < 2; ++reader) {
      if (!((dut_.rd_req_valid_o & dut_.rd_req_ready_i) >> reader & 1)) continue;
      const size_t bits = VT_MemBits - 6;
      const auto access = static_cast<uint32_t>(
          GetBits(dut_.rd_req_addr_o, static_cast<size_t>(reader) * bits, bits));
      for (uint32_t b = 0; b < kAccessBytes; b += kBeatBytes) {
        reads_.push_back({reader, access * kAccessBytes + b, cycle_ + 10});
      }
    }
    if (dut_.wr_req_valid_o && dut_.wr_req_ready_i) {
      for (uint32_t b = 0; b < kAccessBytes; b += kBeatBytes) {
        writes_.push_back(static_cast<uint32_t>(dut_.wr_req_addr_o) * kAccessBytes + b);
      }
    }
    if (dut_.wr_data_valid_o && dut_.wr_data_ready_i) {
      ASSERT_FALSE(writes_.empty());
      const std::vector<uint8_t> beat = GetBytes(dut_.wr_data_o, 0, kBeatBytes);
      std::copy(beat.begin(), beat.end(), memory_.begin() + writes_.front());
      acks_ += writes_.front() % kAccessBytes == kAccessBytes - kBeatBytes;
      writes_.pop_front();
    }
    if (dut_.rx_valid_i && dut_.rx_ready_o) mesh_.pop_front();
    if (dut_.red_rx_valid_i && dut_.red_rx_ready_o) sums_.pop_front();
    if (dut_.tx_valid_o && dut_.tx_ready_i) mesh_.push_back(Words(dut_.tx_flit_o));
    if (dut_.red_tx_valid_o && dut_.red_tx_ready_i) sums_.push_back(Words(dut_.red_tx_flit_o));
    sent_ += dut_.ev_noc_o;
    Rise(dut_);
    ++cycle_;
  }

  template <typename Port>
  static std::vector<uint32_t> Words(const Port& port) {
    std::vector<uint32_t> words;
    for (size_t w = 0; w < sizeof(port) / 4; ++w) words.push_back(port[w]);
    return words;
  }
  template <typename Port>
  static void Copy(const std::vector<uint32_t>& words, Port& port, size_t bits) {
    for (size_t at = 0; at < bits; at += 32) {
      PutBits(port, at, std::min<size_t>(32, bits - at), words[at / 32]);
    }
  }

  struct Beat {
    int reader;
    uint32_t address;
    int due;
  };

  VerilatedContext context_;
  Vdut dut_;
  std::mt19937 random_;
  Stalls go_request_, go_data_, go_write_, go_mesh_, go_sums_;
  std::vector<uint8_t> memory_;
  std::deque<Beat> reads_;
  std::deque<uint32_t> writes_;
  std::deque<std::vector<uint32_t>> mesh_, sums_;  // flits on their way
  int acks_ = 0;
  int cycle_ = 0;
  int sent_ = 0;
};

Descriptor Move(Opcode opcode, uint32_t dram, uint32_t spad, int rows, int row_bytes) {
  Descriptor d(opcode);
  d.Set(FieldId::kDramAddr, dram);
  d.Set(FieldId::kDramPitch, row_bytes);
  d.Set(FieldId::kRows, rows);
  d.Set(FieldId::kRowAccesses, row_bytes / kAccessBytes);
  d.Set(FieldId::kSpadAddr, spad);
  d.Set(FieldId::kSpadPitch, row_bytes);
  return d;
}

Descriptor Send(SendKind kind, uint32_t from, uint32_t to, int rows, int row_bytes, int token) {
  Descriptor d(Opcode::kSend);
  d.Set(FieldId::kSendKind, static_cast<int>(kind));
  d.Set(FieldId::kGroup, kind == SendKind::kReduce ? 3 : 0);
  d.Set(FieldId::kPost, 1);
  d.Set(FieldId::kPostSem, token);
  d.Set(FieldId::kSendAddr, from);
  d.Set(FieldId::kSendPitch, row_bytes);
  d.Set(FieldId::kSendRows, rows);
  d.Set(FieldId::kRowFlits, row_bytes / kFlitBytes);
  d.Set(FieldId::kDstAddr, to);
  d.Set(FieldId::kDstPitch, row_bytes);
  return d;
}

Descriptor Take(int token, int count) {
  Descriptor d(Opcode::kSend);
  d.Set(FieldId::kTake, count, 0);
  d.Set(FieldId::kTakeSem, token, 0);
  return d;
}

// LOAD a tile, ELEMENTS and LANES over it, a put of the results and a reduction of the tile, both
// to this node, and STORE of what came and of what the lanes made.
Program RoundTrip(std::mt19937& random) {
  const int rows = 1 + static_cast<int>(random() % 6);
  const int row_bytes = kAccessBytes * (1 + static_cast<int>(random() % 6));
  const uint32_t tile = 0, doubled = 0x900, results = 0x1200, came = 0x2000, sums = 0x3000,
                 words = 0x3c00;
  Descriptor load = Move(Opcode::kLoad, kInput, tile, rows, row_bytes);
  Descriptor elements(Opcode::kElements);
  const std::array<int64_t, isa::kLoops> bounds = {row_bytes / kSlotBytes, rows, 1, 1, 1, 1};
  const auto inc = isa::Increments(bounds, {kSlotBytes, row_bytes, 0, 0, 0, 0});
  for (int k = 0; k < isa::kLoops; ++k) elements.Set(FieldId::kVBound, bounds[k], k);
  for (int k = 0; k < 3; ++k) {
    elements.Set(FieldId::kSrcInc, inc[k], k);
    elements.Set(FieldId::kEOutInc, inc[k], k);
    elements.Set(FieldId::kEAuxInc, inc[k], k);
  }
  elements.Set(FieldId::kUseScale, 1);
  elements.Set(FieldId::kScalar, 1);
  elements.Set(FieldId::kAuxKind, random() % 2);
  elements.Set(FieldId::kRelu, random() % 2);
  elements.Set(FieldId::kOutFp32, 1);
  elements.Set(FieldId::kTailLoop, isa::kNoTail);
  elements.Set(FieldId::kSrcBase, tile);
  elements.Set(FieldId::kAuxBase, tile);
  elements.Set(FieldId::kOutBase, results);
  Descriptor load_words = Move(Opcode::kLoad, kLaneWords, words, 1, kAccessBytes);
  lanes::Job job;
  job.groups = kAccessBytes / kSlotBytes;
  job.bounds = {row_bytes / kAccessBytes, rows, 1};
  job.level = 3;
  constexpr int kLaneSlot = VT_Cols * 2;
  for (lanes::Stream& stream : job.streams) {
    stream.strides = {kSlotBytes / kLaneSlot, kAccessBytes / kLaneSlot, row_bytes / kLaneSlot, 0};
  }
  job.streams[0].base = tile;
  job.streams[1].base = doubled;
  Descriptor lanes = lanes::MakeDescriptor(Doubling(), words * 8 / (VT_Rows * VT_Lanes * 16), job);
  Descriptor store_doubled = Move(Opcode::kStore, kOutput + 0x4000, doubled, rows, row_bytes);
  Descriptor put = Send(SendKind::kPut, results, came, rows, row_bytes, 5);
  Descriptor reduce = Send(SendKind::kReduce, tile, sums, rows, row_bytes, 31);
  Descriptor take_put = Take(5, 1);
  Descriptor take_sums = Take(31, 1);
  Descriptor store = Move(Opcode::kStore, kOutput, came, rows, row_bytes);
  Descriptor store_sums = Move(Opcode::kStore, kOutput + 0x2000, sums, rows, row_bytes);
  Order(load, elements);
  Order(load_words, lanes);
  Order(lanes, store_doubled);
  Order(elements, put);
  Order(take_put, store);
  Order(take_sums, store_sums);
  return {load,   load_words, elements, lanes,     put,        store_doubled,
          reduce, take_put,   store,    take_sums, store_sums, Descriptor(Opcode::kEnd)};
}

TEST(PeCluster, WhatItSendsToItselfIsWhereGoldenHasIt) {
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    Bench bench(seed, seed % 3 != 0);
    for (int run = 0; run < 4; ++run) {
      const Program program = RoundTrip(bench.random());
      const std::vector<uint8_t> before = bench.memory();
      const Outcome outcome = bench.Run(program);
      ASSERT_TRUE(outcome.done) << "code " << outcome.code << " seed " << seed;
      bench.RunGolden(program, before);
      ASSERT_FALSE(HasFailure()) << "run " << run << " seed " << seed;
    }
    EXPECT_GT(bench.sent(), 0);
  }
}

// LOAD of both halves of gradients, plain or transposed, beside other operands of either side,
// COMPUTE, VECTOR and STORE of the sums.
Program MultiplyHalves(Bench& bench) {
  std::mt19937& random = bench.random();
  const int rows = 4 * (1 + static_cast<int>(random() % 4));
  const int words = 1 + static_cast<int>(random() % 3);
  const bool transpose = random() % 2;
  const bool gradients_stay = random() % 2;  // as the stationary operand
  constexpr int kWordBytes = VT_Lanes * 2;
  const int pitch = words * kWordBytes;  // of operands
  const uint32_t high = 0, low = 0x800, other = 0x1000, out = 0x2000;
  Descriptor halves[2];
  for (int h = 0; h < 2; ++h) {
    Descriptor& d = halves[h];
    d = Move(Opcode::kLoad, kInput, h ? low : high, rows, 2 * pitch);
    d.Set(FieldId::kConvert, 1);
    d.Set(FieldId::kHalf, 1 + h);
    d.Set(FieldId::kSpadPitch, pitch);
    if (transpose) {
      // Rows of memory lie along K.
      d.Set(FieldId::kTranspose, 1);
      d.Set(FieldId::kRows, words * VT_Lanes);
      d.Set(FieldId::kRowAccesses, 1);
      d.Set(FieldId::kDramPitch, kAccessBytes);
      d.Set(FieldId::kCols, rows);
    }
  }
  Descriptor operands = Move(Opcode::kLoad, kInput + 0x4000, other, rows * words, kAccessBytes);
  Descriptor compute(Opcode::kCompute);
  const int tiles = gradients_stay ? rows / VT_Cols : 1;
  const std::array<int64_t, isa::kLoops> bounds = {rows, words, 2, tiles, 1, 1};
  const int64_t half = (low - high) / kWordBytes;
  const auto a = isa::Increments(bounds, {words, 1, gradients_stay ? 0 : half, 0, 0, 0});
  const auto b = isa::Increments(bounds, {0, 1, gradients_stay ? half : 0, words * VT_Cols, 0, 0});
  for (int k = 0; k < isa::kLoops; ++k) {
    compute.Set(FieldId::kBound, bounds[k], k);
    compute.Set(FieldId::kAInc, a[k], k);
    compute.Set(FieldId::kBInc, b[k], k);
  }
  compute.Set(FieldId::kFirst, 1);
  compute.Set(FieldId::kLast, 1);
  compute.Set(FieldId::kBLevel, 1);
  compute.Set(FieldId::kStoreLevel, 3);
  compute.Set(FieldId::kHalves, 1);
  compute.Set(FieldId::kABase, (gradients_stay ? other : high) / kWordBytes);
  compute.Set(FieldId::kBBase, (gradients_stay ? high : other) / kWordBytes);
  compute.Set(FieldId::kBColInc, words);
  Descriptor vector(Opcode::kVector);
  const std::array<int64_t, isa::kLoops> drained = {rows, tiles, 1, 1, 1, 1};
  const auto inc = isa::Increments(drained, {kSlotBytes, rows * kSlotBytes, 0, 0, 0, 0});
  for (int k = 0; k < isa::kLoops; ++k) {
    vector.Set(FieldId::kVBound, drained[k], k);
    vector.Set(FieldId::kOutInc, inc[k], k);
  }
  vector.Set(FieldId::kPopLevel, 1);
  vector.Set(FieldId::kOutFp32, 1);
  vector.Set(FieldId::kTailLoop, isa::kNoTail);
  vector.Set(FieldId::kOutBase, out);
  Descriptor store =
      Move(Opcode::kStore, kOutput, out, tiles * rows * kSlotBytes / kAccessBytes, kAccessBytes);
  Order(operands, compute);
  Order(vector, store);
  return {halves[0], halves[1], operands, compute, vector, store, Descriptor(Opcode::kEnd)};
}

TEST(PeCluster, ProductsOfHalvesAreThoseOfGolden) {
  if (VT_GuardBits == 0) GTEST_SKIP() << "no gradients of fx32";
  for (uint32_t seed = 1; seed <= 12; ++seed) {
    Bench bench(seed, seed % 3 != 0);
    for (int run = 0; run < 8; ++run) {
      bench.DrawGradients(kInput, 0x4000);
      const Program program = MultiplyHalves(bench);
      const std::vector<uint8_t> before = bench.memory();
      const Outcome outcome = bench.Run(program);
      ASSERT_TRUE(outcome.done) << "code " << outcome.code << " seed " << seed;
      bench.RunGolden(program, before);
      ASSERT_FALSE(HasFailure()) << "run " << run << " seed " << seed;
    }
  }
}

TEST(PeCluster, PayloadsThatComeWhileNoProgramRunsAreDropped) {
  Bench bench(1, false);
  for (int i = 0; i < 40; ++i) bench.BringToMesh(bench.Put(static_cast<uint32_t>(i * kFlitBytes)));
  bench.Idle(40);
  EXPECT_EQ(bench.waiting(), 0u);
  const Program program = RoundTrip(bench.random());
  const std::vector<uint8_t> before = bench.memory();
  ASSERT_TRUE(bench.Run(program).done);
  bench.RunGolden(program, before);
}

TEST(PeCluster, WaitingForTokensIsNoProgressAndReceivingIs) {
  Bench bench(1, false);
  bench.SetWatchdog(200);
  const Program program = {Take(3, 1), Descriptor(Opcode::kEnd)};
  const Outcome alone = bench.Run(program, 3000);
  EXPECT_TRUE(alone.error);
  EXPECT_EQ(alone.code, static_cast<int>(ErrorCode::kWatchdog));
  bench.trickle = true;
  const Outcome receiving = bench.Run(program, 3000);
  EXPECT_FALSE(receiving.error || receiving.done);
}

TEST(PeCluster, AFaultEndsAProgramThatWaitsForTokens) {
  Bench bench(1, false);
  bench.fault_at = 300;
  const Outcome outcome = bench.Run({Take(3, 1), Descriptor(Opcode::kEnd)}, 3000);
  EXPECT_TRUE(outcome.error);
  EXPECT_EQ(outcome.code, static_cast<int>(ErrorCode::kMesh));
  EXPECT_LT(outcome.cycles, 310);
}

TEST(PeCluster, A64thTokenEndsTheProgram) {
  Bench bench(1, true);
  Program program;
  Descriptor give(Opcode::kSend);
  give.Set(FieldId::kSendKind, static_cast<int>(SendKind::kPut));
  give.Set(FieldId::kPost, 1);
  give.Set(FieldId::kPostSem, 9);
  for (int i = 0; i < 63; ++i) program.push_back(give);
  program.push_back(Take(9, 63));
  program.push_back(Descriptor(Opcode::kEnd));
  EXPECT_TRUE(bench.Run(program).done);
  // The last ones give the 64th time to come.
  program.insert(program.begin(), 10, give);
  const Outcome outcome = bench.Run(program);
  EXPECT_EQ(outcome.code, static_cast<int>(ErrorCode::kSemaphore));
}

}  // namespace
}  // namespace vaultrain
