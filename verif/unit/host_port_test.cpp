// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <optional>
#include <random>

#include "host_flit.h"

namespace vaultrain {
namespace {

constexpr int kColumns = VT_MeshX;
constexpr int kVaults = kColumns * VT_MeshY;
constexpr size_t kDepth = VT_Depth;
constexpr int kBeats = 8;
constexpr int kAccesses = 1 << VT_AccessBits;  // of a vault

uint64_t BeatOf(uint32_t access, int beat) {
  return (uint64_t{access} * kBeats + static_cast<uint64_t>(beat) + 1) * 0x9e3779b97f4a7c15u;
}
uint32_t MaskOf(uint64_t beat) { return static_cast<uint32_t>(beat >> 40) & 0xff; }
bool ErrorOf(uint64_t beat) { return beat >> 20 & 1; }

struct Options {
  uint32_t seed = 1;
  int stall = 0;        // chance in 256 of a mesh that takes no flit, of a gap between requests
  int max_latency = 1;  // of a vault, cycles
};

// The memory port on one side, mesh and vaults on the other. Reads and writes are queued by access
// of the module; the vaults answer with BeatOf and check that writes bring it.
class Bench {
 public:
  explicit Bench(Options options = {}) : dut(&context_), options_(options), random_(options.seed) {
    dut.rst_ni = 0;
    for (int i = 0; i < 3; ++i) Tick();
    dut.rst_ni = 1;
  }

