// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "unit/block_bench.h"
#include "vaultrain/isa.h"

namespace vaultrain {
namespace {

using isa::Descriptor;
using isa::FieldId;

constexpr uint32_t kBeatBytes = VT_BeatBits / 8;
constexpr uint32_t kWordBytes = VT_WordBits / 8;
constexpr uint32_t kSpadBytes = 1u << VT_SpadBits;
constexpr uint32_t kMemBytes = 1u << VT_MemBits;

struct Store {
  uint32_t rows = 1, row_accesses = 1, dram_addr = 0, dram_pitch = 0, spad_addr = 0, spad_pitch = 0;
  int tag = 0;
  uint32_t signal = 0;

  Descriptor Encode() const {
    Descriptor d(isa::Opcode::kStore);
    d.Set(FieldId::kTag, tag);
    d.Set(FieldId::kSignal, signal);
    d.Set(FieldId::kDramAddr, dram_addr);
    d.Set(FieldId::kRows, rows);
    d.Set(FieldId::kRowAccesses, row_accesses);
    d.Set(FieldId::kDramPitch, dram_pitch);
    d.Set(FieldId::kSpadAddr, spad_addr);
    d.Set(FieldId::kSpadPitch, spad_pitch);
    return d;
  }
};

class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_job_(random_, stalls),
        go_read_(random_, stalls),
        go_request_(random_, stalls),
        go_data_(random_, stalls),
        go_ack_(random_, stalls) {
    spad_ = RandomBytes(random_, kSpadBytes);
    rtl_.assign(kMemBytes, 0);
    expected_ = rtl_;
    dut_.job_valid_i = dut_.rd_data_valid_i = dut_.wr_ack_valid_i = dut_.halt_i = 0;
    Reset(dut_);
  }

  // Runs the stores and compares the memories; returns the cycles up to the last beat.
  int Run(const std::vector<Store>& stores) {
    std::deque<Store> jobs(stores.begin(), stores.end());
    std::deque<Store> open = jobs;
    for (const Store& s : stores) {
      for (uint32_t r = 0; r < s.rows; ++r) {
        for (uint32_t i = 0; i < s.row_accesses * 64; ++i) {
          expected_[(s.dram_addr + r * s.dram_pitch + i) % kMemBytes] =
              spad_[(s.spad_addr + r * s.spad_pitch + i) % kSpadBytes];
        }
      }
    }
    const int begin = cycle_;
    int last_beat = cycle_;
    int still = 0;
    uint32_t to_ack = 0;  // accesses of the oldest open store without acknowledgement
    if (!open.empty()) to_ack = open.front().rows * open.front().row_accesses;
    bool offered = false;
    while (!open.empty()) {
      dut_.job_valid_i = !jobs.empty() && (offered || go_job_.Go());
      offered = dut_.job_valid_i;
      if (offered) PutBytes(dut_.job_i, 0, jobs.front().Encode().bytes());
      dut_.rd_ready_i = go_read_.Go();
      dut_.rd_data_valid_i = read_.has_value();
      if (read_) {
        PutBytes(dut_.rd_data_i, 0, std::span(spad_).subspan(*read_ * kWordBytes, kWordBytes));
      } else {
        PutBits(dut_.rd_data_i, 0, 32, random_());
      }
      dut_.wr_req_ready_i = requests_.size() < 8 && go_request_.Go();
      dut_.wr_data_ready_i = !requests_.empty() && go_data_.Go();
      dut_.wr_ack_valid_i = written_ > 0 && go_ack_.Go();
      Settle(dut_);
      EXPECT_EQ(dut_.idle_o, requests_.empty() && written_ == 0) << Where();
      if (dut_.done_valid_o) {
        EXPECT_EQ(to_ack, 0u) << "done before its last acknowledgement" << Where();
        EXPECT_EQ(static_cast<int>(dut_.done_tag_o), open.front().tag) << Where();
        EXPECT_EQ(dut_.done_signal_o, open.front().signal) << Where();
        open.pop_front();
        to_ack = open.empty() ? 0 : open.front().rows * open.front().row_accesses;
        still = 0;
      }
      if (dut_.wr_ack_valid_i) {
        --written_;
        --to_ack;
      }
      if (dut_.wr_data_valid_o && requests_.empty())
        ADD_FAILURE() << "a beat without request" << Where();
      if (dut_.wr_data_valid_o && dut_.wr_data_ready_i) {
        const std::vector<uint8_t> beat = GetBytes(dut_.wr_data_o, 0, kBeatBytes);
        for (uint32_t i = 0; i < kBeatBytes; ++i) {
          if (dut_.wr_mask_o >> i & 1)
            rtl_[(requests_.front() + beat_ * kBeatBytes + i) % kMemBytes] = beat[i];
        }
        if (++beat_ == VT_Beats) {
          beat_ = 0;
          requests_.pop_front();
          ++written_;
        }
        last_beat = cycle_;
        still = 0;
      }
      if (dut_.wr_req_valid_o && dut_.wr_req_ready_i) {
        requests_.push_back(static_cast<uint32_t>(dut_.wr_req_addr_o) * 64);
      }
      read_.reset();
      if (dut_.rd_valid_o && dut_.rd_ready_i) read_ = dut_.rd_addr_o;
      if (dut_.job_ready_o) {
        jobs.pop_front();
        offered = false;
      }
      Rise(dut_);
      ++cycle_;
      if (++still > 3000) {
        ADD_FAILURE() << "no beat for 3000 cycles, " << open.size() << " stores to come" << Where();
        return 0;
      }
    }
    for (uint32_t i = 0; i < kMemBytes; ++i) {
      if (rtl_[i] == expected_[i]) continue;
      std::string text;
      for (const Store& store : stores) text += isa::ToText(store.Encode()) + "\n";
      ADD_FAILURE() << "memory byte " << i << " rtl " << int{rtl_[i]} << " model "
                    << int{expected_[i]} << " after " << text << Where();
      break;
    }
    return last_beat - begin + 1;
  }

