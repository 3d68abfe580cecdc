// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// AXI4 and AXI4-Lite masters for any Verilated top with ports s_axi_* and s_axil_*.
//
// A cycle of the user's clock loop is
//   dut.clk_i = 0; master.Drive(); dut.eval(); master.Sample(); dut.clk_i = 1; dut.eval();
// Drive sets the inputs from what is queued, Sample sees which channels shook hands. Transactions
// are queued at any time and finish in the background. Both masters throw AxiViolation where the
// slave breaks the protocol: a valid that falls or data that change before ready, a response that
// nobody asked for, a wrong RLAST.
//
// With AxiStalls at their default of 0 the masters are never idle and always ready, at the cost of
// a few compares a cycle; otherwise each channel draws from its own seeded sequence.

#ifndef VERIF_HARNESS_AXI_DRIVER_H_
#define VERIF_HARNESS_AXI_DRIVER_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace vaultrain {

class AxiViolation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class AxiResponse : uint8_t {
  kOkay = 0,
  kExclusiveOkay = 1,
  kSlaveError = 2,
  kDecodeError = 3
};
enum class AxiBurst : uint8_t { kFixed = 0, kIncrement = 1, kWrap = 2 };

// Chance of a stall in a cycle, in 256ths, for each channel; at most 255.
struct AxiStalls {
  uint32_t seed = 1;
  int aw = 0;
  int w = 0;
  int b = 0;
  int ar = 0;
  int r = 0;
};

// What one side of one channel shows in a cycle, kept to check that it holds until ready.
template <typename Payload>
class AxiHoldCheck {
 public:
  explicit AxiHoldCheck(const char* channel) : channel_(channel) {}

  void Check(bool valid, bool ready, const Payload& payload) {
    if (waiting_ && !valid) throw AxiViolation(std::string(channel_) + ": valid fell before ready");
    if (waiting_ && !(payload == payload_)) {
      throw AxiViolation(std::string(channel_) + ": payload changed before ready");
    }
    waiting_ = valid && !ready;
    if (waiting_) payload_ = payload;
  }

 private:
  const char* channel_;
  bool waiting_ = false;
  Payload payload_ = {};
};

// ---- AXI4-Lite

struct AxiLiteResult {
  uint32_t data = 0;  // of a read
  AxiResponse response = AxiResponse::kOkay;
};

// Reads wait for the writes queued before them and the other way round, so the order of the calls
// is the order of the effects.
template <typename Model>
class AxiLiteMaster {
 public:
  static constexpr uint32_t kAddressMask = 0x3ffff;

  explicit AxiLiteMaster(Model& model, AxiStalls stalls = {})
      : model_(model), stalls_(stalls), random_(stalls.seed) {}

  void QueueWrite(uint32_t address, uint32_t data, uint8_t strobe = 0xf) {
    queue_.push_back({true, address, data, strobe});
  }
  void QueueRead(uint32_t address) { queue_.push_back({false, address, 0, 0}); }

  bool Idle() const { return queue_.empty(); }

  // Of everything queued, in that order; the user takes them out.
  std::deque<AxiLiteResult>& results() { return results_; }

  // Steps the clock until the access is done: `cycle` runs one whole clock cycle with Drive and
  // Sample in it.
  template <typename Cycle>
  AxiLiteResult Write(uint32_t address, uint32_t data, Cycle&& cycle, uint8_t strobe = 0xf) {
    QueueWrite(address, data, strobe);
    return Finish(cycle);
  }
  template <typename Cycle>
  AxiLiteResult Read(uint32_t address, Cycle&& cycle) {
    QueueRead(address);
    return Finish(cycle);
  }

  void Drive() {
    const bool any = !queue_.empty();
    const bool write = any && queue_.front().write;
    aw_ = write && !aw_done_ && (aw_ || !Stalls(stalls_.aw));
    w_ = write && !w_done_ && (w_ || !Stalls(stalls_.w));
    ar_ = any && !write && !ar_done_ && (ar_ || !Stalls(stalls_.ar));
    model_.s_axil_awvalid_i = aw_;
    model_.s_axil_wvalid_i = w_;
    model_.s_axil_arvalid_i = ar_;
    if (any) {
      const Access& access = queue_.front();
      // Never more bits than the port has: a Verilated model does not mask its inputs.
      model_.s_axil_awaddr_i = aw_ ? access.address : random_() & kAddressMask;
      model_.s_axil_araddr_i = ar_ ? access.address : random_() & kAddressMask;
      model_.s_axil_wdata_i = w_ ? access.data : random_();
      model_.s_axil_wstrb_i = access.strobe;
    }
    model_.s_axil_bready_i = !Stalls(stalls_.b);
    model_.s_axil_rready_i = !Stalls(stalls_.r);
  }

