// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <Vdut.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>

#include "harness/axi_driver.h"
#include "vaultrain/isa.h"
#include "vaultrain/registers.h"

namespace vaultrain {
namespace {

constexpr int kNodes = 6;  // 3 x 2, as in host_registers.cmake
constexpr int kSettleCycles = 100;
constexpr uint32_t kAll = (1u << kNodes) - 1;
constexpr uint32_t kStart = RegisterFieldOf("CTRL", "START").mask();
constexpr uint32_t kAbort = RegisterFieldOf("CTRL", "ABORT").mask();
constexpr uint32_t kBusy = RegisterFieldOf("STATUS", "BUSY").mask();
constexpr uint32_t kDone = RegisterFieldOf("STATUS", "DONE").mask();
constexpr uint32_t kError = RegisterFieldOf("STATUS", "ERROR").mask();
constexpr RegisterField kErrorCode = RegisterFieldOf("STATUS", "ERROR_CODE");
constexpr RegisterField kErrorNode = RegisterFieldOf("STATUS", "ERROR_NODE");
constexpr uint32_t kIrqDone = RegisterFieldOf("IRQ_STATUS", "DONE").mask();
constexpr uint32_t kIrqError = RegisterFieldOf("IRQ_STATUS", "ERROR").mask();
constexpr auto kMeshError = static_cast<uint32_t>(isa::ErrorCode::kMesh);
constexpr AxiStalls kBusyHost{.seed = 7, .aw = 120, .w = 120, .b = 120, .ar = 120, .r = 120};

// An access that a node saw.
struct NodeAccess {
  uint32_t nodes = 0;  // selected
  bool write = false;
  uint32_t address = 0;
  uint32_t data = 0;
  uint32_t strobe = 0;
  bool operator==(const NodeAccess&) const = default;
};

class Bench {
 public:
  explicit Bench(AxiStalls stalls = {}) : dut(&context_), axil_(dut, stalls) {
    dut.rst_ni = 0;
    dut.data_idle_i = dut.red_idle_i = kAll;
    for (int i = 0; i < 3; ++i) Tick();
    dut.rst_ni = 1;
  }

  void Tick() {
    dut.clk_i = 0;
    if (dut.rst_ni) axil_.Drive();
    // The nodes' answer to the select of two cycles ago, and noise at any other time.
    for (int n = 0; n < kNodes; ++n) {
      dut.reg_rdata_i[n] = answer_in_ == 1 ? Answer(n, last_.address) : random_();
    }
    dut.reg_error_i = answer_in_ == 1 ? refusing & last_.nodes : random_() & kAll;
    dut.eval();
    if (dut.rst_ni) axil_.Sample();
    if (answer_in_ > 0) --answer_in_;
    if (dut.reg_select_o != 0 && dut.rst_ni) {
      last_ = {dut.reg_select_o, dut.reg_write_o != 0, dut.reg_addr_o, dut.reg_wdata_o,
               dut.reg_wstrb_o};
      accesses.push_back(last_);
      answer_in_ = 2;
    }
    if (dut.start_o != 0) starts.push_back(dut.start_o);
    aborts += dut.abort_o;
    busy_cycles += dut.busy_o;
    dut.clk_i = 1;
    dut.eval();
    dut.done_i = dut.error_i = dut.mesh_error_i = 0;
  }
  void Ticks(int count) {
    for (int i = 0; i < count; ++i) Tick();
  }
  AxiLiteResult Write(uint32_t address, uint32_t data, uint8_t strobe = 0xf) {
    return axil_.Write(
        address, data, [this] { Tick(); }, strobe);
  }
  AxiLiteResult Read(uint32_t address) {
    return axil_.Read(address, [this] { Tick(); });
  }
  uint32_t Value(uint32_t address) {
    const AxiLiteResult result = Read(address);
    EXPECT_EQ(result.response, AxiResponse::kOkay) << "address " << address;
    return result.data;
  }
  uint32_t Status() { return Value(RegisterAddress("STATUS")); }
  void Start() { EXPECT_EQ(Write(RegisterAddress("CTRL"), kStart).response, AxiResponse::kOkay); }
  void Done(uint32_t nodes) {
    dut.done_i = nodes;
    Tick();
  }
  void Fail(int node, uint8_t code, uint32_t info) {
    dut.error_i |= 1u << node;
    dut.error_code_i &= ~(uint64_t{0xff} << (8 * node));
    dut.error_code_i |= uint64_t{code} << (8 * node);
    dut.error_info_i[node] = info;
  }