  std::mt19937& random() { return random_; }

 private:
  std::string Where() const {
    return " cycle " + std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  Stalls go_job_, go_read_, go_request_, go_data_, go_ack_;
  std::vector<uint8_t> spad_, rtl_, expected_;
  std::optional<uint32_t> read_;
  std::deque<uint32_t> requests_;  // addresses whose beats are still to come
  int beat_ = 0;
  int written_ = 0;  // accesses without acknowledgement
  int cycle_ = 0;
};

TEST(DmaStore, WritesEveryTileUnderRandomStalls) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    Bench bench(seed, seed % 3 != 0);
    std::mt19937& random = bench.random();
    for (int round = 0; round < 15; ++round) {
      std::vector<Store> stores(6);
      for (int i = 0; i < 6; ++i) {
        Store& s = stores[i];
        s.rows = random() % 3 ? 1 + random() % 6 : 1;
        s.row_accesses = 1 + random() % 4;
        s.dram_addr = random() % (kMemBytes / 2) / 64 * 64;
        s.dram_pitch = random() % 4096 / 64 * 64;
        s.spad_addr = random() % kSpadBytes / kWordBytes * kWordBytes;
        s.spad_pitch = random() % 2048 / kWordBytes * kWordBytes;
        s.tag = static_cast<int>(random() % 64);
        s.signal = random() % (1u << isa::kEngines);
      }
      bench.Run(stores);
      ASSERT_FALSE(HasFailure()) << "round " << round << " seed " << seed;
    }
  }
}

TEST(DmaStore, MovesABeatEveryCycle) {
  Bench bench(1, false);
  Store store;
  store.rows = 16;
  store.row_accesses = 4;
  store.dram_pitch = 1024;
  store.spad_pitch = 256;
  const int beats = static_cast<int>(store.rows * store.row_accesses) * VT_Beats;
  const int one = bench.Run({store});
  const int three = bench.Run({store, store, store});
  std::printf("%d beats, %d cycles alone, %.1f for each that follows\n", beats, one,
              (three - one) / 2.0);
  EXPECT_LE(one, beats + 8);
  EXPECT_LE(three, 3 * (beats + 8));
}

}  // namespace
}  // namespace vaultrain
