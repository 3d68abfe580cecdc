// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <vector>

#include "harness/axi_driver.h"

namespace vaultrain {
namespace {

#ifdef VT_SMALL_AXI_MEMORY  // axi_memory_small_test.cpp
constexpr int kBeats = 4;
constexpr bool kBuffersHideLatency = false;
#else
constexpr int kBeats = 8;
constexpr bool kBuffersHideLatency = true;
#endif
constexpr uint64_t kAccessBytes = 8 * kBeats;
constexpr uint64_t kMemBytes = 0x8000;  // as in axi_memory.cmake

// How the vault couples write requests and write data.
enum class WriteOrder { kFree, kRequestFirst, kDataFirst };

struct VaultOptions {
  uint32_t seed = 1;
  int stall = 0;        // chance in 256 of a ready that is low, or of a gap in read data
  int max_latency = 1;  // cycles, at least 1
  WriteOrder order = WriteOrder::kFree;
};

// The vault controller and its dies: bytes behind the client port.
class VaultModel {
 public:
  VaultModel(Vdut& dut, VaultOptions options)
      : dut_(dut), options_(options), random_(options.seed), memory_(kMemBytes) {
    for (uint8_t& byte : memory_) byte = static_cast<uint8_t>(random_());
  }

  std::vector<uint8_t>& memory() { return memory_; }
  int reads() const { return reads_; }
  int writes() const { return writes_; }
  int acks() const { return acks_; }
  void HoldAcks(bool hold) { hold_acks_ = hold; }
  void BreakBeat(int64_t beat) { broken_beat_ = beat; }
  // Every beat has gone to a request and every request is written.
  bool Settled() const {
    return beats_.empty() && requests_.empty() && pending_.empty() && read_queue_.empty();
  }

  void Drive() {
    ++cycle_;
    dut_.rd_req_ready_i = !Stalls();
    dut_.rd_data_valid_i = 0;
    dut_.rd_data_i = Wide();
    dut_.rd_data_last_i = random_() % 2;
    dut_.rd_data_error_i = random_() % 2;  // means nothing without valid
    if (!read_queue_.empty() && read_queue_.front().due <= cycle_ &&
        (read_beat_ > 0 || !Stalls())) {
      dut_.rd_data_valid_i = 1;
      dut_.rd_data_last_i = read_beat_ == kBeats - 1;
      uint64_t word;
      std::memcpy(&word, &memory_[read_queue_.front().access * kAccessBytes + 8 * read_beat_], 8);
      dut_.rd_data_i = word;
      dut_.rd_data_error_i =
          static_cast<int64_t>(read_queue_.front().access * kBeats +
                               static_cast<uint64_t>(read_beat_)) == broken_beat_;
      if (++read_beat_ == kBeats) {
        read_beat_ = 0;
        read_queue_.pop_front();
      }
    }
    const int filled = static_cast<int>(beats_.size());
    const int wanted = static_cast<int>(requests_.size()) * kBeats;
    dut_.wr_req_ready_i =
        !Stalls() && (options_.order != WriteOrder::kDataFirst || filled >= wanted + kBeats);
    dut_.wr_data_ready_i =
        !Stalls() && (options_.order != WriteOrder::kRequestFirst || filled < wanted);
    dut_.wr_ack_valid_i = 0;
    if (!pending_.empty() && !hold_acks_) {
      const size_t index = random_() % pending_.size();  // any order is allowed
      if (pending_[index].due <= cycle_) {
        dut_.wr_ack_valid_i = 1;
        Apply(pending_[index]);
        pending_.erase(pending_.begin() + static_cast<long>(index));
        ++acks_;
      }
    }
  }

