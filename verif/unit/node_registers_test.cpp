// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "vaultrain/registers.h"

namespace vaultrain {
namespace {

constexpr uint32_t kBusy = RegisterFieldOf("NODE_STATUS", "BUSY").mask();
constexpr uint32_t kDone = RegisterFieldOf("NODE_STATUS", "DONE").mask();
constexpr uint32_t kError = RegisterFieldOf("NODE_STATUS", "ERROR").mask();
constexpr RegisterField kErrorCode = RegisterFieldOf("NODE_STATUS", "ERROR_CODE");
constexpr uint32_t kFreeze = RegisterFieldOf("FAULT", "FREEZE").mask();
constexpr uint64_t kCounterMask = (uint64_t{1} << 40) - 1;  // as in node_registers.cmake

struct Answer {
  uint32_t data;
  bool error;
};

std::vector<const Register*> NodeRegisters() {
  std::vector<const Register*> found;
  for (const Register& reg : kRegisters) {
    if (reg.page == RegisterPage::kNode) found.push_back(&reg);
  }
  return found;
}

class Bench {
 public:
  Bench() : dut(&context_) {
    dut.rst_ni = 0;
    for (int i = 0; i < 3; ++i) Tick();
    dut.rst_ni = 1;
  }

  void Tick() {
    dut.clk_i = 0;
    // The table of job times: a memory with one cycle of latency.
    dut.job_cycle_i = job_read_;
    dut.eval();
    job_read_ = 0x1000 + 3 * dut.job_index_o;
    dones += dut.done_o;
    errors += dut.error_o;
    running_cycles += dut.running_o;
    dut.clk_i = 1;
    dut.eval();
    dut.done_i = dut.error_i = dut.start_i = dut.reg_select_i = dut.dropped_i = 0;
  }
  Answer Access(bool write, uint32_t offset, uint32_t data, uint8_t strobe) {
    dut.reg_select_i = 1;
    dut.reg_write_i = write;
    dut.reg_addr_i = offset;
    dut.reg_wdata_i = data;
    dut.reg_wstrb_i = strobe;
    Tick();
    // Only the cycle of the select counts.
    dut.reg_write_i = !write;
    dut.reg_addr_i = ~offset & 0xfff;
    dut.reg_wdata_i = ~data;
    Tick();
    const Answer answer{dut.reg_rdata_o, dut.reg_error_o != 0};
    Tick();
    EXPECT_EQ(dut.reg_rdata_o, answer.data) << "the answer stays";
    return answer;
  }
  bool Write(uint32_t offset, uint32_t data, uint8_t strobe = 0xf) {
    return !Access(true, offset, data, strobe).error;
  }
  Answer Read(uint32_t offset) { return Access(false, offset, 0, 0xf); }
  uint32_t Value(uint32_t offset) {
    const Answer answer = Read(offset);
    EXPECT_FALSE(answer.error) << "offset " << offset;
    return answer.data;
  }
  uint64_t Counter(uint32_t low) {
    const uint64_t value = Value(low);
    return value | uint64_t{Value(low + 4)} << 32;
  }
  void Start() {
    dut.start_i = 1;
    Tick();
    running_cycles = 0;
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
  int dones = 0, errors = 0;
  uint64_t running_cycles = 0;

 private:
  uint32_t job_read_ = 0;
};

TEST(NodeRegisters, ShowTheResetValuesOfTheTable) {
  Bench bench;
  for (const Register* reg : NodeRegisters()) {
    if (reg->name == "JOB_CYCLE") continue;
    EXPECT_EQ(bench.Value(reg->offset), reg->reset) << reg->name;
  }
}

TEST(NodeRegisters, AnswerEveryAddressAsTheTableSays) {
  Bench bench;
  std::map<uint32_t, const Register*> table;
  for (const Register* reg : NodeRegisters()) table[reg->offset] = reg;
  for (const bool busy : {false, true}) {
    bench.dut.busy_i = busy;
    for (uint32_t offset = 0; offset < 1u << kRegisterPageBits; ++offset) {
      const auto entry = table.find(offset);
      const bool known = entry != table.end();
      const bool locked = known && entry->second->access == RegisterAccess::kConfig && busy;
      const bool writable = known && entry->second->access != RegisterAccess::kReadOnly && !locked;
      const Answer read = bench.Read(offset);
      ASSERT_EQ(read.error, !known) << offset;
      if (!known) {
        ASSERT_EQ(read.data, 0u) << offset;
      }
      ASSERT_EQ(bench.Write(offset, 0), writable) << offset;
    }
  }
}

TEST(NodeRegisters, KeepConfigurationByteByByteAndLockItWhileBusy) {
  Bench bench;
  std::mt19937 random(2);
  std::map<uint32_t, uint32_t> golden;
  std::vector<uint32_t> offsets;
  for (const Register* reg : NodeRegisters()) {
    if (reg->access != RegisterAccess::kConfig) continue;
    offsets.push_back(reg->offset);
    golden[reg->offset] = reg->reset;
  }
  for (int i = 0; i < 3000; ++i) {
    const uint32_t offset = offsets[random() % offsets.size()];
    const uint32_t data = random();
    const uint8_t strobe = random() % 16;
    const bool busy = random() % 4 == 0;
    bench.dut.busy_i = busy;
    ASSERT_EQ(bench.Write(offset, data, strobe), !busy);
    for (int b = 0; b < 4 && !busy; ++b) {
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
    EXPECT_EQ(bench.dut.scalars_o[s], golden[RegisterOffset("SCALAR0") + 4 * s]) << "scalar " << s;
  }
}

TEST(NodeRegisters, ShowTheStateOfTheRun) {
  Bench bench;
  bench.Done();
  bench.Tick();
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_STATUS")), 0u) << "done in no run";
  bench.Start();
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_STATUS")), kBusy);
  bench.Done();
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_STATUS")), kDone);
  EXPECT_EQ(bench.dones, 1);
  bench.Start();
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_STATUS")), kBusy);
  bench.Fail(0x5a, 1234);
  bench.Fail(0x11, 99);
  bench.Tick();
  EXPECT_EQ(bench.errors, 1) << "the run had ended";
  EXPECT_EQ(bench.dut.error_code_o, 0x5a);
  EXPECT_EQ(bench.dut.error_info_o, 1234u);
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_STATUS")), kError | kErrorCode.Put(0x5a));
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_ERROR_INFO")), 1234u);
  bench.Start();
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_STATUS")), kBusy);
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_ERROR_INFO")), 0u);
  bench.dut.done_i = 1;
  bench.Fail(3, 4);
  EXPECT_EQ(bench.Value(RegisterOffset("NODE_STATUS")), kError | kErrorCode.Put(3));
  EXPECT_EQ(bench.dones, 1) << "an error goes first";
}

TEST(NodeRegisters, CountEveryEventOfARunAndNoOther) {
  Bench bench;
  Vdut& d = bench.dut;
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
    d.ev_stall_send_i = events[12];
    d.ev_noc_flits_i = events[13];
    d.ev_ecc_corrected_i = events[14];
    d.ev_ecc_uncorrectable_i = events[15];
    d.ev_lane_cycles_i = events[16];
    return events;
  };
  for (int run = 0; run < 3; ++run) {
    for (int i = 0; i < 20; ++i) drive(), bench.Tick();
    bench.Start();
    std::array<uint64_t, kRegisterCounters> golden = {};
    for (int i = 0; i < 500 + run; ++i) {
      const auto events = drive();
      for (int c = 0; c < kRegisterCounters; ++c) golden[c] += events[c];
      if (i == 499 + run) d.done_i = 1;
      bench.Tick();
    }
    EXPECT_EQ(golden[0], bench.running_cycles);
    for (int i = 0; i < 20; ++i) drive(), bench.Tick();
    for (int c = 0; c < kRegisterCounters; ++c) {
      EXPECT_EQ(bench.Counter(RegisterOffset("CYCLES_LO") + 8 * c), golden[c] & kCounterMask)
          << "counter " << c << " run " << run;
    }
    EXPECT_EQ(d.cycle_o, golden[0]);
  }
}

// With 2^32 - 1 events a cycle, n cycles leave -n in the low word and n - 1 in the high one.
TEST(NodeRegisters, ReadingLowKeepsTheHighOfThatMoment) {
  Bench bench;
  bench.dut.ev_dram_reads_i = 0xffffffff;
  bench.Start();
  for (int i = 0; i < 20; ++i) {
    const uint32_t low = bench.Value(RegisterOffset("DRAM_READS_LO"));
    bench.Value(RegisterOffset("NODE_STATUS"));
    for (int again = 0; again < 2; ++again) {
      EXPECT_EQ(bench.Value(RegisterOffset("DRAM_READS_HI")), (-low - 1) & 0xff) << "read " << i;
    }
  }
}

TEST(NodeRegisters, ShowTheJobTimeOfTheIndexWrittenBefore) {
  Bench bench;
  for (uint32_t index = 0; index < kRegisterJobEntries; ++index) {
    const uint32_t entry = index * 37 % kRegisterJobEntries;
    bench.Write(RegisterOffset("JOB_INDEX"), entry);
    EXPECT_EQ(bench.Value(RegisterOffset("JOB_CYCLE")), 0x1000 + 3 * entry);
  }
  bench.Write(RegisterOffset("JOB_INDEX"), 63, 0xe);
  EXPECT_EQ(bench.Value(RegisterOffset("JOB_CYCLE")), 0x1000 + 3 * (63u * 37 % 64));
}

TEST(NodeRegisters, FaultsLastUntilTheyHaveHappened) {
  Bench bench;
  bench.dut.busy_i = 1;  // during a run, too
  EXPECT_TRUE(bench.Write(RegisterOffset("FAULT"), kFreeze | 0x5));
  EXPECT_TRUE(bench.dut.freeze_o);
  EXPECT_EQ(bench.dut.drop_credit_o, 0x5);
  bench.dut.dropped_i = 0x4;
  bench.Tick();
  EXPECT_EQ(bench.Value(RegisterOffset("FAULT")), kFreeze | 0x1);
  EXPECT_TRUE(bench.Write(RegisterOffset("FAULT"), 0, 0x2));
  EXPECT_EQ(bench.Value(RegisterOffset("FAULT")), 0x1u) << "byte 1 alone";
  EXPECT_FALSE(bench.dut.freeze_o);
  EXPECT_TRUE(bench.Write(RegisterOffset("FAULT"), 0));
  EXPECT_EQ(bench.dut.drop_credit_o, 0);
}

}  // namespace
}  // namespace vaultrain