  void Sample() {
    b_check_.Check(model_.s_axil_bvalid_o, model_.s_axil_bready_i, model_.s_axil_bresp_o);
    r_check_.Check(model_.s_axil_rvalid_o, model_.s_axil_rready_i,
                   {model_.s_axil_rdata_o, model_.s_axil_rresp_o});
    // A response comes no sooner than the cycle after the last handshake that it answers.
    if (model_.s_axil_bvalid_o && !(aw_done_ && w_done_)) {
      throw AxiViolation("AXI4-Lite B without a write");
    }
    if (model_.s_axil_rvalid_o && !ar_done_) throw AxiViolation("AXI4-Lite R without a read");
    if (model_.s_axil_bvalid_o && model_.s_axil_bready_i) {
      Complete({0, static_cast<AxiResponse>(model_.s_axil_bresp_o)});
    } else if (model_.s_axil_rvalid_o && model_.s_axil_rready_i) {
      Complete({static_cast<uint32_t>(model_.s_axil_rdata_o),
                static_cast<AxiResponse>(model_.s_axil_rresp_o)});
    }
    if (aw_ && model_.s_axil_awready_o) aw_done_ = true, aw_ = false;
    if (w_ && model_.s_axil_wready_o) w_done_ = true, w_ = false;
    if (ar_ && model_.s_axil_arready_o) ar_done_ = true, ar_ = false;
  }

 private:
  struct Access {
    bool write;
    uint32_t address;
    uint32_t data;
    uint8_t strobe;
  };

  bool Stalls(int chance) { return chance > 0 && static_cast<int>(random_() % 256) < chance; }

  void Complete(AxiLiteResult result) {
    results_.push_back(result);
    queue_.pop_front();
    aw_done_ = w_done_ = ar_done_ = false;
  }

  template <typename Cycle>
  AxiLiteResult Finish(Cycle&& cycle) {
    constexpr int kLimit = 10000;
    for (int n = 0; !Idle(); ++n) {
      if (n == kLimit) throw AxiViolation("AXI4-Lite access is not answered");
      cycle();
    }
    const AxiLiteResult result = results_.back();
    results_.pop_back();
    return result;
  }

  Model& model_;
  AxiStalls stalls_;
  std::minstd_rand random_;
  std::deque<Access> queue_;
  std::deque<AxiLiteResult> results_;
  bool aw_ = false, w_ = false, ar_ = false;  // shown and not yet taken
  bool aw_done_ = false, w_done_ = false, ar_done_ = false;
  AxiHoldCheck<int> b_check_{"AXI4-Lite B"};
  AxiHoldCheck<std::pair<uint32_t, int>> r_check_{"AXI4-Lite R"};
};

// ---- AXI4, 64 data bits

struct AxiWrite {
  uint32_t id = 0;
  uint64_t address = 0;
  int size = 3;  // log2 of the bytes of a beat
  AxiBurst burst = AxiBurst::kIncrement;
  std::vector<uint64_t> data;   // one word a beat, bytes in their lanes; 1 to 256 beats
  std::vector<uint8_t> strobe;  // one mask a beat
  int stray_last_beat = -1;     // for tests: WLAST on this beat instead of the last
};

struct AxiRead {
  uint32_t id = 0;
  uint64_t address = 0;
  int beats = 1;  // 1 to 256
  int size = 3;
  AxiBurst burst = AxiBurst::kIncrement;
};

struct AxiWriteDone {
  AxiWrite request;
  AxiResponse response = AxiResponse::kOkay;
};

struct AxiReadDone {
  AxiRead request;
  std::vector<uint64_t> data;                 // one word a beat, bytes in their lanes
  AxiResponse response = AxiResponse::kOkay;  // the worst of all beats
};

// Bytes that a beat of an INCR burst covers: [first, end), and the start of the next beat is `end`.
inline std::pair<uint64_t, uint64_t> AxiBeatBytes(uint64_t address, int size, int beat) {
  const uint64_t bytes = uint64_t{1} << size;
  const uint64_t aligned = address & ~(bytes - 1);
  return {beat == 0 ? address : aligned + beat * bytes, aligned + (beat + 1) * bytes};
}

template <typename Model>
class AxiMaster {
 public:
  static_assert(sizeof(Model::s_axi_wdata_i) == 8, "the driver is for 64 data bits");

  explicit AxiMaster(Model& model, AxiStalls stalls = {})
      : model_(model), stalls_(stalls), random_(stalls.seed) {}

  // Single bursts. Finished ones appear in writes_done() and reads_done(), which the user empties.
  // The data of a write may reach the slave before, with or after its address.
  void Queue(AxiWrite write) {
    w_queue_.push_back(write);
    aw_queue_.push_back(std::move(write));
  }
  void Queue(const AxiRead& read) { ar_queue_.push_back(read); }
  std::deque<AxiWriteDone>& writes_done() { return writes_done_; }
  std::deque<AxiReadDone>& reads_done() { return reads_done_; }