  static uint32_t Answer(int node, uint32_t address) { return 0x9e3779b9u * (address + 1) + node; }

 private:
  VerilatedContext context_;

 public:
  Vdut dut;
  std::vector<uint32_t> starts;
  std::vector<NodeAccess> accesses;
  uint32_t refusing = 0;  // nodes that answer with an error
  int aborts = 0;
  uint64_t busy_cycles = 0;

 private:
  AxiLiteMaster<Vdut> axil_;
  std::mt19937 random_{4};
  NodeAccess last_;
  int answer_in_ = 0;
};

TEST(HostRegisters, ShowTheResetValuesOfTheTableAndTheVariant) {
  Bench bench;
  const std::map<std::string_view, uint32_t> variant = {
      {"DIGEST0", 0xba7816bf}, {"DIGEST1", 0x8f01cfea}, {"DIGEST2", 0x414140de},
      {"DIGEST3", 0x5dae2223}, {"NODES", kNodes},       {"MESH", 0x0203},
      {"NODE_MASK", kAll}};
  for (const Register& reg : kRegisters) {
    if (reg.page != RegisterPage::kModule) continue;
    const auto of_variant = variant.find(reg.name);
    EXPECT_EQ(bench.Value(reg.offset), of_variant == variant.end() ? reg.reset : of_variant->second)
        << reg.name;
  }
}

TEST(HostRegisters, AnswerEveryAddressOfThePageAsTheTableSays) {
  Bench bench(kBusyHost);
  std::map<uint32_t, const Register*> table;
  for (const Register& reg : kRegisters) {
    if (reg.page == RegisterPage::kModule) table[reg.offset] = &reg;
  }
  for (uint32_t offset = 0; offset < 1u << kRegisterPageBits; ++offset) {
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
  EXPECT_TRUE(bench.accesses.empty()) << "page 0 is no node's";
}

TEST(HostRegisters, PagesReachTheirNodesAndNoOthers) {
  for (const AxiStalls& stalls : {AxiStalls{}, kBusyHost}) {
    Bench bench(stalls);
    std::mt19937 random(2);
    for (int i = 0; i < 3000; ++i) {
      const uint32_t page = random() % 4 == 0 ? random() % 64 : 1 + random() % kNodes;
      if (page == 0) continue;
      const uint32_t offset = random() % (1 << kRegisterPageBits);
      const uint32_t address = page << kRegisterPageBits | offset;
      const bool node = page <= kNodes;
      const bool broadcast = page == kBroadcastPage;
      bench.accesses.clear();
      bench.refusing = random() % 3 == 0 ? random() & kAll : 0;
      if (random() % 2 == 0) {
        const auto read = bench.Read(address);
        if (!node) {
          ASSERT_EQ(read.response, AxiResponse::kSlaveError) << "page " << page;
          ASSERT_EQ(read.data, 0u);
          ASSERT_TRUE(bench.accesses.empty());
          continue;
        }
        const uint32_t nodes = 1u << (page - 1);
        ASSERT_EQ(bench.accesses.size(), 1u);
        ASSERT_EQ(bench.accesses[0].nodes, nodes);
        ASSERT_EQ(bench.accesses[0].address, offset);
        ASSERT_FALSE(bench.accesses[0].write);
        ASSERT_EQ(read.data, Bench::Answer(static_cast<int>(page) - 1, offset));
        ASSERT_EQ(read.response,
                  bench.refusing & nodes ? AxiResponse::kSlaveError : AxiResponse::kOkay);
      } else {
        const uint32_t data = random();
        const uint8_t strobe = random() % 16;
        const auto response = bench.Write(address, data, strobe).response;
        if (!node && !broadcast) {
          ASSERT_EQ(response, AxiResponse::kSlaveError) << "page " << page;
          ASSERT_TRUE(bench.accesses.empty());
          continue;
        }
        const uint32_t nodes = broadcast ? kAll : 1u << (page - 1);
        ASSERT_EQ(bench.accesses.size(), 1u);
        ASSERT_EQ(bench.accesses[0], (NodeAccess{nodes, true, offset, data, strobe}));
        ASSERT_EQ(response, bench.refusing & nodes ? AxiResponse::kSlaveError : AxiResponse::kOkay);
      }
    }
  }
}

TEST(HostRegisters, StartReachesTheNodesOfTheMaskInOneCycle) {
  Bench bench;
  EXPECT_EQ(bench.Write(RegisterAddress("NODE_MASK"), 0x2d).response, AxiResponse::kOkay);
  EXPECT_EQ(bench.Write(RegisterAddress("CTRL"), kStart, 0xe).response, AxiResponse::kOkay);
  EXPECT_TRUE(bench.starts.empty()) << "the strobe of the byte was off";
  bench.Start();
  EXPECT_EQ(bench.starts, std::vector<uint32_t>{0x2d});
  EXPECT_EQ(bench.Status(), kBusy);
  EXPECT_EQ(bench.Write(RegisterAddress("CTRL"), kStart).response, AxiResponse::kSlaveError);
  EXPECT_EQ(bench.Write(RegisterAddress("NODE_MASK"), 1).response, AxiResponse::kSlaveError);
  EXPECT_EQ(bench.Value(RegisterAddress("NODE_MASK")), 0x2du);
  bench.Done(0x0c);
  bench.Done(0x20);
  bench.Ticks(20);
  EXPECT_EQ(bench.Status(), kBusy) << "node 0 still runs";
  bench.Done(0x01);
  bench.Ticks(20);
  EXPECT_EQ(bench.Status(), kDone);
  bench.Write(RegisterAddress("NODE_MASK"), 0);
  EXPECT_EQ(bench.Write(RegisterAddress("CTRL"), kStart).response, AxiResponse::kSlaveError)
      << "no node to start";
  EXPECT_EQ(bench.Status(), kDone);
  EXPECT_EQ(bench.starts.size(), 1u);
}

TEST(HostRegisters, DoneWaitsForBothMeshesAndHoldsTheHostMeanwhile) {
  for (const bool reduction : {false, true}) {
    for (int node = 0; node < kNodes; ++node) {
      Bench bench;
      bench.Start();
      EXPECT_FALSE(bench.dut.hold_o);
      (reduction ? bench.dut.red_idle_i : bench.dut.data_idle_i) = kAll & ~(1u << node);
      bench.Done(kAll);
      bench.Ticks(40);
      EXPECT_EQ(bench.Status(), kBusy);
      EXPECT_TRUE(bench.dut.hold_o);
      bench.dut.red_idle_i = bench.dut.data_idle_i = kAll;
      bench.Ticks(3);
      EXPECT_EQ(bench.Status(), kDone);
      EXPECT_FALSE(bench.dut.hold_o);
    }
  }
}

TEST(HostRegisters, AMeshThatDoesNotComeToRestIsAnError) {
  Bench bench;
  bench.Start();
  bench.dut.data_idle_i = kAll & ~0x18u;
  bench.Done(kAll);
  bench.Ticks(kSettleCycles - 5);
  EXPECT_TRUE(bench.dut.busy_o);
  bench.Ticks(10);
  EXPECT_EQ(bench.Status(), kError | kErrorCode.Put(kMeshError) | kErrorNode.Put(3));
  EXPECT_EQ(bench.Value(RegisterAddress("IRQ_STATUS")), kIrqError);
}

TEST(HostRegisters, TheFirstErrorIsKeptAndStopsTheOthers) {
  Bench bench;
  bench.Start();
  EXPECT_FALSE(bench.dut.fault_o);
  bench.Fail(4, 0x5a, 1234);
  bench.Tick();
  bench.Tick();
  EXPECT_TRUE(bench.dut.fault_o);
  bench.Fail(2, 0x11, 99);
  bench.Tick();
  EXPECT_EQ(bench.Value(RegisterAddress("IRQ_STATUS")), 0u) << "others still run";
  bench.Done(0x01);
  // What is left in the reduction mesh is thrown away.
  bench.dut.red_idle_i = 0;
  for (const int node : {1, 3, 5}) bench.Fail(node, 17, 0);
  bench.Tick();
  bench.Ticks(20);
  EXPECT_EQ(bench.Status(), kError | kErrorCode.Put(0x5a) | kErrorNode.Put(4));
  EXPECT_EQ(bench.Value(RegisterAddress("ERROR_INFO")), 1234u);
  EXPECT_EQ(bench.Value(RegisterAddress("IRQ_STATUS")), kIrqError);
  EXPECT_FALSE(bench.dut.fault_o);
  bench.dut.red_idle_i = kAll;
  bench.Start();
  EXPECT_EQ(bench.Status(), kBusy);
  EXPECT_EQ(bench.Value(RegisterAddress("ERROR_INFO")), 0u);
}

TEST(HostRegisters, OfErrorsInOneCycleTheLowestNodeCounts) {
  Bench bench;
  bench.Start();
  bench.Fail(5, 1, 50);
  bench.Fail(3, 2, 30);
  bench.Tick();
  bench.Done(0x17);
  bench.Ticks(20);
  EXPECT_EQ(bench.Status(), kError | kErrorCode.Put(2) | kErrorNode.Put(3));
  EXPECT_EQ(bench.Value(RegisterAddress("ERROR_INFO")), 30u);
}

TEST(HostRegisters, AnErrorOfTheMeshEndsTheRunAndShowsOutsideOfOne) {
  Bench bench;
  bench.Start();
  bench.dut.mesh_error_i = 0x10;
  bench.Tick();
  bench.Tick();
  EXPECT_TRUE(bench.dut.fault_o);
  bench.Done(kAll);
  bench.Ticks(20);
  EXPECT_EQ(bench.Status(), kError | kErrorCode.Put(kMeshError) | kErrorNode.Put(4));
  bench.Start();
  bench.Done(kAll);
  bench.Ticks(20);
  EXPECT_EQ(bench.Status(), kDone);
  bench.Write(RegisterAddress("IRQ_STATUS"), 3);
  bench.dut.mesh_error_i = 0x02;
  bench.Tick();
  EXPECT_EQ(bench.Status(), kDone | kError | kErrorCode.Put(kMeshError) | kErrorNode.Put(1));
  EXPECT_EQ(bench.Value(RegisterAddress("IRQ_STATUS")), kIrqError);
}

TEST(HostRegisters, AbortReachesARunOnly) {
  Bench bench;
  bench.Write(RegisterAddress("CTRL"), kAbort);
  bench.Tick();
  EXPECT_EQ(bench.aborts, 0);
  bench.Start();
  bench.Write(RegisterAddress("CTRL"), kAbort);
  bench.Tick();
  EXPECT_EQ(bench.aborts, 1);
}

TEST(HostRegisters, InterruptFollowsEnabledEventsUntilCleared) {
  Bench bench;
  const auto settle = [&] {
    bench.Ticks(12);
    return bench.dut.irq_o != 0;
  };
  bench.Start();
  bench.Done(kAll);
  EXPECT_FALSE(settle()) << "not enabled";
  EXPECT_EQ(bench.Value(RegisterAddress("IRQ_STATUS")), kIrqDone);
  bench.Write(RegisterAddress("IRQ_ENABLE"), kIrqError);
  EXPECT_FALSE(settle()) << "the other one is enabled";
  bench.Write(RegisterAddress("IRQ_ENABLE"), kIrqDone | kIrqError);
  EXPECT_EQ(bench.Value(RegisterAddress("IRQ_ENABLE")), kIrqDone | kIrqError);
  EXPECT_TRUE(settle());
  bench.Write(RegisterAddress("IRQ_STATUS"), kIrqError);
  EXPECT_TRUE(settle()) << "another bit was cleared";
  bench.Write(RegisterAddress("IRQ_STATUS"), kIrqDone, 0xe);
  EXPECT_TRUE(settle()) << "the strobe of the byte was off";
  bench.Write(RegisterAddress("IRQ_STATUS"), kIrqDone);
  EXPECT_FALSE(settle());
  bench.Start();
  bench.Fail(0, 1, 0);
  bench.Tick();
  bench.Done(kAll);
  EXPECT_TRUE(settle());
  bench.Write(RegisterAddress("IRQ_ENABLE"), 0, 0x1);
  EXPECT_FALSE(settle());
}

TEST(HostRegisters, CountTheCyclesOfTheRun) {
  Bench bench;
  for (const int cycles : {5, 333}) {
    bench.busy_cycles = 0;
    bench.Start();
    bench.Ticks(cycles);
    bench.Done(kAll);
    bench.Ticks(50);
    EXPECT_EQ(bench.Value(RegisterAddress("RUN_CYCLES_LO")), bench.busy_cycles);
    EXPECT_EQ(bench.Value(RegisterAddress("RUN_CYCLES_HI")), 0u);
    EXPECT_GE(bench.busy_cycles, static_cast<uint64_t>(cycles));
  }
}

// Both directions at once, to nodes and the page here, which the ordered master never does.
TEST(HostRegisters, ServeReadsAndWritesIndependently) {
  Bench bench;
  Vdut& dut = bench.dut;
  std::mt19937 random(5);
  constexpr int kAccesses = 3000;
  int aw = 0, w = 0, b = 0, ar = 0, r = 0;
  bool aw_valid = false, w_valid = false, ar_valid = false;
  std::array<uint32_t, 3> node_history{};  // address of the select in the last cycles, 0 none
  AxiHoldCheck<int> b_check("B");
  AxiHoldCheck<std::pair<uint32_t, int>> r_check("R");
  const auto write_address = [](int n) {
    return n % 5 == 4 ? 0xffcu : n % 2 ? kAllNodes + 0x80 : NodePage(n % kNodes) + 0x80;
  };
  const auto read_address = [](int n) {
    return n % 3 == 2 ? 0xffcu : n % 2 ? RegisterAddress("ID") : NodePage(n % kNodes) + 4 * (n % 8);
  };
  int writes_seen = 0;
  for (int cycle = 0; b < kAccesses || r < kAccesses; ++cycle) {
    ASSERT_LT(cycle, 40 * kAccesses) << "hangs";
    dut.clk_i = 0;
    aw_valid = aw < kAccesses && (aw_valid || random() % 3 != 0);
    w_valid = w < kAccesses && (w_valid || random() % 3 != 0);
    ar_valid = ar < kAccesses && (ar_valid || random() % 3 != 0);
    dut.s_axil_awvalid_i = aw_valid;
    dut.s_axil_awaddr_i = write_address(aw);
    dut.s_axil_wvalid_i = w_valid;
    dut.s_axil_wdata_i = 0x1000 + w;
    dut.s_axil_wstrb_i = 0xf;
    dut.s_axil_arvalid_i = ar_valid;
    dut.s_axil_araddr_i = read_address(ar);
    dut.s_axil_bready_i = random() % 3 != 0;
    dut.s_axil_rready_i = random() % 3 != 0;
    for (int n = 0; n < kNodes; ++n) {
      dut.reg_rdata_i[n] = Bench::Answer(n, node_history[1]);
    }
    dut.reg_error_i = 0;
    dut.eval();
    node_history = {dut.reg_select_o ? dut.reg_addr_o : 0u, node_history[0], node_history[1]};
    if (dut.reg_select_o && dut.reg_write_o) ++writes_seen;
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
      const uint32_t data = r % 3 == 2 ? 0
                            : r % 2    ? RegisterOf("ID").reset
                                       : Bench::Answer(r % kNodes, 4 * (r % 8));
      ASSERT_EQ(dut.s_axil_rdata_o, data) << "read " << r;
      ++r;
    }
    if (aw_valid && dut.s_axil_awready_o) ++aw, aw_valid = false;
    if (w_valid && dut.s_axil_wready_o) ++w, w_valid = false;
    if (ar_valid && dut.s_axil_arready_o) ++ar, ar_valid = false;
    dut.clk_i = 1;
    dut.eval();
  }
  EXPECT_EQ(writes_seen, kAccesses / 5 * 4);
}

}  // namespace
}  // namespace vaultrain
