// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "unit/block_bench.h"

namespace vaultrain {
namespace {

constexpr int kFlitBytes = VT_LinkBits / 8;
constexpr int kWordBytes = VT_WordBits / 8;
constexpr uint32_t kSpadBytes = 1u << VT_SpadBits;
constexpr int kFlits = VT_WordBits / VT_LinkBits;
constexpr int kMeshes = 2;  // data, reduction

struct Flit {
  bool has_payload = true;
  bool post = false;
  int semaphore = 0;
  uint32_t address = 0;
  std::vector<uint8_t> payload;
};

// Two meshes that bring flits and a scratchpad that takes the writes, each as slow as it likes. The
// meshes write to their own halves of the scratchpad and give tokens of their own parity, so that
// the order of each can be followed.
class Bench {
 public:
  Bench(uint32_t seed, bool stalls)
      : dut_(&context_),
        seed_(seed),
        random_(seed),
        go_write_(random_, stalls),
        go_(kMeshes, Stalls(random_, stalls)) {
    rtl_ = RandomBytes(random_, kSpadBytes);
    model_ = rtl_;
    writer_.assign(kSpadBytes, 0);
    dut_.rx_valid_i = dut_.red_rx_valid_i = 0;
    Reset(dut_);
  }

  // Behind what mesh m brings already.
  void Bring(int m, const Flit& flit) { coming_[m].push_back(flit); }

  // Until all has come and the last word had its time to be written.
  void Drain() {
    for (int quiet = 0; quiet < 100; ++quiet) {
      if (!coming_[0].empty() || !coming_[1].empty()) quiet = 0;
      Cycle();
      if (::testing::Test::HasFailure()) return;
      if (cycle_ > 200000) {
        ADD_FAILURE() << "does not drain" << Where();
        return;
      }
    }
    for (int m = 0; m < kMeshes; ++m) {
      EXPECT_TRUE(open_[m].empty())
          << open_[m].size() << " tokens are missing, mesh " << m << Where();
    }
    for (uint32_t i = 0; i < kSpadBytes; ++i) {
      if (rtl_[i] == model_[i]) continue;
      ADD_FAILURE() << "scratchpad byte " << i << " rtl " << int{rtl_[i]} << " model "
                    << int{model_[i]} << Where();
      return;
    }
  }

  void Cycle() {
    bool valid[kMeshes];
    for (int m = 0; m < kMeshes; ++m) {
      // What is offered stays.
      offered_[m] = offered_[m] || (!coming_[m].empty() && go_[m].Go());
      valid[m] = offered_[m];
    }
    dut_.rx_valid_i = valid[0];
    dut_.red_rx_valid_i = valid[1];
    if (valid[0]) Drive(0, dut_.rx_flit_i);
    if (valid[1]) Drive(1, dut_.red_rx_flit_i);
    dut_.wr_ready_i = go_write_.Go();
    Settle(dut_);
    if (dut_.post_valid_o) CheckToken(dut_.post_sem_o);
    const bool ready[kMeshes] = {bool(dut_.rx_ready_o), bool(dut_.red_rx_ready_o)};
    if (dut_.wr_valid_o && dut_.wr_ready_i) {
      const std::vector<uint8_t> word = GetBytes(dut_.wr_data_o, 0, kWordBytes);
      for (int i = 0; i < kWordBytes; ++i) {
        if (GetBits(dut_.wr_mask_o, static_cast<size_t>(i * 8 / VT_Granule), 1)) {
          rtl_[dut_.wr_addr_o * kWordBytes + i] = word[i];
        }
      }
      ++writes_;
    }
    for (int m = 0; m < kMeshes; ++m) {
      held_up_[m] += valid[m] && !ready[m];
      if (!valid[m] || !ready[m]) continue;
      Accept(m);
      coming_[m].pop_front();
      offered_[m] = false;
    }
    Rise(dut_);
    ++cycle_;
  }