  void Tick() {
    dut.clk_i = 0;
    Drive();
    dut.eval();
    if (dut.rst_ni) Sample();
    dut.clk_i = 1;
    dut.eval();
    ++cycle_;
  }
  void Run() {
    for (int n = 0; !(reads.empty() && writes.empty() && reads_out_.empty() && writes_out_.empty());
         ++n) {
      ASSERT_LT(n, 100000) << "hangs";
      Tick();
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
  uint64_t cycle() const { return cycle_; }

 private:
  struct Answer {
    HostFlit flit;
    uint64_t due;
  };

  bool Stalls() { return static_cast<int>(random_() % 256) < options_.stall; }

  void Drive() {
    dut.rd_req_valid_i = !reads.empty() && (rd_req_shown_ || !Stalls());
    if (!reads.empty()) dut.rd_req_addr_i = reads.front();
    dut.wr_req_valid_i = !writes.empty() && (wr_req_shown_ || !Stalls());
    if (!writes.empty()) dut.wr_req_addr_i = writes.front();
    // Data may come ahead of their request.
    dut.wr_data_valid_i = !data.empty() && (wr_data_shown_ || !Stalls());
    if (!data.empty()) {
      dut.wr_data_i = data.front();
      dut.wr_mask_i = MaskOf(data.front());
    }
    dut.tx_ready_i = !Stalls();
    dut.rx_valid_i = 0;
    if (forged) {
      dut.rx_valid_i = 1;
      PutFlit(*forged, dut.rx_flit_i);
      forged.reset();
      return;
    }
    // Reads and writes of a vault are answered each in order, in any order among them.
    for (auto* queue : {&data_back_, &acks_back_}) {
      if (queue->empty() || queue->front().due > cycle_ || Stalls() || dut.rx_valid_i) continue;
      dut.rx_valid_i = 1;
      PutFlit(queue->front().flit, dut.rx_flit_i);
      queue->pop_front();
    }
  }

  void Sample() {
    if (dut.rd_data_valid_o) {
      ASSERT_FALSE(reads_out_.empty()) << "data that nobody asked for";
      const uint64_t beat = BeatOf(reads_out_.front(), read_beat_);
      ASSERT_EQ(dut.rd_data_o, beat) << "access " << reads_out_.front() << " beat " << read_beat_;
      ASSERT_EQ(dut.rd_data_error_o != 0, ErrorOf(beat));
      ASSERT_EQ(dut.rd_data_last_o != 0, read_beat_ == kBeats - 1);
      if (++read_beat_ == kBeats) read_beat_ = 0, reads_out_.pop_front(), ++reads_done;
    }
    if (dut.wr_ack_valid_o) {
      ASSERT_FALSE(writes_out_.empty()) << "an acknowledgement too many";
      writes_out_.pop_front();
      ++writes_done;
    }
    errors += dut.error_o;
    bool rd_req_taken = false, wr_req_taken = false, wr_data_taken = false;
    if (dut.rd_req_valid_i && dut.rd_req_ready_o) {
      reads_out_.push_back(reads.front());
      reads.pop_front();
      rd_req_taken = true;
    }
    if (dut.wr_req_valid_i && dut.wr_req_ready_o) {
      writes_out_.push_back(writes.front());
      writes.pop_front();
      wr_req_taken = true;
    }
    if (dut.wr_data_valid_i && dut.wr_data_ready_o) {
      data.pop_front();
      wr_data_taken = true;
    }
    rd_req_shown_ = dut.rd_req_valid_i && !rd_req_taken;
    wr_req_shown_ = dut.wr_req_valid_i && !wr_req_taken;
    wr_data_shown_ = dut.wr_data_valid_i && !wr_data_taken;
    ASSERT_LE(reads_out_.size(), kDepth);
    ASSERT_LE(writes_out_.size(), kDepth);
    for (const uint32_t a : reads_out_) ASSERT_EQ(a / kAccesses, reads_out_[0] / kAccesses);
    for (const uint32_t a : writes_out_) ASSERT_EQ(a / kAccesses, writes_out_[0] / kAccesses);
    if (dut.tx_valid_o && dut.tx_ready_i) Take(GetFlit(dut.tx_flit_o));
  }

  void Take(const HostFlit& flit) {
    ++flits;
    ASSERT_EQ(flit.cast, 0u);
    ASSERT_LT(flit.x, static_cast<uint32_t>(kColumns));
    const uint32_t vault = flit.y * kColumns + flit.x;
    ASSERT_LT(vault, static_cast<uint32_t>(kVaults));
    const uint32_t access = vault * kAccesses + static_cast<uint32_t>(flit.payload);
    const uint64_t due = cycle_ + 1 + random_() % static_cast<uint32_t>(options_.max_latency);
    switch (flit.type) {
      case HostFlitType::kRead:
        for (int beat = 0; beat < kBeats; ++beat) {
          const uint64_t word = BeatOf(access, beat);
          data_back_.push_back(
              {{.type = HostFlitType::kData, .error = ErrorOf(word), .payload = word}, due});
        }
        break;
      case HostFlitType::kWrite:
        ASSERT_EQ(beats_left_, 0) << "the last write is not whole";
        beats_left_ = kBeats;
        write_ = access;
        break;
      case HostFlitType::kBeat: {
        ASSERT_GT(beats_left_, 0) << "a beat without a write";
        ASSERT_EQ(vault, write_ / kAccesses);
        const uint64_t word = BeatOf(write_, kBeats - beats_left_);
        ASSERT_EQ(flit.payload, word);
        ASSERT_EQ(flit.mask, MaskOf(word));
        if (--beats_left_ == 0) acks_back_.push_back({{.type = HostFlitType::kAck}, due});
        break;
      }
      default:
        FAIL() << "type " << static_cast<int>(flit.type);
    }
  }

  VerilatedContext context_;

 public:
  Vdut dut;
  std::deque<uint32_t> reads;
  std::deque<uint32_t> writes;
  std::deque<uint64_t> data;
  std::optional<HostFlit> forged;  // an answer of nobody
  int reads_done = 0, writes_done = 0, errors = 0, flits = 0;

  void QueueWrite(uint32_t access) {
    writes.push_back(access);
    for (int beat = 0; beat < kBeats; ++beat) data.push_back(BeatOf(access, beat));
  }

 private:
  Options options_;
  std::mt19937 random_;
  uint64_t cycle_ = 0;
  std::deque<uint32_t> reads_out_;
  std::deque<uint32_t> writes_out_;
  std::deque<Answer> data_back_;
  std::deque<Answer> acks_back_;
  bool rd_req_shown_ = false, wr_req_shown_ = false, wr_data_shown_ = false;
  int read_beat_ = 0;
  int beats_left_ = 0;
  uint32_t write_ = 0;
};

TEST(HostPort, EveryAccessReachesItsVaultAndIsAnsweredInOrder) {
  uint32_t seed = 1;
  for (const int stall : {0, 100, 220}) {
    for (const int latency : {1, 30, 200}) {
      Bench bench({seed, stall, latency});
      std::mt19937 random(seed++);
      uint32_t vault = 0;
      constexpr int kCount = 400;
      for (int i = 0; i < kCount; ++i) {
        if (random() % 4 == 0) vault = random() % kVaults;
        bench.reads.push_back(vault * kAccesses + random() % kAccesses);
        if (random() % 4 == 0) vault = random() % kVaults;
        bench.QueueWrite(vault * kAccesses + random() % kAccesses);
      }
      ASSERT_NO_FATAL_FAILURE(bench.Run()) << "seed " << seed - 1;
      EXPECT_EQ(bench.reads_done, kCount);
      EXPECT_EQ(bench.writes_done, kCount);
      EXPECT_EQ(bench.flits, kCount * (1 + 1 + kBeats));
      EXPECT_EQ(bench.errors, 0);
    }
  }
}

TEST(HostPort, StreamsWithinAVault) {
  constexpr int kCount = 100;
  {
    Bench bench({.max_latency = 8});
    for (int i = 0; i < kCount; ++i) bench.reads.push_back(kAccesses + i % kAccesses);
    const uint64_t start = bench.cycle();
    bench.Run();
    EXPECT_LE(bench.cycle() - start, kCount * kBeats + 30u);
  }
  {
    Bench bench({.max_latency = 8});
    for (int i = 0; i < kCount; ++i) bench.QueueWrite(kAccesses + i % kAccesses);
    const uint64_t start = bench.cycle();
    bench.Run();
    EXPECT_LE(bench.cycle() - start, kCount * (kBeats + 1) + 30u);
  }
}

TEST(HostPort, HoldLetsNoAccessBeginAndEveryOneEnd) {
  Bench bench({.max_latency = 20});
  for (uint32_t i = 0; i < 20; ++i) bench.reads.push_back(i), bench.QueueWrite(i);
  for (int i = 0; i < 15; ++i) bench.Tick();
  bench.dut.hold_i = 1;
  bench.Tick();
  const size_t reads = bench.reads.size();
  const size_t writes = bench.writes.size();
  ASSERT_GT(reads, 0u);
  ASSERT_GT(writes, 0u);
  for (int i = 0; i < 300; ++i) bench.Tick();
  EXPECT_EQ(bench.reads.size(), reads);
  EXPECT_EQ(bench.writes.size(), writes);
  EXPECT_EQ(bench.reads_done, 20 - static_cast<int>(reads)) << "those under way end";
  EXPECT_EQ(bench.writes_done, 20 - static_cast<int>(writes));
  bench.dut.hold_i = 0;
  bench.Run();
  EXPECT_EQ(bench.reads_done, 20);
  EXPECT_EQ(bench.writes_done, 20);
}

TEST(HostPort, AnAnswerThatNobodyAskedForIsAnError) {
  for (const HostFlitType type : {HostFlitType::kData, HostFlitType::kAck, HostFlitType::kRead}) {
    Bench bench;
    bench.forged = HostFlit{.type = type};
    for (int i = 0; i < 5; ++i) bench.Tick();
    EXPECT_EQ(bench.errors, 1) << static_cast<int>(type);
    bench.reads.push_back(7);
    bench.QueueWrite(9);
    bench.Run();
    EXPECT_EQ(bench.reads_done + bench.writes_done, 2) << "goes on";
  }
}

}  // namespace
}  // namespace vaultrain
