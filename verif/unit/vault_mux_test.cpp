// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Three read and two write clients on the mux, a model of the controller's port behind it.

#include <Vdut.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <random>

namespace vaultrain {
namespace {

constexpr int kReaders = 3;
constexpr int kWriters = 2;
constexpr int kBeats = 8;
constexpr int kAddrBits = 21;
constexpr int kClientBits = 2;

struct Request {
  uint32_t addr = 0;
  uint32_t id = 0;
};
struct Pass {
  Request request;
  int client;
  uint32_t carried_id;
  std::deque<uint64_t> data;
};

class Mux {
 public:
  Mux(uint32_t seed, int client_stall, int vault_stall)
      : dut_(&context_), random_(seed), client_stall_(client_stall), vault_stall_(vault_stall) {
    dut_.rst_ni = 0;
    for (int edge = 0; edge < 6; ++edge) {
      dut_.clk_i = edge & 1;
      dut_.eval();
    }
    dut_.rst_ni = 1;
  }

  bool Percent(int percent) { return static_cast<int>(random_() % 100) < percent; }

  void Cycle() {
    dut_.clk_i = 0;
    // Clients offer and keep their offers.
    for (int c = 0; c < kReaders; ++c) {
      if (!read_offered_[c] && !Percent(client_stall_)) {
        read_offered_[c] = true;
        read_offer_[c] = {static_cast<uint32_t>(random_() % (1 << kAddrBits)),
                          static_cast<uint32_t>(random_() % 4)};
      }
    }
    for (int c = 0; c < kWriters; ++c) {
      if (!write_offered_[c] && !Percent(client_stall_)) {
        write_offered_[c] = true;
        write_offer_[c] = {static_cast<uint32_t>(random_() % (1 << kAddrBits)),
                           static_cast<uint32_t>(random_() % 4)};
      }
      // Data may be offered as soon as its request is.
      if (!data_offered_[c] && !to_send_[c].empty() && !Percent(client_stall_))
        data_offered_[c] = true;
    }
    uint64_t read_addr = 0, write_addr = 0, read_id = 0, write_id = 0;
    dut_.crd_req_valid_i = dut_.cwr_req_valid_i = dut_.cwr_data_valid_i = 0;
    for (int c = 0; c < kReaders; ++c) {
      dut_.crd_req_valid_i |= read_offered_[c] << c;
      read_addr |= uint64_t(read_offer_[c].addr) << (c * kAddrBits);
      read_id |= uint64_t(read_offer_[c].id) << (c * kClientBits);
    }
    dut_.cwr_mask_i = 0;
    for (int c = 0; c < kWriters; ++c) {
      dut_.cwr_req_valid_i |= write_offered_[c] << c;
      dut_.cwr_data_valid_i |= data_offered_[c] << c;
      write_addr |= uint64_t(write_offer_[c].addr) << (c * kAddrBits);
      write_id |= uint64_t(write_offer_[c].id) << (c * kClientBits);
      uint64_t word = to_send_[c].empty() ? 0 : to_send_[c].front();
      dut_.cwr_data_i[2 * c] = static_cast<uint32_t>(word);
      dut_.cwr_data_i[2 * c + 1] = static_cast<uint32_t>(word >> 32);
      dut_.cwr_mask_i |= static_cast<uint32_t>(word & 0xff) << (8 * c);
    }
    dut_.crd_req_addr_i = read_addr;
    dut_.crd_req_id_i = read_id;
    dut_.cwr_req_addr_i = write_addr;
    dut_.cwr_req_id_i = write_id;
    // The port behind.
    dut_.rd_req_ready_i = !Percent(vault_stall_);
    dut_.wr_req_ready_i = !Percent(vault_stall_);
    dut_.wr_data_ready_i = lack_ != 0 && !Percent(vault_stall_);
    dut_.rd_data_valid_i = !reads_.empty() && !Percent(vault_stall_);
    if (dut_.rd_data_valid_i) {
      dut_.rd_data_i = reads_.front().request.addr * 1000003ull + static_cast<uint64_t>(read_beat_);
      dut_.rd_data_id_i = reads_.front().carried_id;
      dut_.rd_data_last_i = read_beat_ == kBeats - 1;
    }
    dut_.wr_ack_valid_i = !complete_.empty() && !Percent(vault_stall_);
    if (dut_.wr_ack_valid_i) dut_.wr_ack_id_i = complete_.front().carried_id;
    dut_.eval();
    Check();
    dut_.clk_i = 1;
    dut_.eval();
  }

