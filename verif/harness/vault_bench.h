// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A Verilated vt_vault_controller on its dies, driven by lists of accesses: each read and write of
// a list starts as soon as its conditions hold, data is checked against a reference, the dies check
// the timing. With ECC, writes are known by what they write, as the controller writes on its own
// what it has corrected.

#ifndef VAULTRAIN_HARNESS_VAULT_BENCH_H_
#define VAULTRAIN_HARNESS_VAULT_BENCH_H_

#include <verilated.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "harness/dram_die.h"
#include "harness/ecc.h"
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
    pin_bytes_ = static_cast<size_t>(geometry.PinBits() / 8);
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

  // Flips bits of a word that is as it was written. Two of them make it uncorrectable.
  void Flip(uint64_t access, int word, uint64_t data, uint8_t check) {
    die_.Flip(
        access * static_cast<uint64_t>(geometry_.AccessBytes()) + 8 * static_cast<uint64_t>(word),
        data, check);
    if (std::popcount(data) + std::popcount(check) == 2) {
      Reference(access).bad |= uint64_t{1} << word;
    }
  }

  // Words that cannot be corrected.
  uint64_t BadWords() const {
    uint64_t words = 0;
    for (const auto& [access, content] : reference_) {
      words += static_cast<uint64_t>(std::popcount(content.bad));
    }
    return words;
  }
  // Beats that the events told, and what was written back.
  uint64_t corrected() const { return corrected_; }
  uint64_t uncorrectable() const { return uncorrectable_; }
  uint64_t scrubs() const { return scrubs_; }

  uint64_t cycles() const { return cycles_; }
  uint64_t longest_read() const { return longest_read_; }
  uint64_t longest_write() const { return longest_write_; }
  DramDie& die() { return die_; }
  Model& dut() { return dut_; }

 private:
  // What an access holds.
  struct Content {
    std::vector<uint8_t> bytes;
    uint64_t bad = 0;  // words that are uncorrectable
  };
  struct Read {
    uint64_t access;
    int id;
    uint64_t since;
    bool issued = false;
    std::vector<Content> held{};  // at its RD, or with ECC at each that may be it
  };
  struct Write {
    uint64_t access;
    int id;
    uint64_t since;
    bool issued = false;
    std::vector<uint8_t> bytes{};
    std::vector<uint8_t> mask{};
  };

  struct Burst {
    uint64_t access;
    std::vector<uint8_t> bytes{};  // of the pins
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
    CopyPort(pins_.wdata.data(), dut_.dram_wdata_o, pin_bytes_);
    die_.Tick(pins_);
    CopyToPort(dut_.dram_rdata_i, pins_.rdata.data(), pin_bytes_);
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
    if (geometry_.ecc != 0) {
      if (command == DramCommand::kRd) return CheckedRead(access);
      bursts_.push_back({access});
      return "";
    }
    if (command == DramCommand::kRd) {
      auto read = std::find_if(asked_.begin(), asked_.end(), waits);
      if (read == asked_.end()) {
        return "RD of access " + std::to_string(access) + " that nobody requested";
      }
      read->issued = true;
      read->held = {Reference(access)};
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
    Content& now = Reference(access);
    now = After(now, *write);
    return "";
  }

  static Content After(Content content, const Write& write) {
    for (size_t b = 0; b < content.bytes.size(); ++b) {
      if (write.mask[b]) content.bytes[b] = write.bytes[b];
    }
    for (size_t word = 0; word < content.bytes.size() / 8; ++word) {
      const auto* mask = write.mask.data() + 8 * word;
      if (std::all_of(mask, mask + 8, [](uint8_t own) { return own != 0; })) {
        content.bad &= ~(uint64_t{1} << word);
      }
    }
    return content;
  }

  // A RD of a client's read, of a write that lacks bytes or of a scrub: they are not told apart.
  std::string CheckedRead(uint64_t access) {
    bool known = scrubs_due_[access] > 0;
    for (Read& read : asked_) {
      if (read.access != access) continue;
      read.issued = true;
      read.held.push_back(Reference(access));
      known = true;
    }
    for (const Write& write : pending_) {
      known |= write.access == access && !write.issued &&
               std::count(write.mask.begin(), write.mask.end(), 0) != 0;
    }
    return known ? "" : "RD of access " + std::to_string(access) + " that nobody requested";
  }

  // The beats of a WR with check bits: the oldest write of the access that is not done, or a scrub.
  std::string CheckedBeat() {
    if (geometry_.ecc == 0 || pins_.wmask == 0) return "";
    Burst& burst = bursts_.front();
    const auto* pins = reinterpret_cast<const uint8_t*>(pins_.wdata.data());
    burst.bytes.insert(burst.bytes.end(), pins, pins + pin_bytes_);
    if (burst.bytes.size() < pin_bytes_ * static_cast<size_t>(geometry_.beats)) return "";
    const uint64_t access = burst.access;
    Content content;
    for (size_t beat = 0; beat < static_cast<size_t>(geometry_.beats); ++beat) {
      const uint8_t* from = burst.bytes.data() + beat * pin_bytes_;
      for (size_t word = 0; word < beat_bytes_ / 8; ++word) {
        uint64_t data = 0;
        std::memcpy(&data, from + 8 * word, 8);
        const EccResult result = EccDecode(data, from[beat_bytes_ + word]).result;
        if (result == EccResult::kCorrected) {
          return "WR of access " + std::to_string(access) + " with wrong check bits";
        }
        if (result == EccResult::kUncorrectable) {
          content.bad |= uint64_t{1} << (content.bytes.size() / 8);
        }
        content.bytes.insert(content.bytes.end(), from + 8 * word, from + 8 * word + 8);
      }
    }
    bursts_.pop_front();
    Content& now = Reference(access);
    auto write = std::find_if(pending_.begin(), pending_.end(), [&](const Write& job) {
      return job.access == access && !job.issued && job.bytes.size() == now.bytes.size();
    });
    if (write != pending_.end() && Same(content, After(now, *write))) {
      write->issued = true;
      now = content;
      return "";
    }
    if (scrubs_due_[access] > 0 && Same(content, now)) {
      --scrubs_due_[access];
      ++scrubs_;
      return "";
    }
    return "WR of access " + std::to_string(access) + " of what nobody wrote";
  }

  // Uncorrectable words may hold anything.
  static bool Same(const Content& a, const Content& b) {
    if (a.bad != b.bad) return false;
    for (size_t byte = 0; byte < a.bytes.size(); ++byte) {
      if ((a.bad >> (byte / 8) & 1) == 0 && a.bytes[byte] != b.bytes[byte]) return false;
    }
    return true;
  }

  std::string Outputs() {
    if (std::string wrong = Command(); !wrong.empty()) return wrong;
    if (std::string wrong = CheckedBeat(); !wrong.empty()) return wrong;
    corrected_ += dut_.ev_ecc_corrected_o;
    uncorrectable_ += dut_.ev_ecc_uncorrectable_o;
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
    auto holds = [&](const Content& held) {
      const uint64_t bad = held.bad >> (beat_out_ * beat_bytes_ / 8) & BeatWords();
      if (dut_.rd_data_error_o != (bad != 0)) return false;
      return bad != 0 || std::memcmp(data.data(), held.bytes.data() + beat_out_ * beat_bytes_,
                                     beat_bytes_) == 0;
    };
    auto& held = asked_.front().held;
    held.erase(
        std::remove_if(held.begin(), held.end(), [&](const Content& c) { return !holds(c); }),
        held.end());
    if (held.empty()) {
      return "wrong data of access " + std::to_string(read.access) + ", beat " +
             std::to_string(beat_out_) + (dut_.rd_data_error_o ? ", told as an error" : "");
    }
    read_corrected_ |= dut_.ev_ecc_corrected_o != 0;
    read_bad_ |= dut_.rd_data_error_o != 0;
    bool last = ++beat_out_ == static_cast<size_t>(geometry_.beats);
    if (dut_.rd_data_last_o != last) return "rd_data_last_o in the wrong beat";
    if (last) {
      if (read_corrected_ && !read_bad_) ++scrubs_due_[read.access];
      read_corrected_ = read_bad_ = false;
      beat_out_ = 0;
      longest_read_ = std::max(longest_read_, die_.cycle() - read.since);
      asked_.pop_front();
      ++read_done_;
    }
    return "";
  }

  // One bit for each word of a beat.
  uint64_t BeatWords() const { return (uint64_t{1} << (beat_bytes_ / 8)) - 1; }

  Content& Reference(uint64_t access) {
    Content& content = reference_[access];
    if (content.bytes.empty()) {
      content.bytes.assign(static_cast<size_t>(geometry_.AccessBytes()), 0x5a);
    }
    return content;
  }

  std::string CheckMemory() {
    std::vector<uint8_t> bytes(static_cast<size_t>(geometry_.AccessBytes()));
    for (const auto& [access, expected] : reference_) {
      die_.Read(access * bytes.size(), bytes);
      if (!Same({bytes, expected.bad}, expected))
        return "the dies hold wrong bytes in access " + std::to_string(access);
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
  size_t pin_bytes_ = 0;
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
  std::unordered_map<uint64_t, Content> reference_;
  std::deque<Burst> bursts_;                      // of WR whose beats are not all out
  std::unordered_map<uint64_t, int> scrubs_due_;  // by access
  bool read_corrected_ = false, read_bad_ = false;
  uint64_t corrected_ = 0, uncorrectable_ = 0, scrubs_ = 0;
  uint64_t start_ = 0, cycles_ = 0, longest_read_ = 0, longest_write_ = 0;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_HARNESS_VAULT_BENCH_H_