  // Random payload for an address in the half of mesh m.
  Flit Payload(int m, uint32_t address) {
    Flit flit;
    flit.address = address % (kSpadBytes / 2) + (m ? kSpadBytes / 2 : 0);
    flit.payload = RandomBytes(random_, kFlitBytes);
    return flit;
  }
  Flit Token(int m) {
    Flit flit;
    flit.has_payload = false;
    GiveToken(m, flit);
    return flit;
  }
  void GiveToken(int m, Flit& flit) {
    flit.post = true;
    flit.semaphore = static_cast<int>(random_() % 16) * 2 + m;
  }

  // Reset from here to the next call with true.
  void SetReset(bool out_of_reset) { dut_.rst_ni = out_of_reset; }
  bool ready() {
    Settle(dut_);
    return dut_.rx_ready_o && dut_.red_rx_ready_o;
  }
  std::mt19937& random() { return random_; }
  int held_up(int m) const { return held_up_[m]; }
  int writes() const { return writes_; }
  int tokens() const { return tokens_; }
  int cycle() const { return cycle_; }

 private:
  template <typename Port>
  void Drive(int m, Port& port) {
    const Flit& flit = coming_[m].front();
    const size_t post = m ? 8 : 11;
    PutBits(port, 0, 8, random_());  // routing, of no meaning here
    if (m == 0) PutBits(port, 8, 3, flit.has_payload ? 0 : 1);
    PutBits(port, post, 1, flit.post);
    PutBits(port, post + 1, 5, flit.post ? static_cast<uint64_t>(flit.semaphore) : random_());
    PutBits(port, post + 6, 24, flit.address);
    PutBytes(port, post + 30,
             flit.has_payload ? flit.payload : std::vector<uint8_t>(kFlitBytes, 0xee));
  }

  void Accept(int m) {
    const Flit& flit = coming_[m].front();
    const int n = ++accepted_[m];
    if (flit.has_payload) {
      for (int b = 0; b < kFlitBytes; ++b) {
        const uint32_t at = (flit.address + b) % kSpadBytes;
        model_[at] = flit.payload[b];
        writer_[at] = n;
        since_token_[m].push_back(at);
      }
    }
    if (flit.post) open_[m].push_back({n, flit.semaphore, std::move(since_token_[m])});
    if (flit.post) since_token_[m].clear();
  }

  // All that came before the token is written, unless something that came later is to overwrite it.
  void CheckToken(int semaphore) {
    const int m = semaphore % 2;
    ++tokens_;
    if (open_[m].empty()) {
      ADD_FAILURE() << "a token too many" << Where();
      return;
    }
    const Open open = std::move(open_[m].front());
    open_[m].pop_front();
    EXPECT_EQ(semaphore, open.semaphore) << Where();
    for (const uint32_t at : open.bytes) {
      if (writer_[at] > open.flit || rtl_[at] == model_[at]) continue;
      ADD_FAILURE() << "token of mesh " << m << " before byte " << at << " is written" << Where();
      return;
    }
  }

  std::string Where() const {
    return " cycle " + std::to_string(cycle_) + " seed " + std::to_string(seed_);
  }

  struct Open {
    int flit;
    int semaphore;
    std::vector<uint32_t> bytes;
  };

