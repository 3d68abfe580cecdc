// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/node.h"

namespace vaultrain::rtl {
namespace {

constexpr auto kIn = Direction::kInput;
constexpr auto kOut = Direction::kOutput;

constexpr int kRegisterAddressBits = 12;

}  // namespace

std::vector<Parameter> NodeParameters(const Variant& v) {
  return {
      {"OperandBits", v.OperandBits(), "bits of an operand"},
      {"Rows", v.array.rows, "dot units chained along K per column"},
      {"Cols", v.array.cols, "outputs N per cycle"},
      {"Lanes", v.array.lanes, "products of a dot unit"},
      {"AlignBits", v.array.align_bits, "bits of the aligned products"},
      {"AccDepth", v.array.acc_depth, "accumulators per column, both halves"},
      {"Banks", v.scratchpad.banks, "scratchpad banks"},
      {"BankWords", v.BankWords(), "words of a scratchpad bank"},
      {"SoftmaxClasses", v.vector.softmax_classes, "longest softmax row"},
      {"DramDataBits", v.dram.data_bits, "data bits of the vault per cycle"},
      {"ReadQueue", v.dram.read_queue, "reads that wait in the vault controller"},
      {"WriteQueue", v.dram.write_queue, "writes that wait in the vault controller"},
      {"SequencerQueue", v.sequencer.queue, "descriptors per engine"},
      {"IdBits", v.host.id_bits, "identifiers of the AXI4 memory port"},
      {"AddressBits", v.AddressBits(), "bits of a byte address"},
      // The registers show the first 128 bits of the variant's digest.
      {"Digest", {128, ToHex(VariantDigest(v)).substr(0, 32)}, "digest of the variant"},
  };
}

std::vector<PortGroup> NodePorts(const Variant& v) {
  int data = v.HostDataBits();
  int id = v.host.id_bits;
  int address = v.AddressBits();
  return {
      {"", {{"clk_i", kIn, 1, ""}, {"rst_ni", kIn, 1, ""}}},
      {"Host control: AXI4-Lite, registers of 32 bits.",
       {
           {"ctl_awvalid_i", kIn, 1, ""},
           {"ctl_awready_o", kOut, 1, ""},
           {"ctl_awaddr_i", kIn, kRegisterAddressBits, ""},
           {"ctl_wvalid_i", kIn, 1, ""},
           {"ctl_wready_o", kOut, 1, ""},
           {"ctl_wdata_i", kIn, 32, ""},
           {"ctl_wstrb_i", kIn, 4, ""},
           {"ctl_bvalid_o", kOut, 1, ""},
           {"ctl_bready_i", kIn, 1, ""},
           {"ctl_bresp_o", kOut, 2, ""},
           {"ctl_arvalid_i", kIn, 1, ""},
           {"ctl_arready_o", kOut, 1, ""},
           {"ctl_araddr_i", kIn, kRegisterAddressBits, ""},
           {"ctl_rvalid_o", kOut, 1, ""},
           {"ctl_rready_i", kIn, 1, ""},
           {"ctl_rdata_o", kOut, 32, ""},
           {"ctl_rresp_o", kOut, 2, ""},
       }},
      {"Host memory: AXI4, the whole memory of the module.",
       {
           {"mem_awvalid_i", kIn, 1, ""},      {"mem_awready_o", kOut, 1, ""},
           {"mem_awid_i", kIn, id, ""},        {"mem_awaddr_i", kIn, address, ""},
           {"mem_awlen_i", kIn, 8, ""},        {"mem_awsize_i", kIn, 3, ""},
           {"mem_awburst_i", kIn, 2, ""},      {"mem_wvalid_i", kIn, 1, ""},
           {"mem_wready_o", kOut, 1, ""},      {"mem_wdata_i", kIn, data, ""},
           {"mem_wstrb_i", kIn, data / 8, ""}, {"mem_wlast_i", kIn, 1, ""},
           {"mem_bvalid_o", kOut, 1, ""},      {"mem_bready_i", kIn, 1, ""},
           {"mem_bid_o", kOut, id, ""},        {"mem_bresp_o", kOut, 2, ""},
           {"mem_arvalid_i", kIn, 1, ""},      {"mem_arready_o", kOut, 1, ""},
           {"mem_arid_i", kIn, id, ""},        {"mem_araddr_i", kIn, address, ""},
           {"mem_arlen_i", kIn, 8, ""},        {"mem_arsize_i", kIn, 3, ""},
           {"mem_arburst_i", kIn, 2, ""},      {"mem_rvalid_o", kOut, 1, ""},
           {"mem_rready_i", kIn, 1, ""},       {"mem_rid_o", kOut, id, ""},
           {"mem_rdata_o", kOut, data, ""},    {"mem_rresp_o", kOut, 2, ""},
           {"mem_rlast_o", kOut, 1, ""},
       }},
      {"Interrupt, high while an enabled event is pending.", {{"irq_o", kOut, 1, ""}}},
      {"Vault pins.",
       {
           {"dram_cmd_o", kOut, 3, "command of this cycle"},
           {"dram_bank_o", kOut, 3, "bank of ACT, RD, WR and PRE"},
           {"dram_row_o", kOut, 16, "row of ACT"},
           {"dram_col_o", kOut, 2, "column of RD and WR, counted in accesses"},
           {"dram_wdata_o", kOut, v.dram.data_bits, "write data"},
           {"dram_wmask_o", kOut, v.dram.data_bits / 8, "1 where a byte is written"},
           {"dram_rdata_i", kIn, v.dram.data_bits, "read data"},
       }},
  };
}

}  // namespace vaultrain::rtl