  void Sample() {
    read_check_.Check(dut_.rd_req_valid_o, dut_.rd_req_ready_i, dut_.rd_req_addr_o);
    write_check_.Check(dut_.wr_req_valid_o, dut_.wr_req_ready_i, dut_.wr_req_addr_o);
    data_check_.Check(dut_.wr_data_valid_o, dut_.wr_data_ready_i, {dut_.wr_data_o, dut_.wr_mask_o});
    if (dut_.rd_req_valid_o && dut_.rd_req_ready_i) {
      ASSERT_LT(dut_.rd_req_addr_o, kMemBytes / kAccessBytes);
      const uint64_t due = std::max(cycle_ + 1 + random_() % options_.max_latency,
                                    read_queue_.empty() ? 0 : read_queue_.back().due);
      read_queue_.push_back({dut_.rd_req_addr_o, due});
      ++reads_;
    }
    if (dut_.wr_req_valid_o && dut_.wr_req_ready_i) {
      ASSERT_LT(dut_.wr_req_addr_o, kMemBytes / kAccessBytes);
      requests_.push_back(dut_.wr_req_addr_o);
      ++writes_;
    }
    if (dut_.wr_data_valid_o && dut_.wr_data_ready_i) {
      beats_.push_back({dut_.wr_data_o, static_cast<uint8_t>(dut_.wr_mask_o)});
    }
    while (!requests_.empty() && beats_.size() >= kBeats) {
      Pending pending{requests_.front(), cycle_ + 1 + random_() % options_.max_latency, {}};
      requests_.pop_front();
      pending.beats.assign(beats_.begin(), beats_.begin() + kBeats);
      beats_.erase(beats_.begin(), beats_.begin() + kBeats);
      pending_.push_back(pending);
    }
  }

 private:
  struct Beat {
    uint64_t data;
    uint8_t mask;
    bool operator==(const Beat&) const = default;
  };
  struct Read {
    uint64_t access;
    uint64_t due;
  };
  struct Pending {
    uint64_t access;
    uint64_t due;
    std::vector<Beat> beats;
  };

  bool Stalls() { return static_cast<int>(random_() % 256) < options_.stall; }
  uint64_t Wide() { return uint64_t{random_()} << 32 | random_(); }
  void Apply(const Pending& pending) {
    for (int i = 0; i < static_cast<int>(kAccessBytes); ++i) {
      const Beat& beat = pending.beats[i / 8];
      if (beat.mask >> (i % 8) & 1) {
        memory_[pending.access * kAccessBytes + i] =
            static_cast<uint8_t>(beat.data >> (8 * (i % 8)));
      }
    }
  }

  Vdut& dut_;
  VaultOptions options_;
  std::mt19937 random_;
  std::vector<uint8_t> memory_;
  uint64_t cycle_ = 0;
  std::deque<Read> read_queue_;
  int read_beat_ = 0;
  std::deque<uint64_t> requests_;
  std::deque<Beat> beats_;
  std::vector<Pending> pending_;
  bool hold_acks_ = false;
  int64_t broken_beat_ = -1;  // of the memory, in words; its data come with an error
  int reads_ = 0, writes_ = 0, acks_ = 0;
  AxiHoldCheck<uint64_t> read_check_{"vault read request"};
  AxiHoldCheck<uint64_t> write_check_{"vault write request"};
  AxiHoldCheck<Beat> data_check_{"vault write data"};
};

class Bench {
 public:
  explicit Bench(AxiStalls stalls = {}, VaultOptions options = {})
      : dut_(&context_), vault(dut_, options), axi(dut_, stalls) {
    dut_.rst_ni = 0;
    for (int i = 0; i < 3; ++i) Tick(false);
    dut_.rst_ni = 1;
  }

  void Step() { Tick(true); }
  void Run() {
    for (int n = 0; !axi.Idle(); ++n) {
      ASSERT_LT(n, 200000) << "the port hangs";
      Step();
      ASSERT_FALSE(testing::Test::HasFatalFailure());
    }
  }
  uint64_t cycle() const { return cycle_; }
  Vdut& dut() { return dut_; }

