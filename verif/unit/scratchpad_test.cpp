// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>

#include "unit/block_bench.h"

namespace vaultrain {
namespace {

constexpr int kClients = 10;  // in order of precedence
constexpr int kLoad = 7;
constexpr bool kWrites[kClients] = {false, false, true, false, true,
                                    true,  false, true, false, false};
constexpr const char* kNames[kClients] = {"A",       "B",           "results",    "auxiliary",
                                          "receive", "lane stores", "lane loads", "load",
                                          "send",    "store"};
constexpr int kGranules = VT_WordBits / VT_Granule;

// The bank of a word: its number in digits of base Banks, folded.
int Bank(uint32_t address) {
  int bank = 0;
  for (; address != 0; address /= VT_Banks) bank ^= static_cast<int>(address % VT_Banks);
  return bank;
}

struct Request {
  bool valid = false;
  uint32_t address = 0;
  uint32_t mask = 0;
  uint64_t data = 0;
};

class Bench {
 public:
  explicit Bench(uint32_t seed) : dut_(&context_), seed_(seed), random_(seed) {
    dut_.a_valid_i = dut_.b_valid_i = dut_.result_valid_i = 0;
    dut_.aux_valid_i = dut_.load_valid_i = dut_.store_valid_i = 0;
    dut_.receive_valid_i = dut_.send_valid_i = 0;
    dut_.lane_wr_valid_i = dut_.lane_rd_valid_i = 0;
    Reset(dut_);
    model_.assign(VT_Words, 0);
    for (uint32_t w = 0; w < VT_Words; ++w) {
      std::array<Request, kClients> requests;
      requests[kLoad] = {true, w, static_cast<uint32_t>(LowBits(kGranules)), Draw()};
      Cycle(requests);
    }
  }

  // One cycle; which requests were taken.
  std::array<bool, kClients> Cycle(const std::array<Request, kClients>& r) {
    dut_.a_valid_i = r[0].valid;
    dut_.a_addr_i = r[0].address;
    dut_.b_valid_i = r[1].valid;
    dut_.b_addr_i = r[1].address;
    dut_.result_valid_i = r[2].valid;
    dut_.result_addr_i = r[2].address;
    dut_.result_mask_i = r[2].mask;
    dut_.result_data_i = r[2].data;
    dut_.aux_valid_i = r[3].valid;
    dut_.aux_addr_i = r[3].address;
    dut_.receive_valid_i = r[4].valid;
    dut_.receive_addr_i = r[4].address;
    dut_.receive_mask_i = r[4].mask;
    dut_.receive_data_i = r[4].data;
    dut_.lane_wr_valid_i = r[5].valid;
    dut_.lane_wr_addr_i = r[5].address;
    dut_.lane_wr_mask_i = r[5].mask;
    dut_.lane_wr_data_i = r[5].data;
    dut_.lane_rd_valid_i = r[6].valid;
    dut_.lane_rd_addr_i = r[6].address;
    dut_.load_valid_i = r[7].valid;
    dut_.load_addr_i = r[7].address;
    dut_.load_mask_i = r[7].mask;
    dut_.load_data_i = r[7].data;
    dut_.send_valid_i = r[8].valid;
    dut_.send_addr_i = r[8].address;
    dut_.store_valid_i = r[9].valid;
    dut_.store_addr_i = r[9].address;
    Settle(dut_);
    const std::array<bool, kClients> ready = {
        bool(dut_.a_ready_o),       bool(dut_.b_ready_o),       bool(dut_.result_ready_o),
        bool(dut_.aux_ready_o),     bool(dut_.receive_ready_o), bool(dut_.lane_wr_ready_o),
        bool(dut_.lane_rd_ready_o), bool(dut_.load_ready_o),    bool(dut_.send_ready_o),
        bool(dut_.store_ready_o)};
    const std::array<bool, kClients> valid = {bool(dut_.a_data_valid_o),
                                              bool(dut_.b_data_valid_o),
                                              false,
                                              bool(dut_.aux_data_valid_o),
                                              false,
                                              false,
                                              bool(dut_.lane_rd_data_valid_o),
                                              false,
                                              bool(dut_.send_data_valid_o),
                                              bool(dut_.store_data_valid_o)};
    const std::array<uint64_t, kClients> data = {
        dut_.a_data_o,    dut_.b_data_o,    0, dut_.aux_data_o, 0, 0, dut_.lane_rd_data_o, 0,
        dut_.send_data_o, dut_.store_data_o};
    std::array<bool, kClients> taken{};
    uint32_t used = 0;
    for (int c = 0; c < kClients; ++c) {
      EXPECT_EQ(valid[c], due_[c].has_value()) << kNames[c] << Where();
      if (due_[c]) {
        EXPECT_EQ(data[c], *due_[c]) << kNames[c] << Where();
      }
      due_[c].reset();
      if (!r[c].valid) continue;
      const uint32_t bank = 1u << Bank(r[c].address);
      EXPECT_EQ(ready[c], !(used & bank)) << kNames[c] << " word " << r[c].address << Where();
      taken[c] = ready[c];
      used |= bank;
    }
    for (int c = 0; c < kClients; ++c) {
      if (!taken[c]) continue;
      uint64_t& word = model_[r[c].address];
      if (!kWrites[c]) due_[c] = word;
      for (int g = 0; kWrites[c] && g < kGranules; ++g) {
        const uint64_t bits = LowBits(VT_Granule) << (g * VT_Granule);
        if (r[c].mask >> g & 1) word = (word & ~bits) | (r[c].data & bits);
      }
    }
    Rise(dut_);
    ++cycle_;
    return taken;
  }

