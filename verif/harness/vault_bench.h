// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A Verilated vt_vault_controller on its dies, driven by lists of accesses: each read and write of
// a list starts as soon as its conditions hold, data is checked against a reference, the dies check
// the timing.

#ifndef VAULTRAIN_HARNESS_VAULT_BENCH_H_
#define VAULTRAIN_HARNESS_VAULT_BENCH_H_

#include <verilated.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "harness/dram_die.h"
#include "harness/vault_abi.h"

namespace vaultrain {

// 64 to 512 bit ports of Verilator, which are QData or arrays of 32-bit words.
template <typename Port>
void CopyPort(void* to, const Port& from, size_t bytes) {
  std::memcpy(to, &from, bytes);
}
template <typename Port>
void CopyToPort(Port& to, const void* from, size_t bytes) {
  std::memcpy(&to, from, bytes);
}

using Beat = std::array<uint64_t, kVaultDataWords>;

// What a client does in a cycle with probability 1 / 2^stall: nothing.
struct Stalls {
  int read_percent = 0;
  int write_percent = 0;
  int data_percent = 0;
  bool partial_masks = false;
};

template <typename Model>
class VaultBench {
 public:
  VaultBench(const DramTiming& timing, const DramGeometry& geometry, uint32_t seed)
      : geometry_(geometry), dut_(&context_), die_(timing, geometry, 0x5a), random_(seed) {
    beat_bytes_ = static_cast<size_t>(geometry.data_bits / 8);
    dut_.rst_ni = 0;
    for (int cycle = 0; cycle < 3; ++cycle) Edge();
    dut_.rst_ni = 1;
  }

  // Runs both lists to their ends; returns an empty text, or what went wrong.
  std::string Run(const std::vector<ReadJob>& reads, const std::vector<WriteJob>& writes,
                  const Stalls& stalls, uint64_t cycle_limit) {
    reads_ = &reads;
    writes_ = &writes;
    read_sent_ = read_done_ = write_sent_ = data_sent_ = acked_ = 0;
    beat_in_ = beat_out_ = 0;
    read_valid_ = write_valid_ = data_valid_ = false;
    asked_.clear();
    start_ = die_.cycle();
    while (read_done_ < reads.size() || acked_ < writes.size()) {
      if (die_.cycle() - start_ > cycle_limit) {
        return Where() + "no end after " + std::to_string(cycle_limit) + " cycles";
      }
      Drive(stalls);
      std::string wrong = Step();
      if (!wrong.empty()) return Where() + wrong;
    }
    cycles_ = die_.cycle() - start_;
    // The data of the last write is still on its way.
    dut_.rd_req_valid_i = dut_.wr_req_valid_i = dut_.wr_data_valid_i = 0;
    for (int cycle = 0; cycle < 100; ++cycle) {
      std::string wrong = Step();
      if (!wrong.empty()) return Where() + wrong;
    }
    return CheckMemory();
  }

  // Cycles without requests.
  std::string Wait(int cycles) {
    dut_.rd_req_valid_i = dut_.wr_req_valid_i = dut_.wr_data_valid_i = 0;
    for (int cycle = 0; cycle < cycles; ++cycle) {
      std::string wrong = Step();
      if (!wrong.empty()) return Where() + wrong;
    }
    return "";
  }

  uint64_t cycles() const { return cycles_; }
  uint64_t longest_read() const { return longest_read_; }
  uint64_t longest_write() const { return longest_write_; }
  DramDie& die() { return die_; }
  Model& dut() { return dut_; }

 private:
  struct Read {
    uint64_t access;
    int id;
    uint64_t since;
    bool issued = false;
    std::vector<uint8_t> bytes{};  // what the access held at its RD
  };
  struct Write {
    uint64_t access;
    int id;
    uint64_t since;
    bool issued = false;
    std::vector<uint8_t> bytes{};
    std::vector<uint8_t> mask{};
  };

  std::string Where() const { return "cycle " + std::to_string(die_.cycle()) + ": "; }

  bool Percent(int percent) { return percent != 0 && static_cast<int>(random_() % 100) < percent; }