  // No burst is queued or under way.
  bool Idle() const { return WritesIdle() && ReadsIdle(); }
  bool WritesIdle() const { return aw_queue_.empty() && w_queue_.empty() && b_waiting_.empty(); }
  bool ReadsIdle() const { return ar_queue_.empty() && r_waiting_.empty(); }

  // Steps the clock until `bytes` are in memory: `cycle` runs one whole clock cycle with Drive and
  // Sample in it. The master must be idle. Throws AxiViolation on an error response.
  template <typename Cycle>
  void WriteMemory(uint64_t address, std::span<const uint8_t> bytes, Cycle&& cycle) {
    for (size_t at = 0; at < bytes.size();) {
      AxiWrite write;
      write.address = address + at;
      while (at < bytes.size() && write.data.size() < kMaxBeats) {
        const int lane = static_cast<int>((address + at) % 8);
        const size_t count = std::min<size_t>(8 - lane, bytes.size() - at);
        uint64_t word = 0;
        std::memcpy(reinterpret_cast<uint8_t*>(&word) + lane, bytes.data() + at, count);
        write.data.push_back(word);
        write.strobe.push_back(static_cast<uint8_t>(((1u << count) - 1) << lane));
        at += count;
      }
      Queue(std::move(write));
    }
    RunUntilIdle(cycle);
    for (const AxiWriteDone& done : writes_done_) ExpectOkay(done.response, done.request.address);
    writes_done_.clear();
  }

  template <typename Cycle>
  void ReadMemory(uint64_t address, std::span<uint8_t> bytes, Cycle&& cycle) {
    if (bytes.empty()) return;
    const uint64_t end = address + bytes.size();
    for (uint64_t at = address; at < end;) {
      const uint64_t stop = std::min(end, (at & ~uint64_t{7}) + 8 * kMaxBeats);
      Queue(
          AxiRead{.address = at, .beats = static_cast<int>((stop - (at & ~uint64_t{7}) + 7) / 8)});
      at = stop;
    }
    RunUntilIdle(cycle);
    for (const AxiReadDone& done : reads_done_) {
      ExpectOkay(done.response, done.request.address);
      for (int beat = 0; beat < done.request.beats; ++beat) {
        const auto [first, stop] = AxiBeatBytes(done.request.address, 3, beat);
        for (uint64_t at = first; at < std::min(stop, end); ++at) {
          bytes[at - address] = static_cast<uint8_t>(done.data[beat] >> (8 * (at % 8)));
        }
      }
    }
    reads_done_.clear();
  }

  void Drive() {
    aw_ = !aw_queue_.empty() && (aw_ || !Stalls(stalls_.aw));
    w_ = !w_queue_.empty() && (w_ || !Stalls(stalls_.w));
    ar_ = !ar_queue_.empty() && (ar_ || !Stalls(stalls_.ar));
    model_.s_axi_awvalid_i = aw_;
    model_.s_axi_wvalid_i = w_;
    model_.s_axi_arvalid_i = ar_;
    if (aw_) {
      const AxiWrite& write = aw_queue_.front();
      model_.s_axi_awid_i = write.id;
      model_.s_axi_awaddr_i = write.address;
      model_.s_axi_awlen_i = write.data.size() - 1;
      model_.s_axi_awsize_i = write.size;
      model_.s_axi_awburst_i = static_cast<int>(write.burst);
    }
    if (w_) {
      const AxiWrite& write = w_queue_.front();
      const int last = write.stray_last_beat < 0 ? static_cast<int>(write.data.size()) - 1
                                                 : write.stray_last_beat;
      model_.s_axi_wdata_i = write.data[w_beat_];
      model_.s_axi_wstrb_i = write.strobe[w_beat_];
      model_.s_axi_wlast_i = static_cast<int>(w_beat_) == last;
    }
    if (ar_) {
      const AxiRead& read = ar_queue_.front();
      model_.s_axi_arid_i = read.id;
      model_.s_axi_araddr_i = read.address;
      model_.s_axi_arlen_i = read.beats - 1;
      model_.s_axi_arsize_i = read.size;
      model_.s_axi_arburst_i = static_cast<int>(read.burst);
    }
    model_.s_axi_bready_i = !Stalls(stalls_.b);
    model_.s_axi_rready_i = !Stalls(stalls_.r);
  }