  uint64_t Draw() { return (uint64_t{random_()} << 32 | random_()) & LowBits(VT_WordBits); }
  std::mt19937& random() { return random_; }

 private:
  std::string Where() const {
    return " cycle " + std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  std::vector<uint64_t> model_;
  std::array<std::optional<uint64_t>, kClients> due_;
  int cycle_ = 0;
};

TEST(Scratchpad, ServesTenClientsInTheirPrecedenceWithoutLosingABit) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    Bench bench(seed);
    std::mt19937& random = bench.random();
    std::array<Request, kClients> requests;
    std::array<int, kClients> taken{};
    for (int cycle = 0; cycle < 5000; ++cycle) {
      for (int c = 0; c < kClients; ++c) {
        if (requests[c].valid) continue;  // held until taken
        requests[c].valid = random() % (1 + seed) == 0;
        requests[c].address = random() % (seed % 2 ? VT_Words : 16);
        requests[c].mask = random() & LowBits(kGranules);
        requests[c].data = bench.Draw();
      }
      const auto done = bench.Cycle(requests);
      for (int c = 0; c < kClients; ++c) {
        if (!done[c]) continue;
        requests[c].valid = false;
        ++taken[c];
      }
      ASSERT_FALSE(HasFailure());
    }
    for (int c = 0; c < kClients; ++c) EXPECT_GT(taken[c], 20) << kNames[c] << " seed " << seed;
  }
}

// A and B one step apart on the same stride: B is held up by one word in Banks at most.
TEST(Scratchpad, StridesOfAPowerOfTwoSpreadOverAllBanks) {
  Bench bench(1);
  for (uint32_t stride = 1; stride <= VT_Words / VT_Banks; stride *= 2) {
    const uint32_t steps = VT_Words / stride - 1;
    uint32_t conflicts = 0;
    for (uint32_t i = 0; i < steps; ++i) {
      std::array<Request, kClients> requests;
      requests[0] = {true, i * stride, 0, 0};
      requests[1] = {true, (i + 1) * stride, 0, 0};
      conflicts += !bench.Cycle(requests)[1];
    }
    EXPECT_LE(conflicts * VT_Banks, steps) << "stride " << stride;
  }
}

}  // namespace
}  // namespace vaultrain