  void Drive(const Stalls& stalls) {
    if (!read_valid_ && read_sent_ < reads_->size() &&
        (*reads_)[read_sent_].writes_acked <= acked_ && !Percent(stalls.read_percent)) {
      read_valid_ = true;
      dut_.rd_req_addr_i = (*reads_)[read_sent_].access;
      dut_.rd_req_id_i = random_() % 16;
    }
    if (!write_valid_ && write_sent_ < writes_->size() &&
        (*writes_)[write_sent_].reads_returned <= read_done_ && !Percent(stalls.write_percent)) {
      write_valid_ = true;
      dut_.wr_req_addr_i = (*writes_)[write_sent_].access;
      dut_.wr_req_id_i = random_() % 16;
    }
    if (!data_valid_ && data_sent_ < write_sent_ && !Percent(stalls.data_percent)) {
      data_valid_ = true;
      Beat data;
      for (uint64_t& word : data) word = uint64_t(random_()) << 32 | random_();
      uint64_t mask = ~uint64_t{0};
      if (stalls.partial_masks && random_() % 4 == 0) mask = uint64_t(random_()) << 32 | random_();
      if (beat_bytes_ < 64) mask &= (uint64_t{1} << beat_bytes_) - 1;
      CopyToPort(dut_.wr_data_i, data.data(), beat_bytes_);
      dut_.wr_mask_i = static_cast<std::remove_reference_t<decltype(dut_.wr_mask_i)>>(mask);
      data_ = data;
      mask_ = mask;
    }
    dut_.rd_req_valid_i = read_valid_;
    dut_.wr_req_valid_i = write_valid_;
    dut_.wr_data_valid_i = data_valid_;
  }

  void Edge() {
    dut_.clk_i = 0;
    dut_.eval();
    dut_.clk_i = 1;
    dut_.eval();
  }

  // One cycle: the handshakes of the cycle that ends, the edge, the dies and outputs of the next.
  std::string Step() {
    dut_.clk_i = 0;
    dut_.eval();
    if (read_valid_ && dut_.rd_req_ready_o) {
      uint64_t access = (*reads_)[read_sent_].access;
      asked_.push_back({access, dut_.rd_req_id_i, die_.cycle()});
      ++read_sent_;
      read_valid_ = false;
    }
    bool data_taken = data_valid_ && dut_.wr_data_ready_o;
    if (write_valid_ && dut_.wr_req_ready_o) {
      uint64_t access = (*writes_)[write_sent_].access;
      pending_.push_back({access, dut_.wr_req_id_i, die_.cycle()});
      ++write_sent_;
      write_valid_ = false;
    }
    if (data_taken) {
      Write& write = pending_[pending_.size() - (write_sent_ - data_sent_)];
      const auto* bytes = reinterpret_cast<const uint8_t*>(data_.data());
      write.bytes.insert(write.bytes.end(), bytes, bytes + beat_bytes_);
      for (size_t b = 0; b < beat_bytes_; ++b) write.mask.push_back(mask_ >> b & 1);
      if (++beat_in_ == geometry_.beats) {
        beat_in_ = 0;
        ++data_sent_;
      }
      data_valid_ = false;
    }
    dut_.clk_i = 1;
    dut_.eval();
    pins_.cmd = dut_.dram_cmd_o;
    pins_.bank = static_cast<uint8_t>(dut_.dram_bank_o);
    pins_.row = dut_.dram_row_o;
    pins_.col = static_cast<uint16_t>(dut_.dram_col_o);
    pins_.wmask = dut_.dram_wmask_o;
    CopyPort(pins_.wdata.data(), dut_.dram_wdata_o, beat_bytes_);
    die_.Tick(pins_);
    CopyToPort(dut_.dram_rdata_i, pins_.rdata.data(), beat_bytes_);
    if (die_.violation()) return die_.violation()->Text();
    return Outputs();
  }