  void Sample() {
    SampleResponses();
    if (aw_ && model_.s_axi_awready_o) {
      b_waiting_.push_back({std::move(aw_queue_.front()), false});
      aw_queue_.pop_front();
      aw_ = false;
      // Of bursts whose data went ahead of their address.
      if (data_ahead_ > 0) {
        --data_ahead_;
        b_waiting_.back().data_done = true;
      }
    }
    if (w_ && model_.s_axi_wready_o) {
      w_ = false;
      if (++w_beat_ == w_queue_.front().data.size()) {
        w_beat_ = 0;
        w_queue_.pop_front();
        FinishData();
      }
    }
    if (ar_ && model_.s_axi_arready_o) {
      r_waiting_.push_back({ar_queue_.front(), {}, AxiResponse::kOkay});
      ar_queue_.pop_front();
      ar_ = false;
    }
  }

 private:
  static constexpr size_t kMaxBeats = 256;

  struct WaitingWrite {
    AxiWrite request;
    bool data_done;
  };
  struct B {
    uint32_t id;
    int response;
    bool operator==(const B&) const = default;
  };
  struct R {
    uint32_t id;
    uint64_t data;
    int response;
    bool last;
    bool operator==(const R&) const = default;
  };

  bool Stalls(int chance) { return chance > 0 && static_cast<int>(random_() % 256) < chance; }

  void FinishData() {
    for (WaitingWrite& write : b_waiting_) {
      if (write.data_done) continue;
      write.data_done = true;
      return;
    }
    ++data_ahead_;
  }

  void SampleResponses() {
    const B b = {model_.s_axi_bid_o, model_.s_axi_bresp_o};
    b_check_.Check(model_.s_axi_bvalid_o, model_.s_axi_bready_i, b);
    if (model_.s_axi_bvalid_o && model_.s_axi_bready_i) {
      auto write = b_waiting_.begin();
      while (write != b_waiting_.end() && write->request.id != b.id) ++write;
      if (write == b_waiting_.end() || !write->data_done) {
        throw AxiViolation("AXI B with id " + std::to_string(b.id) + " that no whole write has");
      }
      writes_done_.push_back({std::move(write->request), static_cast<AxiResponse>(b.response)});
      b_waiting_.erase(write);
    }
    if (!model_.s_axi_rvalid_o) {
      r_check_.Check(false, true, {});
      return;
    }
    const R r = {model_.s_axi_rid_o, model_.s_axi_rdata_o, model_.s_axi_rresp_o,
                 model_.s_axi_rlast_o != 0};
    r_check_.Check(true, model_.s_axi_rready_i, r);
    if (!model_.s_axi_rready_i) return;
    auto read = r_waiting_.begin();
    while (read != r_waiting_.end() && read->request.id != r.id) ++read;
    if (read == r_waiting_.end()) {
      throw AxiViolation("AXI R with id " + std::to_string(r.id) + " that no read has");
    }
    read->data.push_back(r.data);
    read->response = std::max(read->response, static_cast<AxiResponse>(r.response));
    if (r.last != (static_cast<int>(read->data.size()) == read->request.beats)) {
      throw AxiViolation("AXI RLAST " + std::to_string(r.last) + " on beat " +
                         std::to_string(read->data.size()) + " of " +
                         std::to_string(read->request.beats));
    }
    if (r.last) {
      reads_done_.push_back(std::move(*read));
      r_waiting_.erase(read);
    }
  }

  template <typename Cycle>
  void RunUntilIdle(Cycle&& cycle) {
    constexpr int kLimit = 1000000;
    int silent = 0;
    for (size_t before = Progress(); !Idle(); ++silent) {
      if (silent == kLimit) throw AxiViolation("AXI burst is not answered");
      cycle();
      if (const size_t now = Progress(); now != before) before = now, silent = 0;
    }
  }
  size_t Progress() const { return writes_done_.size() + reads_done_.size(); }

  static void ExpectOkay(AxiResponse response, uint64_t address) {
    if (response == AxiResponse::kOkay) return;
    throw AxiViolation("AXI response " + std::to_string(static_cast<int>(response)) +
                       " to the burst at byte " + std::to_string(address));
  }

  Model& model_;
  AxiStalls stalls_;
  std::minstd_rand random_;
  std::deque<AxiWrite> aw_queue_;
  std::deque<AxiWrite> w_queue_;
  std::deque<WaitingWrite> b_waiting_;
  std::deque<AxiRead> ar_queue_;
  std::deque<AxiReadDone> r_waiting_;
  std::deque<AxiWriteDone> writes_done_;
  std::deque<AxiReadDone> reads_done_;
  size_t w_beat_ = 0;
  int data_ahead_ = 0;
  bool aw_ = false, w_ = false, ar_ = false;  // shown and not yet taken
  AxiHoldCheck<B> b_check_{"AXI B"};
  AxiHoldCheck<R> r_check_{"AXI R"};
};

}  // namespace vaultrain

#endif  // VERIF_HARNESS_AXI_DRIVER_H_