  void Check() {
    // Read requests.
    int ready = dut_.crd_req_ready_o & dut_.crd_req_valid_i;
    if (dut_.rd_req_valid_o && dut_.rd_req_ready_i) {
      ASSERT_EQ(__builtin_popcount(ready), 1);
      int client = __builtin_ctz(ready);
      ASSERT_EQ(dut_.rd_req_addr_o, read_offer_[client].addr);
      reads_.push_back({read_offer_[client], client, dut_.rd_req_id_o, {}});
      read_offered_[client] = false;
      Served(client, dut_.crd_req_valid_i, read_passed_over_);
      held_addr_ = -1;
    } else {
      ASSERT_EQ(ready, 0);
      ASSERT_EQ(dut_.rd_req_valid_o, dut_.crd_req_valid_i != 0);
      // An offer that is not taken does not change.
      if (dut_.rd_req_valid_o) {
        if (held_addr_ >= 0) {
          ASSERT_EQ(dut_.rd_req_addr_o, held_addr_);
        }
        held_addr_ = dut_.rd_req_addr_o;
      }
    }
    // Read data.
    if (dut_.rd_data_valid_i) {
      const Pass& pass = reads_.front();
      ASSERT_EQ(dut_.crd_data_valid_o, 1 << pass.client);
      ASSERT_EQ(dut_.crd_data_id_o, pass.request.id);
      ASSERT_EQ(dut_.crd_data_o, dut_.rd_data_i);
      ASSERT_EQ(dut_.crd_data_last_o, read_beat_ == kBeats - 1);
      ++served_reads_[pass.client];
      if (++read_beat_ == kBeats) {
        read_beat_ = 0;
        reads_.pop_front();
      }
    } else {
      ASSERT_EQ(dut_.crd_data_valid_o, 0);
    }
    // Write data before requests: a request taken now brings data from the next cycle on.
    int data_ready = dut_.cwr_data_ready_o & dut_.cwr_data_valid_i;
    if (dut_.wr_data_valid_o && dut_.wr_data_ready_i) {
      ASSERT_EQ(__builtin_popcount(data_ready), 1);
      int client = __builtin_ctz(data_ready);
      ASSERT_FALSE(writes_.empty());
      Pass& pass = writes_[0];
      ASSERT_EQ(client, pass.client) << "data of the wrong client";
      ASSERT_EQ(dut_.wr_data_o, pass.data.front());
      ASSERT_EQ(dut_.wr_mask_o, pass.data.front() & 0xff);
      pass.data.pop_front();
      to_send_[client].pop_front();
      data_offered_[client] = false;
      if (pass.data.empty()) {
        complete_.push_back(pass);
        writes_.pop_front();
        --lack_;
      }
    } else {
      ASSERT_EQ(data_ready, 0);
    }
    if (dut_.wr_ack_valid_i) {
      ASSERT_EQ(dut_.cwr_ack_valid_o, 1 << complete_.front().client);
      ASSERT_EQ(dut_.cwr_ack_id_o, complete_.front().request.id);
      ++served_writes_[complete_.front().client];
      complete_.pop_front();
    } else {
      ASSERT_EQ(dut_.cwr_ack_valid_o, 0);
    }
    int write_ready = dut_.cwr_req_ready_o & dut_.cwr_req_valid_i;
    if (dut_.wr_req_valid_o && dut_.wr_req_ready_i) {
      ASSERT_EQ(__builtin_popcount(write_ready), 1);
      int client = __builtin_ctz(write_ready);
      ASSERT_EQ(dut_.wr_req_addr_o, write_offer_[client].addr);
      Pass pass{write_offer_[client], client, dut_.wr_req_id_o, {}};
      for (int beat = 0; beat < kBeats; ++beat) {
        pass.data.push_back(uint64_t(random_()) << 32 | random_());
        to_send_[client].push_back(pass.data.back());
      }
      writes_.push_back(pass);
      ++lack_;
      write_offered_[client] = false;
      Served(client, dut_.cwr_req_valid_i, write_passed_over_);
    } else {
      ASSERT_EQ(write_ready, 0);
    }
  }

  // Counts how often a waiting client saw others served.
  template <size_t N>
  void Served(int client, int valid, std::array<int, N>& passed_over) {
    for (int c = 0; c < static_cast<int>(N); ++c) {
      if (c == client || !(valid >> c & 1)) {
        passed_over[c] = 0;
      } else {
        ++passed_over[c];
        ASSERT_LT(passed_over[c], static_cast<int>(N)) << "client " << c << " is passed over";
      }
    }
  }

  std::array<int, kReaders> served_reads_{};
  std::array<int, kWriters> served_writes_{};

 private:
  VerilatedContext context_;
  Vdut dut_;
  std::mt19937 random_;
  int client_stall_, vault_stall_;
  std::array<bool, kReaders> read_offered_{};
  std::array<Request, kReaders> read_offer_{};
  std::array<bool, kWriters> write_offered_{};
  std::array<bool, kWriters> data_offered_{};
  std::array<Request, kWriters> write_offer_{};
  std::array<std::deque<uint64_t>, kWriters> to_send_;
  std::array<int, kReaders> read_passed_over_{};
  std::array<int, kWriters> write_passed_over_{};
  std::deque<Pass> reads_, writes_, complete_;
  int read_beat_ = 0;
  int lack_ = 0;
  int64_t held_addr_ = -1;
};

TEST(VaultMux, SteersAndServesInTurnUnderRandomStalls) {
  const int stalls[][2] = {{0, 0}, {50, 0}, {0, 50}, {30, 30}, {90, 10}, {10, 90}};
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    for (const auto& stall : stalls) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", stalls " + std::to_string(stall[0]) +
                   " and " + std::to_string(stall[1]));
      Mux mux(seed, stall[0], stall[1]);
      for (int cycle = 0; cycle < 5000; ++cycle) {
        mux.Cycle();
        if (HasFatalFailure()) FAIL() << "cycle " << cycle;
      }
      for (int served : mux.served_reads_) EXPECT_GT(served, 20);
      for (int served : mux.served_writes_) EXPECT_GT(served, 5);
    }
  }
}

TEST(VaultMux, WriteDataPassesInEveryCycle) {
  Mux mux(1, 0, 0);
  for (int cycle = 0; cycle < 4000; ++cycle) mux.Cycle();
  EXPECT_GE(mux.served_writes_[0] + mux.served_writes_[1], 4000 / kBeats - 3);
  EXPECT_NEAR(mux.served_writes_[0], mux.served_writes_[1], 1);
}

}  // namespace
}  // namespace vaultrain
