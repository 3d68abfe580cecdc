// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/host.h"

#include <bit>

#include "vaultrain/registers.h"

namespace vaultrain::rtl {
namespace {

constexpr auto kIn = Direction::kInput;
constexpr auto kOut = Direction::kOutput;

}  // namespace

std::vector<Parameter> HostParameters(const Variant& v, const VaultDram& dram) {
  return {
      // As many digits as the registers show.
      {"Digest", {128, ToHex(VariantDigest(v)).substr(0, 32)}, "digest of the variant, first half"},
      {"DataBits", dram.geometry.data_bits, "bits moved in one cycle"},
      {"Beats", dram.geometry.beats, "beats of an access"},
      {"HostAddrBits", v.AddressBits(), "bits of a byte address of the host"},
      {"HostIdBits", v.host.id_bits, "bits of an AXI identifier"},
      {"VaultBits", std::bit_width(static_cast<uint64_t>(v.VaultBytes())) - 1,
       "bits of a byte address in a vault"},
      {"LinkBits", v.mesh.link_bits, "payload of a flit"},
      {"MeshX", v.mesh.x, "columns of nodes"},
      {"MeshY", v.mesh.y, "rows of nodes"},
  };
}

std::vector<PortGroup> HostPorts(const Variant& v) {
  const int data = v.HostDataBits();
  const int id = v.host.id_bits;
  const int address = v.AddressBits();
  return {
      {"", {{"clk_i", kIn, 1, ""}, {"rst_ni", kIn, 1, ""}}},
      {"Host control: AXI4-Lite, registers of 32 bits (registers.md).",
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
      {"Host memory: AXI4, byte addresses of the module's memory, vault after vault.",
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
  };
}

}  // namespace vaultrain::rtl