 private:
  void Tick(bool live) {
    dut_.clk_i = 0;
    if (live) {
      axi.Drive();
      vault.Drive();
    }
    dut_.eval();
    if (live) {
      axi.Sample();
      vault.Sample();
    }
    dut_.clk_i = 1;
    dut_.eval();
    ++cycle_;
  }

  VerilatedContext context_;
  Vdut dut_;
  uint64_t cycle_ = 0;

 public:
  VaultModel vault;
  AxiMaster<Vdut> axi;
};

// A legal burst within [base, base + bytes).
AxiRead DrawBurst(std::mt19937& random, uint64_t base, uint64_t bytes) {
  AxiRead burst;
  burst.id = random() % 16;
  burst.size = random() % 3 == 0 ? random() % 4 : 3;
  const uint64_t beat_bytes = uint64_t{1} << burst.size;
  const uint64_t most = std::min<uint64_t>(256, bytes / beat_bytes);
  switch (random() % 4) {
    case 0:
      burst.beats = 1;
      break;
    case 1:
      burst.beats = 1 + random() % most;
      break;
    default:
      burst.beats = 1 + random() % std::min<uint64_t>(24, most);
  }
  const uint64_t places = bytes / beat_bytes - burst.beats + 1;
  const uint64_t place = random() % 8 == 0 ? places - 1 : random() % places;
  burst.address = base + place * beat_bytes;
  if (random() % 3 == 0) burst.address += random() % beat_bytes;  // unaligned start
  return burst;
}

AxiWrite DrawWrite(std::mt19937& random, uint64_t base, uint64_t bytes) {
  const AxiRead burst = DrawBurst(random, base, bytes);
  AxiWrite write{.id = burst.id, .address = burst.address, .size = burst.size};
  const int style = random() % 3;
  for (int beat = 0; beat < burst.beats; ++beat) {
    write.data.push_back(uint64_t{random()} << 32 | random());
    const auto [first, end] = AxiBeatBytes(burst.address, burst.size, beat);
    uint8_t lanes = 0;
    for (uint64_t at = first; at < end; ++at) lanes |= static_cast<uint8_t>(1u << (at % 8));
    write.strobe.push_back(style == 0 ? lanes & random() : style == 1 && beat % 5 == 0 ? 0 : lanes);
  }
  return write;
}

void Apply(const AxiWrite& write, std::vector<uint8_t>& memory) {
  for (size_t beat = 0; beat < write.data.size(); ++beat) {
    const uint64_t word =
        AxiBeatBytes(write.address, write.size, static_cast<int>(beat)).first & ~7u;
    for (int lane = 0; lane < 8; ++lane) {
      if (write.strobe[beat] >> lane & 1) {
        memory[word + lane] = static_cast<uint8_t>(write.data[beat] >> (8 * lane));
      }
    }
  }
}

void ExpectRead(const AxiReadDone& done, const std::vector<uint8_t>& memory,
                const std::string& repeat) {
  ASSERT_EQ(done.response, AxiResponse::kOkay) << repeat;
  for (int beat = 0; beat < done.request.beats; ++beat) {
    const auto [first, end] = AxiBeatBytes(done.request.address, done.request.size, beat);
    for (uint64_t at = first; at < end; ++at) {
      ASSERT_EQ(static_cast<uint8_t>(done.data[beat] >> (8 * (at % 8))), memory[at])
          << repeat << ": byte " << at << " in beat " << beat << " of " << done.request.beats
          << " from " << done.request.address << " size " << done.request.size;
    }
  }
}

// Reads and writes at once in two halves of the memory, which change places between rounds.
void RunRandomTraffic(uint32_t seed, AxiStalls stalls, VaultOptions options, int rounds) {
  const std::string repeat = "seed " + std::to_string(seed);
  std::mt19937 random(seed);
  stalls.seed = options.seed = seed;
  Bench bench(stalls, options);
  std::vector<uint8_t> golden = bench.vault.memory();
  const uint64_t half = kMemBytes / 2;
  for (int round = 0; round < rounds; ++round) {
    const uint64_t write_base = round % 2 * half;
    const uint64_t read_base = half - write_base;
    for (int i = random() % 8; i >= 0; --i) {
      AxiWrite write = DrawWrite(random, write_base, half);
      Apply(write, golden);
      bench.axi.Queue(std::move(write));
    }
    for (int i = random() % 8; i >= 0; --i) bench.axi.Queue(DrawBurst(random, read_base, half));
    ASSERT_NO_THROW(bench.Run()) << repeat << " round " << round;
    if (testing::Test::HasFatalFailure()) return;
    for (const AxiReadDone& done : bench.axi.reads_done()) {
      ASSERT_NO_FATAL_FAILURE(ExpectRead(done, golden, repeat));
    }
    for (const AxiWriteDone& done : bench.axi.writes_done()) {
      ASSERT_EQ(done.response, AxiResponse::kOkay) << repeat;
    }
    bench.axi.reads_done().clear();
    bench.axi.writes_done().clear();
    ASSERT_EQ(bench.vault.acks(), bench.vault.writes()) << repeat << " round " << round;
    ASSERT_EQ(bench.vault.memory(), golden) << repeat << " round " << round;
  }
  for (int i = 0; i < 200; ++i) bench.Step();
  EXPECT_TRUE(bench.vault.Settled()) << repeat;
  EXPECT_GT(bench.vault.writes(), rounds);
}

TEST(AxiMemory, KeepsEveryByteWithoutStalls) { RunRandomTraffic(1, {}, {}, 400); }

TEST(AxiMemory, KeepsEveryByteUnderStallsOnEveryChannel) {
  const AxiStalls busy{.aw = 100, .w = 100, .b = 128, .ar = 100, .r = 128};
  const AxiStalls slow_master{.aw = 20, .w = 230, .b = 250, .ar = 20, .r = 230};
  const AxiStalls late_address{.aw = 250, .w = 0, .b = 0, .ar = 250, .r = 0};
  uint32_t seed = 10;
  for (const AxiStalls& stalls : {busy, slow_master, late_address}) {
    for (const WriteOrder order :
         {WriteOrder::kFree, WriteOrder::kRequestFirst, WriteOrder::kDataFirst}) {
      for (const int vault_stall : {0, 128}) {
        ASSERT_NO_FATAL_FAILURE(RunRandomTraffic(
            seed++, stalls, {.stall = vault_stall, .max_latency = 60, .order = order}, 40));
      }
    }
  }
}

TEST(AxiMemory, KeepsEveryByteWithAFastMasterAndASlowVault) {
  uint32_t seed = 50;
  for (const WriteOrder order :
       {WriteOrder::kFree, WriteOrder::kRequestFirst, WriteOrder::kDataFirst}) {
    ASSERT_NO_FATAL_FAILURE(
        RunRandomTraffic(seed++, {}, {.stall = 200, .max_latency = 100, .order = order}, 100));
  }
}

TEST(AxiMemory, StreamsLongBurstsAtOneBeatPerCycle) {
  if (!kBuffersHideLatency) GTEST_SKIP() << "buffers of the least size stall on latency";
  constexpr int kBursts = 8;
  for (const WriteOrder order :
       {WriteOrder::kFree, WriteOrder::kRequestFirst, WriteOrder::kDataFirst}) {
    for (const int latency : {1, 24}) {
      Bench bench({}, {.max_latency = latency, .order = order});
      // An unaligned start costs nothing.
      for (int i = 0; i < kBursts; ++i) {
        bench.axi.Queue(AxiRead{.address = uint64_t{2048} * i + i % 8, .beats = 256});
      }
      uint64_t start = bench.cycle();
      bench.Run();
      EXPECT_LE(bench.cycle() - start, kBursts * 257u + latency + 10) << "reads";
      for (int i = 0; i < kBursts; ++i) {
        bench.axi.Queue(AxiWrite{.address = uint64_t{2048} * i + i % 8,
                                 .data = std::vector<uint64_t>(256, 1),
                                 .strobe = std::vector<uint8_t>(256, 0xff)});
      }
      start = bench.cycle();
      bench.Run();
      // The requests of a burst wait for the acknowledgements of the one before.
      EXPECT_LE(bench.cycle() - start, kBursts * (256u + latency + 2) + 20) << "writes";
    }
  }
}

TEST(AxiMemory, AnswersAfterTheLastAcknowledgement) {
  Bench bench;
  bench.vault.HoldAcks(true);
  bench.axi.Queue(AxiWrite{
      .address = 32, .data = std::vector<uint64_t>(8, 1), .strobe = std::vector<uint8_t>(8, 0xff)});
  for (int i = 0; i < 300; ++i) bench.Step();
  EXPECT_EQ(bench.vault.writes(), 2);
  EXPECT_TRUE(bench.axi.writes_done().empty());
  bench.vault.HoldAcks(false);
  bench.Run();
  EXPECT_EQ(bench.vault.acks(), 2);
  EXPECT_EQ(bench.axi.writes_done().size(), 1u);
}

TEST(AxiMemory, RefusesWhatItCannotDoAndTouchesNothing) {
  struct Case {
    const char* name;
    AxiRead burst;
    AxiResponse response;
  };
  const Case cases[] = {
      {"first byte outside", {.address = kMemBytes}, AxiResponse::kDecodeError},
      {"last beat outside", {.address = kMemBytes - 64, .beats = 9}, AxiResponse::kDecodeError},
      {"last byte of a narrow burst outside",
       {.address = kMemBytes - 7, .beats = 8, .size = 0},
       AxiResponse::kDecodeError},
      {"beyond all addresses", {.address = 0xffffffc0, .beats = 16}, AxiResponse::kDecodeError},
      {"fixed", {.address = 64, .beats = 16, .burst = AxiBurst::kFixed}, AxiResponse::kSlaveError},
      {"wrap", {.address = 64, .beats = 4, .burst = AxiBurst::kWrap}, AxiResponse::kSlaveError},
      {"too wide", {.address = 64, .beats = 256, .size = 4}, AxiResponse::kSlaveError},
      {"widest", {.address = 64, .beats = 256, .size = 7}, AxiResponse::kSlaveError},
  };
  for (const AxiStalls& stalls : {AxiStalls{}, AxiStalls{1, 99, 99, 99, 99, 99}}) {
    Bench bench(stalls);
    const std::vector<uint8_t> before = bench.vault.memory();
    for (const Case& c : cases) {
      AxiRead read = c.burst;
      read.id = 5;
      bench.axi.Queue(read);
      bench.axi.Queue(AxiWrite{.id = 9,
                               .address = read.address,
                               .size = read.size,
                               .burst = read.burst,
                               .data = std::vector<uint64_t>(read.beats, ~uint64_t{0}),
                               .strobe = std::vector<uint8_t>(read.beats, 0xff)});
    }
    bench.Run();
    ASSERT_EQ(bench.axi.reads_done().size(), std::size(cases));
    ASSERT_EQ(bench.axi.writes_done().size(), std::size(cases));
    for (size_t i = 0; i < std::size(cases); ++i) {
      EXPECT_EQ(bench.axi.reads_done()[i].response, cases[i].response) << "read, " << cases[i].name;
      EXPECT_EQ(bench.axi.writes_done()[i].response, cases[i].response)
          << "write, " << cases[i].name;
      for (const uint64_t word : bench.axi.reads_done()[i].data) EXPECT_EQ(word, 0u);
    }
    EXPECT_EQ(bench.vault.reads() + bench.vault.writes(), 0);
    EXPECT_EQ(bench.vault.memory(), before);
    // And goes on.
    bench.axi.reads_done().clear();
    bench.axi.Queue(AxiRead{.address = kMemBytes - 64, .beats = 8});
    bench.Run();
    ExpectRead(bench.axi.reads_done().front(), before, "the last access");
  }
}

TEST(AxiMemory, RefusedBurstsKeepTheirPlaceAmongOthers) {
  Bench bench({.seed = 3, .b = 200, .r = 200}, {.max_latency = 40});
  for (int i = 0; i < 20; ++i) {
    const uint64_t address = i % 2 == 0 ? 64u * i : kMemBytes;
    bench.axi.Queue(AxiRead{.address = address, .beats = 3});
    bench.axi.Queue(AxiWrite{.address = address, .data = {1, 2, 3}, .strobe = {255, 255, 255}});
  }
  bench.Run();
  for (int i = 0; i < 20; ++i) {
    const AxiResponse expected = i % 2 == 0 ? AxiResponse::kOkay : AxiResponse::kDecodeError;
    EXPECT_EQ(bench.axi.reads_done()[i].response, expected) << i;
    EXPECT_EQ(bench.axi.writes_done()[i].response, expected) << i;
  }
  EXPECT_EQ(bench.vault.writes(), 10);
}

TEST(AxiMemory, AnswersSlverrOnlyWhereABeatIsBroken) {
  Bench bench({.seed = 5, .r = 100}, {.max_latency = 10});
  bench.vault.BreakBeat(37);
  for (uint64_t beat = 30; beat < 45; ++beat) {
    bench.axi.Queue(AxiRead{.address = 8 * beat});
    bench.axi.Queue(AxiRead{.address = 8 * beat + 1, .size = 0});
  }
  bench.axi.Queue(AxiRead{.address = 8 * 30, .beats = 7});
  bench.axi.Queue(AxiRead{.address = 8 * 30, .beats = 8});
  bench.Run();
  for (const AxiReadDone& done : bench.axi.reads_done()) {
    const auto first = done.request.address / 8;
    const bool broken = first <= 37 && first + static_cast<uint64_t>(done.request.beats) > 37;
    EXPECT_EQ(done.response, broken ? AxiResponse::kSlaveError : AxiResponse::kOkay)
        << done.request.beats << " beats from word " << first;
  }
}

TEST(AxiMemory, ReportsAStrayWlastAndGoesByTheLength) {
  Bench bench;
  for (const int stray : {0, 3, 99}) {
    bench.axi.Queue(AxiWrite{.address = 128,
                             .data = {1, 2, 3, 4, 5},
                             .strobe = std::vector<uint8_t>(5, 0xff),
                             .stray_last_beat = stray});
  }
  bench.axi.Queue(AxiWrite{.address = 256, .data = {7}, .strobe = {0xff}});
  bench.Run();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(bench.axi.writes_done()[i].response, AxiResponse::kSlaveError) << i;
  }
  EXPECT_EQ(bench.axi.writes_done()[3].response, AxiResponse::kOkay);
  EXPECT_EQ(bench.vault.memory()[256], 7);
}

TEST(AxiMemory, CopiesPiecesOfMemoryOfAnyPlaceAndLength) {
  Bench bench({}, {.max_latency = 20});
  std::vector<uint8_t> golden = bench.vault.memory();
  std::mt19937 random(4);
  const auto cycle = [&] { bench.Step(); };
  for (int i = 0; i < 30; ++i) {
    std::vector<uint8_t> bytes(random() % 5000);
    const uint64_t address = random() % (kMemBytes - bytes.size());
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    bench.axi.WriteMemory(address, bytes, cycle);
    std::copy(bytes.begin(), bytes.end(), golden.begin() + static_cast<long>(address));
    std::vector<uint8_t> back(random() % 5000);
    const uint64_t from = random() % (kMemBytes - back.size());
    bench.axi.ReadMemory(from, back, cycle);
    ASSERT_TRUE(std::equal(back.begin(), back.end(), golden.begin() + static_cast<long>(from)))
        << "copy " << i << " from " << from << " of " << back.size();
  }
  EXPECT_EQ(bench.vault.memory(), golden);
}

}  // namespace
}  // namespace vaultrain
