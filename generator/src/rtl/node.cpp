// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/node.h"

#include <bit>
#include <map>
#include <string_view>

#include "vaultrain/registers.h"
#include "vaultrain/vault_pins.h"

namespace vaultrain::rtl {
namespace {

constexpr auto kIn = Direction::kInput;
constexpr auto kOut = Direction::kOutput;

// Bits that count from 0 to items - 1; items is a power of two.
int IndexBits(int items) { return std::bit_width(static_cast<unsigned>(items)) - 1; }

PortGroup VaultPinGroup(const DramGeometry& dram) {
  // The expressions that kVaultPins uses, in parameters of vt_vault_controller.
  const std::map<std::string_view, int> widths = {
      {"3", 3},
      {"BankBits", IndexBits(dram.banks)},
      {"RowBits", IndexBits(dram.rows)},
      {"ColBits", IndexBits(dram.Columns())},
      {"DataBits", dram.data_bits},
      {"DataBits / 8", dram.data_bits / 8},
  };
  PortGroup group{"Vault pins, to the dies.", {}};
  for (const VaultPin& pin : kVaultPins) {
    group.ports.push_back({std::string(pin.name), pin.output ? kOut : kIn, widths.at(pin.width),
                           std::string(pin.meaning)});
  }
  return group;
}

}  // namespace

std::vector<Parameter> NodeParameters(const Variant& v, const VaultDram& dram) {
  const DramTiming& t = dram.timing;
  const bool bf16 = v.operand_format == NumberFormat::kBf16;
  return {
      {"Rows", v.array.rows, "dot units chained along K per column"},
      {"Cols", v.array.cols, "outputs N per cycle"},
      {"Lanes", v.array.lanes, "products of a dot unit"},
      {"ExpBits", 8, "exponent bits of an operand"},
      {"ManBits", bf16 ? 7 : 23, "fraction bits of an operand: 7 is bf16, 23 is fp32"},
      {"AlignBits", v.array.align_bits, "bits of the aligned products"},
      {"AccDepth", v.array.acc_depth, "accumulators per column, both halves"},
      {"SpadBytes", v.scratchpad.kib * 1024, "bytes of the scratchpad"},
      {"SpadBanks", v.scratchpad.banks, "scratchpad banks"},
      {"MaxClasses", v.vector.softmax_classes, "longest softmax row"},
      {"QueueDepth", v.sequencer.queue, "descriptors per engine"},
      {"DataBits", dram.geometry.data_bits, "bits moved in one cycle"},
      {"Beats", dram.geometry.beats, "beats of an access"},
      {"Banks", dram.geometry.banks, "banks of the vault"},
      {"RowBits", IndexBits(dram.geometry.rows), "bits of a row"},
      {"ColBits", IndexBits(dram.geometry.Columns()), "bits of a column, counted in accesses"},
      {"BankRotate", dram.geometry.bank_rotate, "digits of the row added to the bank"},
      {"BankLow", dram.geometry.bank_low, "1: neighbouring accesses lie in neighbouring banks"},
      {"ClosePage", v.dram.page == "closed", "1: a row closes as soon as no access needs it"},
      {"ReadQueue", v.dram.read_queue, "reads under way in the vault controller"},
      {"ReadWindow", v.dram.read_window, "of these, reads that wait for the pins"},
      {"WriteQueue", v.dram.write_queue, "writes held by the vault controller"},
      {"WriteWindow", v.dram.write_window, "of these, writes that wait for the pins"},
      {"HostAddrBits", v.AddressBits(), "bits of a byte address of the host"},
      {"HostIdBits", v.host.id_bits, "bits of an AXI identifier"},
      // As many digits as the registers show.
      {"Digest", {128, ToHex(VariantDigest(v)).substr(0, 32)}, "digest of the variant, first half"},
      {"tRCD", t.tRCD, "timing set in cycles, from here on"},
      {"tRP", t.tRP, ""},
      {"tCL", t.tCL, ""},
      {"tCWL", t.tCWL, ""},
      {"tRAS", t.tRAS, ""},
      {"tRRD", t.tRRD, ""},
      {"tFAW", t.tFAW, ""},
      {"tCCD", t.tCCD, ""},
      {"tWTR", t.tWTR, ""},
      {"tWR", t.tWR, ""},
      {"tRTP", t.tRTP, ""},
      {"tRFC", t.tRFC, ""},
      {"tREFI", t.tREFI, ""},
  };
}

std::vector<PortGroup> NodePorts(const Variant& v, const VaultDram& dram) {
  const int data = v.HostDataBits();
  const int id = v.host.id_bits;
  const int address = v.AddressBits();
  return {
      {"", {{"clk_i", kIn, 1, ""}, {"rst_ni", kIn, 1, ""}}},
      {"Host control: AXI4-Lite, registers of 32 bits.",
       {
           {"s_axil_awaddr_i", kIn, kRegisterAddressBits, ""},
           {"s_axil_awvalid_i", kIn, 1, ""},
           {"s_axil_awready_o", kOut, 1, ""},
           {"s_axil_wdata_i", kIn, 32, ""},
           {"s_axil_wstrb_i", kIn, 4, ""},
           {"s_axil_wvalid_i", kIn, 1, ""},
           {"s_axil_wready_o", kOut, 1, ""},
           {"s_axil_bresp_o", kOut, 2, ""},
           {"s_axil_bvalid_o", kOut, 1, ""},
           {"s_axil_bready_i", kIn, 1, ""},
           {"s_axil_araddr_i", kIn, kRegisterAddressBits, ""},
           {"s_axil_arvalid_i", kIn, 1, ""},
           {"s_axil_arready_o", kOut, 1, ""},
           {"s_axil_rdata_o", kOut, 32, ""},
           {"s_axil_rresp_o", kOut, 2, ""},
           {"s_axil_rvalid_o", kOut, 1, ""},
           {"s_axil_rready_i", kIn, 1, ""},
       }},
      {"Host memory: AXI4, byte addresses of the module's memory.",
       {
           {"s_axi_awid_i", kIn, id, ""},        {"s_axi_awaddr_i", kIn, address, ""},
           {"s_axi_awlen_i", kIn, 8, ""},        {"s_axi_awsize_i", kIn, 3, ""},
           {"s_axi_awburst_i", kIn, 2, ""},      {"s_axi_awvalid_i", kIn, 1, ""},
           {"s_axi_awready_o", kOut, 1, ""},     {"s_axi_wdata_i", kIn, data, ""},
           {"s_axi_wstrb_i", kIn, data / 8, ""}, {"s_axi_wlast_i", kIn, 1, ""},
           {"s_axi_wvalid_i", kIn, 1, ""},       {"s_axi_wready_o", kOut, 1, ""},
           {"s_axi_bid_o", kOut, id, ""},        {"s_axi_bresp_o", kOut, 2, ""},
           {"s_axi_bvalid_o", kOut, 1, ""},      {"s_axi_bready_i", kIn, 1, ""},
           {"s_axi_arid_i", kIn, id, ""},        {"s_axi_araddr_i", kIn, address, ""},
           {"s_axi_arlen_i", kIn, 8, ""},        {"s_axi_arsize_i", kIn, 3, ""},
           {"s_axi_arburst_i", kIn, 2, ""},      {"s_axi_arvalid_i", kIn, 1, ""},
           {"s_axi_arready_o", kOut, 1, ""},     {"s_axi_rid_o", kOut, id, ""},
           {"s_axi_rdata_o", kOut, data, ""},    {"s_axi_rresp_o", kOut, 2, ""},
           {"s_axi_rlast_o", kOut, 1, ""},       {"s_axi_rvalid_o", kOut, 1, ""},
           {"s_axi_rready_i", kIn, 1, ""},
       }},
      {"Interrupt.", {{"irq_o", kOut, 1, "level: an enabled event is pending"}}},
      VaultPinGroup(dram.geometry),
  };
}

}  // namespace vaultrain::rtl
