// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

#include "harness/axi_driver.h"
#include "vaultrain/registers.h"

namespace vaultrain {
namespace {

constexpr uint32_t kStart = RegisterFieldOf("CTRL", "START").mask();
constexpr uint32_t kAbort = RegisterFieldOf("CTRL", "ABORT").mask();
constexpr uint32_t kBusy = RegisterFieldOf("STATUS", "BUSY").mask();
constexpr uint32_t kDone = RegisterFieldOf("STATUS", "DONE").mask();
constexpr uint32_t kError = RegisterFieldOf("STATUS", "ERROR").mask();
constexpr RegisterField kErrorCode = RegisterFieldOf("STATUS", "ERROR_CODE");
constexpr uint32_t kIrqDone = RegisterFieldOf("IRQ_STATUS", "DONE").mask();
constexpr uint32_t kIrqError = RegisterFieldOf("IRQ_STATUS", "ERROR").mask();
constexpr uint64_t kCounterMask = (uint64_t{1} << 40) - 1;  // as in host_registers.cmake
constexpr AxiStalls kBusyHost{.seed = 7, .aw = 120, .w = 120, .b = 120, .ar = 120, .r = 120};

class Bench {
 public:
  explicit Bench(AxiStalls stalls = {}) : dut(&context_), axil_(dut, stalls) {
    dut.rst_ni = 0;
    for (int i = 0; i < 3; ++i) Tick();
    dut.rst_ni = 1;
  }

  void Tick() {
    dut.clk_i = 0;
    // The table of job times: a memory with one cycle of latency.
    dut.job_cycle_i = job_read_;
    if (dut.rst_ni) axil_.Drive();
    dut.eval();
    if (dut.rst_ni) axil_.Sample();
    job_read_ = 0x1000 + 3 * dut.job_index_o;
    starts += dut.start_o;
    aborts += dut.abort_o;
    if (dut.start_o) started_before_running = !dut.running_o;
    running_cycles += dut.running_o;
    if (dut.start_o) running_cycles = 1;
    dut.clk_i = 1;
    dut.eval();
    dut.done_i = dut.error_i = 0;
  }
  AxiLiteResult Write(uint32_t offset, uint32_t data, uint8_t strobe = 0xf) {
    return axil_.Write(
        offset, data, [this] { Tick(); }, strobe);
  }
  AxiLiteResult Read(uint32_t offset) {
    return axil_.Read(offset, [this] { Tick(); });
  }
  uint32_t Value(uint32_t offset) {
    const AxiLiteResult result = Read(offset);
    EXPECT_EQ(result.response, AxiResponse::kOkay) << "offset " << offset;
    return result.data;
  }
  uint64_t Counter(uint32_t low) {
    const uint64_t value = Value(low);
    return value | uint64_t{Value(low + 4)} << 32;
  }
  void Done() {
    dut.done_i = 1;
    Tick();
  }
  void Fail(uint8_t code, uint32_t info) {
    dut.error_i = 1;
    dut.error_code_i = code;
    dut.error_info_i = info;
    Tick();
  }

 private:
  VerilatedContext context_;

 public:
  Vdut dut;
  int starts = 0, aborts = 0;
  bool started_before_running = false;
  uint64_t running_cycles = 0;