  VerilatedContext context_;
  Vdut dut_;
  uint32_t seed_;
  std::mt19937 random_;
  Stalls go_write_;
  std::vector<Stalls> go_;
  std::vector<uint8_t> rtl_, model_;
  std::vector<int> writer_;  // the flit of the byte's mesh that wrote it last
  std::array<std::deque<Flit>, kMeshes> coming_;
  std::array<std::deque<Open>, kMeshes> open_;  // tokens that are to come out
  std::array<std::vector<uint32_t>, kMeshes> since_token_;
  std::array<int, kMeshes> accepted_{};
  std::array<bool, kMeshes> offered_{};
  std::array<int, kMeshes> held_up_{};
  int writes_ = 0;
  int tokens_ = 0;
  int cycle_ = 0;
};

TEST(MeshReceive, WritesPayloadsAndGivesTokensBehindThemUnderRandomStalls) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Bench bench(seed, seed % 4 != 0);
    std::mt19937& random = bench.random();
    for (int round = 0; round < 20; ++round) {
      for (int m = 0; m < kMeshes; ++m) {
        uint32_t address = random();
        for (uint32_t n = random() % 100; n > 0; --n) {
          // Rows, jumps, and the same place again.
          if (random() % 8 == 0) address = random() % (random() % 2 ? kSpadBytes : 4 * kWordBytes);
          if (random() % 16 != 0) address += kFlitBytes;
          address = address / kFlitBytes * kFlitBytes;
          if (m == 0 && random() % 10 == 0) {
            bench.Bring(m, bench.Token(m));
            continue;
          }
          Flit flit = bench.Payload(m, address);
          if (random() % 10 == 0) bench.GiveToken(m, flit);
          bench.Bring(m, flit);
        }
      }
      bench.Drain();
      ASSERT_FALSE(HasFailure()) << "round " << round << " seed " << seed;
    }
    EXPECT_GT(bench.tokens(), 50) << "seed " << seed;
  }
}

TEST(MeshReceive, TakesAFlitEveryCycle) {
  for (const bool jump : {false, true}) {
    Bench bench(1, false);
    for (uint32_t i = 0; i < 1000; ++i) {
      Flit flit = bench.Payload(0, i * (jump ? 3 * kWordBytes : kFlitBytes));
      if (i % 50 == 49) bench.GiveToken(0, flit);
      bench.Bring(0, flit);
    }
    bench.Drain();
    EXPECT_EQ(bench.held_up(0), 0) << "jump " << jump;
    if (!jump) {
      EXPECT_LE(bench.writes(), 1000 / kFlits + 1000 / 50 + 1);
    }
    ASSERT_FALSE(HasFailure());
  }
}

TEST(MeshReceive, TakesAFlitEveryCycleOfBothMeshesOrAWordFromEachInTurn) {
  Bench bench(1, false);
  for (uint32_t i = 0; i < 1000; ++i) {
    for (int m = 0; m < kMeshes; ++m) bench.Bring(m, bench.Payload(m, i * kFlitBytes));
  }
  bench.Drain();
  for (int m = 0; m < kMeshes; ++m) {
    EXPECT_LE(bench.held_up(m), kFlits > 1 ? 2 : 1004) << "mesh " << m;
  }
  EXPECT_NEAR(bench.held_up(0), bench.held_up(1), 4);
}

TEST(MeshReceive, ATokenComesFiveCyclesAfterItsFlit) {
  Bench bench(1, false);
  Flit flit = bench.Payload(0, 0);
  bench.GiveToken(0, flit);
  bench.Bring(0, flit);
  const int begin = bench.cycle();
  while (bench.tokens() == 0 && bench.cycle() < begin + 20) bench.Cycle();
  EXPECT_LE(bench.cycle() - begin, 6);
}

TEST(MeshReceive, DropsWhatComesInReset) {
  Bench bench(1, false);
  bench.SetReset(false);
  for (uint32_t i = 0; i < 50; ++i) {
    EXPECT_TRUE(bench.ready());
    for (int m = 0; m < kMeshes; ++m) {
      Flit flit = bench.Payload(m, i * kFlitBytes);
      bench.GiveToken(m, flit);
      bench.Bring(m, flit);
    }
    bench.Cycle();
  }
  bench.SetReset(true);
  for (int i = 0; i < 50; ++i) bench.Cycle();
  EXPECT_EQ(bench.writes(), 0);
  EXPECT_EQ(bench.tokens(), 0);
}

}  // namespace
}  // namespace vaultrain