  // The access that RD or WR on the pins means: the oldest one asked for that is not issued yet.
  // What a RD returns is what the WR before it have left.
  std::string Command() {
    const auto command = static_cast<DramCommand>(pins_.cmd);
    if (command != DramCommand::kRd && command != DramCommand::kWr) return "";
    const uint64_t access = die_.AddressOf(pins_.bank, static_cast<int>(pins_.row), pins_.col) /
                            static_cast<uint64_t>(geometry_.AccessBytes());
    auto waits = [&](const auto& job) { return job.access == access && !job.issued; };
    if (command == DramCommand::kRd) {
      auto read = std::find_if(asked_.begin(), asked_.end(), waits);
      if (read == asked_.end()) {
        return "RD of access " + std::to_string(access) + " that nobody requested";
      }
      read->issued = true;
      read->bytes = Reference(access);
      return "";
    }
    auto write = std::find_if(pending_.begin(), pending_.end(), waits);
    if (write == pending_.end()) {
      return "WR of access " + std::to_string(access) + " that nobody requested";
    }
    if (write->bytes.size() != static_cast<size_t>(geometry_.AccessBytes())) {
      return "WR of access " + std::to_string(access) + " without all its data";
    }
    write->issued = true;
    std::vector<uint8_t>& now = Reference(access);
    for (size_t b = 0; b < now.size(); ++b) {
      if (write->mask[b]) now[b] = write->bytes[b];
    }
    return "";
  }

  std::string Outputs() {
    if (std::string wrong = Command(); !wrong.empty()) return wrong;
    if (dut_.wr_ack_valid_o) {
      if (pending_.empty() || !pending_.front().issued) {
        return "acknowledgement of a write that is not done";
      }
      const Write& write = pending_.front();
      if (dut_.wr_ack_id_o != write.id) {
        return "acknowledgement of id " + std::to_string(dut_.wr_ack_id_o) + ", expected " +
               std::to_string(write.id);
      }
      longest_write_ = std::max(longest_write_, die_.cycle() - write.since);
      pending_.pop_front();
      ++acked_;
    }
    if (!dut_.rd_data_valid_o) return "";
    if (asked_.empty() || !asked_.front().issued) return "read data that nobody requested";
    const Read& read = asked_.front();
    if (dut_.rd_data_id_o != read.id) {
      return "read data of id " + std::to_string(dut_.rd_data_id_o) + ", expected " +
             std::to_string(read.id);
    }
    Beat data{};
    CopyPort(data.data(), dut_.rd_data_o, beat_bytes_);
    if (std::memcmp(data.data(), read.bytes.data() + beat_out_ * beat_bytes_, beat_bytes_) != 0) {
      return "wrong data of access " + std::to_string(read.access) + ", beat " +
             std::to_string(beat_out_);
    }
    bool last = ++beat_out_ == static_cast<size_t>(geometry_.beats);
    if (dut_.rd_data_last_o != last) return "rd_data_last_o in the wrong beat";
    if (last) {
      beat_out_ = 0;
      longest_read_ = std::max(longest_read_, die_.cycle() - read.since);
      asked_.pop_front();
      ++read_done_;
    }
    return "";
  }

  std::vector<uint8_t>& Reference(uint64_t access) {
    std::vector<uint8_t>& bytes = reference_[access];
    if (bytes.empty()) bytes.assign(static_cast<size_t>(geometry_.AccessBytes()), 0x5a);
    return bytes;
  }

  std::string CheckMemory() {
    std::vector<uint8_t> bytes(static_cast<size_t>(geometry_.AccessBytes()));
    for (const auto& [access, expected] : reference_) {
      die_.Read(access * bytes.size(), bytes);
      if (bytes != expected) return "the dies hold wrong bytes in access " + std::to_string(access);
    }
    return "";
  }

  DramGeometry geometry_;
  VerilatedContext context_;
  Model dut_;
  DramDie die_;
  std::mt19937 random_;
  VaultPins pins_;
  size_t beat_bytes_ = 0;
  const std::vector<ReadJob>* reads_ = nullptr;
  const std::vector<WriteJob>* writes_ = nullptr;
  uint64_t read_sent_ = 0, read_done_ = 0, write_sent_ = 0, data_sent_ = 0, acked_ = 0;
  int beat_in_ = 0;
  size_t beat_out_ = 0;
  bool read_valid_ = false, write_valid_ = false, data_valid_ = false;
  Beat data_{};
  uint64_t mask_ = 0;
  std::deque<Read> asked_;
  std::deque<Write> pending_;
  std::unordered_map<uint64_t, std::vector<uint8_t>> reference_;
  uint64_t start_ = 0, cycles_ = 0, longest_read_ = 0, longest_write_ = 0;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_HARNESS_VAULT_BENCH_H_