 private:
  AxiLiteMaster<Vdut> axil_;
  uint32_t job_read_ = 0;
};

TEST(HostRegisters, ShowTheResetValuesOfTheTable) {
  Bench bench;
  for (const Register& reg : kRegisters) {
    if (reg.name.starts_with("DIGEST") || reg.name == "JOB_CYCLE") continue;
    EXPECT_EQ(bench.Value(reg.offset), reg.reset) << reg.name;
  }
  EXPECT_EQ(bench.Value(RegisterOffset("DIGEST0")), 0xba7816bfu);
  EXPECT_EQ(bench.Value(RegisterOffset("DIGEST1")), 0x8f01cfeau);
  EXPECT_EQ(bench.Value(RegisterOffset("DIGEST2")), 0x414140deu);
  EXPECT_EQ(bench.Value(RegisterOffset("DIGEST3")), 0x5dae2223u);
}

TEST(HostRegisters, AnswerEveryAddressAsTheTableSays) {
  Bench bench(kBusyHost);
  std::map<uint32_t, const Register*> table;
  for (const Register& reg : kRegisters) table[reg.offset] = &reg;
  for (uint32_t offset = 0; offset < 1u << kRegisterAddressBits; ++offset) {
    const auto entry = table.find(offset);
    const bool known = entry != table.end();
    const bool writable = known && entry->second->access != RegisterAccess::kReadOnly;
    const auto read = bench.Read(offset);
    ASSERT_EQ(read.response, known ? AxiResponse::kOkay : AxiResponse::kSlaveError) << offset;
    if (!known) {
      ASSERT_EQ(read.data, 0u) << offset;
    }
    // Zero writes nothing that starts a run.
    ASSERT_EQ(bench.Write(offset, 0).response,
              writable ? AxiResponse::kOkay : AxiResponse::kSlaveError)
        << offset;
  }
}

TEST(HostRegisters, KeepConfigurationByteByByte) {
  for (const AxiStalls& stalls : {AxiStalls{}, kBusyHost}) {
    Bench bench(stalls);
    std::mt19937 random(2);
    std::map<uint32_t, uint32_t> golden;
    std::vector<uint32_t> offsets;
    for (const Register& reg : kRegisters) {
      if (reg.access != RegisterAccess::kConfig) continue;
      offsets.push_back(reg.offset);
      golden[reg.offset] = reg.reset;
    }
    for (int i = 0; i < 2000; ++i) {
      const uint32_t offset = offsets[random() % offsets.size()];
      const uint32_t data = random();
      const uint8_t strobe = random() % 16;
      ASSERT_EQ(bench.Write(offset, data, strobe).response, AxiResponse::kOkay);
      for (int b = 0; b < 4; ++b) {
        const uint32_t mask = strobe >> b & 1 ? 0xffu << (8 * b) : 0;
        golden[offset] = (golden[offset] & ~mask) | (data & mask);
      }
      // A write that is refused changes nothing.
      bench.Write(offset + 1 + random() % 3, random());
      const uint32_t check = offsets[random() % offsets.size()];
      ASSERT_EQ(bench.Value(check), golden[check]) << "offset " << check << " after write " << i;
    }
    const auto pair = [&](uint32_t low) { return golden[low] | uint64_t{golden[low + 4]} << 32; };
    EXPECT_EQ(bench.dut.prog_addr_o, pair(RegisterOffset("PROG_ADDR_LO")));
    EXPECT_EQ(bench.dut.prog_count_o, golden[RegisterOffset("PROG_COUNT")]);
    EXPECT_EQ(bench.dut.window_base_o, pair(RegisterOffset("WINDOW_BASE_LO")));
    EXPECT_EQ(bench.dut.window_size_o, pair(RegisterOffset("WINDOW_SIZE_LO")));
    EXPECT_EQ(bench.dut.watchdog_o, golden[RegisterOffset("WATCHDOG")]);
    for (int s = 0; s < kRegisterScalars; ++s) {
      EXPECT_EQ(bench.dut.scalars_o[s], golden[RegisterOffset("SCALAR0") + 4 * s])
          << "scalar " << s;
    }
  }
}

TEST(HostRegisters, StartRunsOnceAndLocksTheConfiguration) {
  Bench bench;
  bench.Write(RegisterOffset("PROG_COUNT"), 5);
  EXPECT_EQ(bench.Write(RegisterOffset("CTRL"), kStart, 0xe).response, AxiResponse::kOkay);
  EXPECT_EQ(bench.starts, 0) << "the strobe of the byte was off";
  EXPECT_EQ(bench.Write(RegisterOffset("CTRL"), kStart).response, AxiResponse::kOkay);
  EXPECT_EQ(bench.starts, 1);
  EXPECT_FALSE(bench.started_before_running);
  EXPECT_EQ(bench.Value(RegisterOffset("CTRL")), 0u);
  EXPECT_EQ(bench.Value(RegisterOffset("STATUS")), kBusy);
  EXPECT_EQ(bench.Write(RegisterOffset("CTRL"), kStart).response, AxiResponse::kSlaveError);
  for (const Register& reg : kRegisters) {
    if (reg.access != RegisterAccess::kConfig) continue;
    const uint32_t before = bench.Value(reg.offset);
    EXPECT_EQ(bench.Write(reg.offset, ~before).response, AxiResponse::kSlaveError) << reg.name;
    EXPECT_EQ(bench.Value(reg.offset), before) << reg.name;
  }
  EXPECT_EQ(bench.starts, 1);
  bench.Done();
  EXPECT_EQ(bench.Value(RegisterOffset("STATUS")), kDone);
  EXPECT_EQ(bench.Write(RegisterOffset("PROG_COUNT"), 6).response, AxiResponse::kOkay);
  EXPECT_EQ(bench.Write(RegisterOffset("CTRL"), kStart).response, AxiResponse::kOkay);
  EXPECT_EQ(bench.starts, 2);
  EXPECT_EQ(bench.Value(RegisterOffset("STATUS")), kBusy);
}

TEST(HostRegisters, AbortReachesARunOnly) {
  Bench bench;
  bench.Write(RegisterOffset("CTRL"), kAbort);
  bench.Tick();
  EXPECT_EQ(bench.aborts, 0);
  bench.Write(RegisterOffset("CTRL"), kStart);
  bench.Write(RegisterOffset("CTRL"), kAbort);
  bench.Tick();
  EXPECT_EQ(bench.aborts, 1);
  EXPECT_EQ(bench.Value(RegisterOffset("STATUS")), kBusy);
}

TEST(HostRegisters, KeepTheFirstErrorUntilTheNextStart) {
  Bench bench;
  bench.Write(RegisterOffset("CTRL"), kStart);
  bench.Fail(0x5a, 1234);
  bench.Fail(0x11, 99);
  EXPECT_EQ(bench.Value(RegisterOffset("STATUS")), kError | kErrorCode.Put(0x5a));
  EXPECT_EQ(bench.Value(RegisterOffset("ERROR_INFO")), 1234u);
  bench.Done();
  EXPECT_EQ(bench.Value(RegisterOffset("STATUS")), kError | kErrorCode.Put(0x5a))
      << "done in no run";
  bench.Write(RegisterOffset("CTRL"), kStart);
  EXPECT_EQ(bench.Value(RegisterOffset("STATUS")), kBusy);
  EXPECT_EQ(bench.Value(RegisterOffset("ERROR_INFO")), 0u);
  bench.dut.done_i = 1;
  bench.Fail(3, 4);
  EXPECT_EQ(bench.Value(RegisterOffset("STATUS")), kError | kErrorCode.Put(3))
      << "error goes first";
}

TEST(HostRegisters, InterruptFollowsEnabledEventsUntilCleared) {
  Bench bench;
  const auto settle = [&] {
    bench.Tick();
    bench.Tick();
    return bench.dut.irq_o != 0;
  };
  bench.Write(RegisterOffset("CTRL"), kStart);
  bench.Done();
  EXPECT_FALSE(settle()) << "not enabled";
  EXPECT_EQ(bench.Value(RegisterOffset("IRQ_STATUS")), kIrqDone);
  bench.Write(RegisterOffset("IRQ_ENABLE"), kIrqError);
  EXPECT_FALSE(settle()) << "the other one is enabled";
  bench.Write(RegisterOffset("IRQ_ENABLE"), kIrqDone | kIrqError);
  EXPECT_EQ(bench.Value(RegisterOffset("IRQ_ENABLE")), kIrqDone | kIrqError);
  EXPECT_TRUE(settle());
  bench.Write(RegisterOffset("IRQ_STATUS"), kIrqError);
  EXPECT_TRUE(settle()) << "another bit was cleared";
  bench.Write(RegisterOffset("IRQ_STATUS"), kIrqDone, 0xe);
  EXPECT_TRUE(settle()) << "the strobe of the byte was off";
  bench.Write(RegisterOffset("IRQ_STATUS"), kIrqDone);
  EXPECT_FALSE(settle());
  bench.Fail(1, 0);
  EXPECT_TRUE(settle()) << "an error in no run";
  EXPECT_EQ(bench.Value(RegisterOffset("IRQ_STATUS")), kIrqError);
  bench.Write(RegisterOffset("IRQ_ENABLE"), 0, 0x1);
  EXPECT_FALSE(settle());
}

TEST(HostRegisters, AnEventInTheCycleOfItsClearingStays) {
  for (int delay = 0; delay < 6; ++delay) {
    Bench bench;
    bench.Write(RegisterOffset("CTRL"), kStart);
    bench.Fail(1, 0);
    // The clear lands in one of these cycles, the error in another; only an error before it is
    // lost.
    bench.dut.s_axil_awaddr_i = RegisterOffset("IRQ_STATUS");
    bool pending_after = false;
    int clears = 0;
    {
      Vdut& dut = bench.dut;
      for (int cycle = 0; cycle < 8; ++cycle) {
        dut.clk_i = 0;
        dut.s_axil_awaddr_i = RegisterOffset("IRQ_STATUS");
        dut.s_axil_awvalid_i = dut.s_axil_wvalid_i = cycle == 0;
        dut.s_axil_wdata_i = kIrqError;
        dut.s_axil_wstrb_i = 0xf;
        dut.s_axil_bready_i = 1;
        dut.error_i = cycle == delay;
        dut.eval();
        // The write commits in the cycle before B.
        if (dut.s_axil_bvalid_o && clears++ == 0) pending_after = delay >= cycle - 1;
        dut.clk_i = 1;
        dut.eval();
      }
      dut.error_i = 0;
    }
    EXPECT_EQ(clears, 1);
    EXPECT_EQ(bench.Value(RegisterOffset("IRQ_STATUS")), pending_after ? kIrqError : 0u) << delay;
  }
}

TEST(HostRegisters, CountEveryEventOfARunAndNoOther) {
  for (const AxiStalls& stalls : {AxiStalls{}, kBusyHost}) {
    Bench bench(stalls);
    Vdut& d = bench.dut;
    std::array<uint64_t, kRegisterCounters> golden = {};
    std::mt19937 random(3);
    const auto drive = [&] {
      std::array<uint32_t, kRegisterCounters> events = {1};
      for (int c = 1; c < kRegisterCounters; ++c) {
        events[c] = random() % 4 == 0 ? random() : random() % (c + 4);
      }
      d.ev_mac_cycles_i = events[1];
      d.ev_dram_reads_i = events[2];
      d.ev_dram_writes_i = events[3];
      d.ev_dram_activates_i = events[4];
      d.ev_dram_refreshes_i = events[5];
      d.ev_row_misses_i = events[6];
      d.ev_stall_a_i = events[7];
      d.ev_stall_b_i = events[8];
      d.ev_stall_drain_i = events[9];
      d.ev_stall_load_i = events[10];
      d.ev_stall_store_i = events[11];
      return events;
    };
    for (int run = 0; run < 3; ++run) {
      for (int i = 0; i < 20; ++i) drive(), bench.Tick();
      bench.Write(RegisterOffset("CTRL"), kStart);
      // Up to here the inputs stood still since the start pulse.
      const uint64_t already = bench.running_cycles;
      const std::array<uint64_t, kRegisterCounters> still = {1,
                                                             d.ev_mac_cycles_i,
                                                             d.ev_dram_reads_i,
                                                             d.ev_dram_writes_i,
                                                             d.ev_dram_activates_i,
                                                             d.ev_dram_refreshes_i,
                                                             d.ev_row_misses_i,
                                                             d.ev_stall_a_i,
                                                             d.ev_stall_b_i,
                                                             d.ev_stall_drain_i,
                                                             d.ev_stall_load_i,
                                                             d.ev_stall_store_i};
      ASSERT_GT(already, 0u);
      for (int c = 0; c < kRegisterCounters; ++c) golden[c] = already * still[c];
      for (int i = 0; i < 500 + run; ++i) {
        const auto events = drive();
        for (int c = 0; c < kRegisterCounters; ++c) golden[c] += events[c];
        if (i == 499 + run) d.done_i = 1;
        bench.Tick();
      }
      ASSERT_EQ(golden[0], bench.running_cycles);
      for (int i = 0; i < 20; ++i) drive(), bench.Tick();
      for (int c = 0; c < kRegisterCounters; ++c) {
        EXPECT_EQ(bench.Counter(RegisterOffset("CYCLES_LO") + 8 * c), golden[c] & kCounterMask)
            << "counter " << c << " run " << run;
      }
      EXPECT_EQ(d.cycle_o, golden[0]);
    }
  }
}

// With 2^32 - 1 events a cycle, n cycles leave -n in the low word and n - 1 in the high one.
TEST(HostRegisters, ReadingLowKeepsTheHighOfThatMoment) {
  for (const AxiStalls& stalls : {AxiStalls{}, kBusyHost}) {
    Bench bench(stalls);
    bench.dut.ev_dram_reads_i = 0xffffffff;
    bench.Write(RegisterOffset("CTRL"), kStart);
    for (int i = 0; i < 20; ++i) {
      const uint32_t low = bench.Value(RegisterOffset("DRAM_READS_LO"));
      bench.Tick();
      EXPECT_EQ(bench.Value(RegisterOffset("DRAM_READS_HI")), (-low - 1) & 0xff) << "read " << i;
    }
  }
}

TEST(HostRegisters, ShowTheJobTimeOfTheIndexWrittenBefore) {
  for (const AxiStalls& stalls : {AxiStalls{}, kBusyHost}) {
    Bench bench(stalls);
    for (uint32_t index = 0; index < kRegisterJobEntries; ++index) {
      const uint32_t entry = index * 37 % kRegisterJobEntries;
      bench.Write(RegisterOffset("JOB_INDEX"), entry);
      EXPECT_EQ(bench.Value(RegisterOffset("JOB_CYCLE")), 0x1000 + 3 * entry);
    }
    bench.Write(RegisterOffset("JOB_INDEX"), 63, 0xe);
    EXPECT_EQ(bench.Value(RegisterOffset("JOB_CYCLE")), 0x1000 + 3 * (63u * 37 % 64));
  }
}

// Both directions at once, several transactions deep, which the ordered master never does.
TEST(HostRegisters, ServeReadsAndWritesIndependently) {
  Bench bench;
  Vdut& dut = bench.dut;
  std::mt19937 random(5);
  constexpr int kAccesses = 3000;
  int aw = 0, w = 0, b = 0, ar = 0, r = 0;
  bool aw_valid = false, w_valid = false, ar_valid = false;
  AxiHoldCheck<int> b_check("B");
  AxiHoldCheck<std::pair<uint32_t, int>> r_check("R");
  const auto scalar = [](int n) { return RegisterOffset("SCALAR0") + 4 * (n % kRegisterScalars); };
  const auto value = [](int n) { return 0x9e3779b9u * (n + 1); };
  for (int cycle = 0; b < kAccesses || r < kAccesses; ++cycle) {
    ASSERT_LT(cycle, 20 * kAccesses) << "hangs";
    dut.clk_i = 0;
    aw_valid = aw < kAccesses && (aw_valid || random() % 3 != 0);
    w_valid = w < kAccesses && (w_valid || random() % 3 != 0);
    ar_valid = ar < kAccesses && (ar_valid || random() % 3 != 0);
    dut.s_axil_awvalid_i = aw_valid;
    dut.s_axil_awaddr_i = aw % 5 == 4 ? 0xffc : scalar(aw);
    dut.s_axil_wvalid_i = w_valid;
    dut.s_axil_wdata_i = value(w);
    dut.s_axil_wstrb_i = 0xf;
    dut.s_axil_arvalid_i = ar_valid;
    dut.s_axil_araddr_i = ar % 3 == 2 ? 0xffc : RegisterOffset("ID");
    dut.s_axil_bready_i = random() % 3 != 0;
    dut.s_axil_rready_i = random() % 3 != 0;
    dut.eval();
    b_check.Check(dut.s_axil_bvalid_o, dut.s_axil_bready_i, dut.s_axil_bresp_o);
    r_check.Check(dut.s_axil_rvalid_o, dut.s_axil_rready_i,
                  {dut.s_axil_rdata_o, dut.s_axil_rresp_o});
    if (dut.s_axil_bvalid_o) {
      ASSERT_LT(b, std::min(aw, w)) << "B without a write";
    }
    if (dut.s_axil_rvalid_o) {
      ASSERT_LT(r, ar) << "R without a read";
    }
    if (dut.s_axil_bvalid_o && dut.s_axil_bready_i) {
      ASSERT_EQ(dut.s_axil_bresp_o, b % 5 == 4 ? 2 : 0) << "write " << b;
      ++b;
    }
    if (dut.s_axil_rvalid_o && dut.s_axil_rready_i) {
      ASSERT_EQ(dut.s_axil_rresp_o, r % 3 == 2 ? 2 : 0) << "read " << r;
      ASSERT_EQ(dut.s_axil_rdata_o, r % 3 == 2 ? 0u : RegisterOf("ID").reset) << "read " << r;
      ++r;
    }
    if (aw_valid && dut.s_axil_awready_o) ++aw, aw_valid = false;
    if (w_valid && dut.s_axil_wready_o) ++w, w_valid = false;
    if (ar_valid && dut.s_axil_arready_o) ++ar, ar_valid = false;
    dut.clk_i = 1;
    dut.eval();
  }
  for (int s = 0; s < kRegisterScalars; ++s) {
    int last = kAccesses - 1;
    while (last % kRegisterScalars != s || last % 5 == 4) --last;
    EXPECT_EQ(dut.scalars_o[s], value(last)) << "scalar " << s;
  }
}

}  // namespace
}  // namespace vaultrain
