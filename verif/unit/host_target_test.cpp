// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "host_flit.h"

namespace vaultrain {
namespace {

constexpr int kDepth = VT_Depth;
constexpr int kBeats = 8;
constexpr int kAccesses = 1 << VT_AccessBits;

using Access = std::array<uint64_t, kBeats>;

struct Options {
  uint32_t seed = 1;
  int stall = 0;  // chance in 256, each cycle: no flit comes, the mesh or the vault is not ready
  int max_latency = 1;  // of the vault, cycles
};

// A host that keeps to its limits on one side, a vault on the other.
class Bench {
 public:
  explicit Bench(Options options = {}) : dut(&context_), options_(options), random_(options.seed) {
    for (Access& access : memory) {
      for (uint64_t& beat : access) beat = Wide();
    }
    dut.rst_ni = 0;
    for (int i = 0; i < 3; ++i) Tick();
    dut.rst_ni = 1;
  }

  void QueueRead(uint32_t access) { reads_.push_back(access); }
  void QueueWrite(uint32_t access, const Access& beats, uint32_t mask) {
    writes_.push_back({access, beats, mask});
  }
  bool Idle() const {
    return reads_.empty() && writes_.empty() && reads_out_.empty() && writes_out_ == 0;
  }
  void Run() {
    for (int n = 0; !Idle(); ++n) {
      ASSERT_LT(n, 200000) << "hangs";
      Tick();
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }

  void Tick() {
    dut.clk_i = 0;
    if (dut.rst_ni) Drive();
    dut.eval();
    if (dut.rst_ni) Sample();
    dut.clk_i = 1;
    dut.eval();
    ++cycle;
  }

  uint64_t Wide() { return uint64_t{random_()} << 32 | random_(); }

 private:
  struct Write {
    uint32_t access;
    Access beats;
    uint32_t mask;
  };
  struct Pending {
    uint32_t access;
    uint64_t due;
  };

  bool Stalls() { return static_cast<int>(random_() % 256) < options_.stall; }

  void Drive() {
    dut.rx_valid_i = 0;
    HostFlit flit;
    const bool beats = write_beat_ >= 0;
    const bool may_write = beats || (!writes_.empty() && writes_out_ < kDepth);
    const bool may_read = !reads_.empty() && reads_out_.size() < kDepth;
    if (forge) {
      dut.rx_valid_i = 1;
      PutFlit(*forge, dut.rx_flit_i);
      forge.reset();
    } else if ((may_write || may_read) && !Stalls()) {
      if (may_write && (!may_read || random_() % 2)) {
        const Write& write = writes_.front();
        flit = beats ? HostFlit{.type = HostFlitType::kBeat,
                                .mask = write.mask,
                                .payload = write.beats[static_cast<size_t>(write_beat_)]}
                     : HostFlit{.type = HostFlitType::kWrite, .payload = write.access};
        if (!beats) ++writes_out_;
        if (++write_beat_ == kBeats) {
          write_beat_ = -1;
          sent_.push_back(write);
          writes_.pop_front();
        }
      } else {
        flit = HostFlit{.type = HostFlitType::kRead, .payload = reads_.front()};
        reads_out_.push_back(reads_.front());
        reads_.pop_front();
      }
      dut.rx_valid_i = 1;
      PutFlit(flit, dut.rx_flit_i);
    }
    dut.tx_ready_i = !block_mesh && !Stalls();
    // The vault.
    dut.rd_req_ready_i = !Stalls();
    dut.rd_data_valid_i = 0;
    if (!vault_reads_.empty() && vault_reads_.front().due <= cycle) {
      const uint64_t beat = memory[vault_reads_.front().access][static_cast<size_t>(read_beat_)];
      dut.rd_data_valid_i = 1;
      dut.rd_data_i = beat;
      dut.rd_data_error_i = beat & 1;
      if (++read_beat_ == kBeats) read_beat_ = 0, vault_reads_.pop_front();
    }
    dut.wr_req_ready_i = !Stalls();
    dut.wr_data_ready_i = beats_wanted_ > 0 && !Stalls();
    dut.wr_ack_valid_i = 0;
    if (!vault_acks_.empty() && vault_acks_.front().due <= cycle) {
      dut.wr_ack_valid_i = 1;
      vault_acks_.pop_front();
    }
  }

  void Sample() {
    errors += dut.error_o;
    if (dut.rd_req_valid_o && dut.rd_req_ready_i) {
      vault_reads_.push_back({dut.rd_req_addr_o, cycle + Latency()});
    }
    if (dut.wr_req_valid_o && dut.wr_req_ready_i) {
      vault_writes_.push_back(dut.wr_req_addr_o);
      beats_wanted_ += kBeats;
      ++asked_;
      ASSERT_LE(static_cast<size_t>(asked_), sent_total_ + sent_.size())
          << "a write is asked for before its beats are here";
    }
    // A write once asked for never keeps the vault waiting.
    if (beats_wanted_ > 0 && dut.wr_data_ready_i) {
      if (!dut.wr_data_valid_o) {
        ASSERT_LE(++waits_, 2) << "the vault waits for a beat";
      } else {
        waits_ = 0;
        TakeBeat();
      }
    }
    if (dut.tx_valid_o && dut.tx_ready_i) TakeAnswer(GetFlit(dut.tx_flit_o));
  }

  void TakeBeat() {
    Access& access = memory[vault_writes_.front()];
    const auto beat = static_cast<size_t>(vault_beat_);
    for (int lane = 0; lane < 8; ++lane) {
      if ((dut.wr_mask_o >> lane & 1) == 0) continue;
      const uint64_t mask = uint64_t{0xff} << (8 * lane);
      access[beat] = (access[beat] & ~mask) | (dut.wr_data_o & mask);
    }
    --beats_wanted_;
    if (++vault_beat_ == kBeats) {
      vault_beat_ = 0;
      vault_acks_.push_back({vault_writes_.front(), cycle + Latency()});
      vault_writes_.pop_front();
    }
  }

  void TakeAnswer(const HostFlit& flit) {
    ASSERT_EQ(flit.x | flit.y | flit.cast, 0u) << "answers go to (0, 0)";
    if (flit.type == HostFlitType::kAck) {
      ASSERT_GT(writes_out_, 0);
      --writes_out_;
      ++acks;
      ++sent_total_;
      sent_.pop_front();
      return;
    }
    ASSERT_EQ(flit.type, HostFlitType::kData);
    ASSERT_FALSE(reads_out_.empty());
    const uint64_t beat = memory[reads_out_.front()][static_cast<size_t>(answer_beat_)];
    ASSERT_EQ(flit.payload, beat) << "access " << reads_out_.front() << " beat " << answer_beat_;
    ASSERT_EQ(flit.error, (beat & 1) != 0);
    if (++answer_beat_ == kBeats) answer_beat_ = 0, reads_out_.pop_front(), ++reads_done;
  }

  uint64_t Latency() { return 1 + random_() % static_cast<uint32_t>(options_.max_latency); }

  VerilatedContext context_;

 public:
  Vdut dut;
  std::vector<Access> memory = std::vector<Access>(kAccesses);
  std::optional<HostFlit> forge;
  bool block_mesh = false;
  int reads_done = 0, acks = 0, errors = 0;
  uint64_t cycle = 0;

 private:
  Options options_;
  std::mt19937 random_;
  std::deque<uint32_t> reads_;
  std::deque<Write> writes_;
  std::deque<Write> sent_;
  std::deque<uint32_t> reads_out_;
  int writes_out_ = 0;
  int write_beat_ = -1;  // of the write whose beats are on their way; -1 none
  int answer_beat_ = 0;
  size_t sent_total_ = 0;
  int asked_ = 0;
  int waits_ = 0;
  std::deque<Pending> vault_reads_;
  std::deque<uint32_t> vault_writes_;
  std::deque<Pending> vault_acks_;
  int read_beat_ = 0;
  int vault_beat_ = 0;
  int beats_wanted_ = 0;
};

TEST(HostTarget, ServesReadsAndWritesOfAHostWithinItsLimits) {
  uint32_t seed = 1;
  for (const int stall : {0, 60, 200}) {
    for (const int latency : {1, 40}) {
      Bench bench({seed, stall, latency});
      std::mt19937 random(seed++);
      std::vector<Access> golden = bench.memory;
      int reads = 0, writes = 0;
      for (int round = 0; round < 60; ++round) {
        // Reads in one half and writes in the other, which change places.
        const uint32_t half = round % 2 * kAccesses / 2;
        for (int i = random() % 8; i >= 0; --i, ++reads) {
          bench.QueueRead(half + random() % (kAccesses / 2));
        }
        for (int i = random() % 8; i >= 0; --i, ++writes) {
          const uint32_t access = kAccesses / 2 - half + random() % (kAccesses / 2);
          Access beats;
          for (uint64_t& beat : beats) beat = bench.Wide();
          const uint32_t mask = random() % 3 == 0 ? random() & 0xff : 0xff;
          for (int i = 0; i < kBeats * 8; ++i) {
            if ((mask >> (i % 8) & 1) == 0) continue;
            const uint64_t byte = uint64_t{0xff} << (8 * (i % 8));
            uint64_t& word = golden[access][static_cast<size_t>(i / 8)];
            word = (word & ~byte) | (beats[static_cast<size_t>(i / 8)] & byte);
          }
          bench.QueueWrite(access, beats, mask);
        }
        ASSERT_NO_FATAL_FAILURE(bench.Run()) << "seed " << seed - 1 << " round " << round;
        ASSERT_EQ(bench.memory, golden) << "seed " << seed - 1 << " round " << round;
      }
      EXPECT_EQ(bench.reads_done, reads);
      EXPECT_EQ(bench.acks, writes);
      EXPECT_EQ(bench.errors, 0);
    }
  }
}

TEST(HostTarget, HoldsAllAnswersWhileTheMeshTakesNone) {
  Bench bench;
  bench.block_mesh = true;
  for (uint32_t i = 0; i < 2 * kDepth; ++i) bench.QueueRead(i), bench.QueueWrite(40 + i, {}, 0xff);
  for (int i = 0; i < 500; ++i) bench.Tick();
  EXPECT_EQ(bench.reads_done + bench.acks, 0);
  bench.block_mesh = false;
  bench.Run();
  EXPECT_EQ(bench.reads_done, 2 * kDepth);
  EXPECT_EQ(bench.acks, 2 * kDepth);
  EXPECT_EQ(bench.errors, 0);
}

TEST(HostTarget, ReportsAFlitThatItDoesNotKnow) {
  Bench bench;
  bench.forge = HostFlit{.type = static_cast<HostFlitType>(7)};
  for (int i = 0; i < 4; ++i) bench.Tick();
  EXPECT_EQ(bench.errors, 1);
}

TEST(HostTarget, ReportsAFlitThatItHasNoRoomFor) {
  Bench crowded({.stall = 255});  // the vault hardly takes anything
  for (int i = 0; i < 2 * kDepth; ++i) {
    crowded.forge = HostFlit{.type = HostFlitType::kWrite};
    crowded.Tick();
  }
  for (int i = 0; i < 4; ++i) crowded.Tick();
  EXPECT_EQ(crowded.errors, kDepth);
}

}  // namespace
}  // namespace vaultrain
