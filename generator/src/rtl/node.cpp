// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "rtl/node.h"

#include <fmt/format.h>

#include <bit>
#include <map>
#include <string_view>

#include "vaultrain/vault_pins.h"

namespace vaultrain::rtl {
namespace {

// Bits that count from 0 to items - 1; items is a power of two.
int IndexBits(int items) { return std::bit_width(static_cast<unsigned>(items)) - 1; }

// Bits beside the sign.
struct OperandShape {
  int exp_bits;
  int man_bits;
};

OperandShape ShapeOf(NumberFormat format) {
  switch (format) {
    case NumberFormat::kBf16:
      return {8, 7};
    case NumberFormat::kFx16:
      return {0, 15};
    case NumberFormat::kFp16:
      return {5, 10};
    case NumberFormat::kFp32:
      break;
  }
  return {8, 23};
}

}  // namespace

std::vector<Parameter> NodeParameters(const Variant& v, const VaultDram& dram) {
  const DramTiming& t = dram.timing;
  const OperandShape operand = ShapeOf(v.operand_format);
  return {
      {"Rows", v.array.rows, "dot units chained along K per column"},
      {"Cols", v.array.cols, "outputs N per cycle"},
      {"Lanes", v.array.lanes, "products of a dot unit"},
      {"ExpBits", operand.exp_bits, "exponent bits of an operand; 0: fixed point"},
      {"ManBits", operand.man_bits,
       "fraction bits of an operand: 7 is bf16, 10 fp16, 23 fp32, 15 fx16"},
      {"FracBits", v.fraction_bits, "bits of an fx16 operand below the point"},
      {"Rounding", static_cast<int>(v.rounding),
       "of results into 16-bit operands: 0 nearest, 1 stochastic, 2 truncate"},
      {"AlignBits", v.array.align_bits, "bits of the aligned products"},
      {"GuardBits", v.HasWideGradients() ? kGuardBits : 0,
       "bits of a sum below those of a product, for gradients of fx32; else 0"},
      {"AccDepth", v.array.acc_depth, "accumulators per column, both halves"},
      {"SpadBytes", v.scratchpad.kib * 1024, "bytes of the scratchpad"},
      {"SpadBanks", v.scratchpad.banks, "scratchpad banks"},
      {"MaxClasses", v.vector.softmax_classes, "longest softmax row"},
      {"FunctionLanes", v.lanes.functions, "lanes whose functions are made in one cycle"},
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
      {"Ecc", dram.geometry.ecc, "1: check bits at the dies"},
      {"LinkBits", v.mesh.link_bits, "payload of a flit"},
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

PortGroup VaultPinGroup(const VaultDram& vault, int number) {
  const DramGeometry& dram = vault.geometry;
  // The expressions that kVaultPins uses, in parameters of vt_vault_controller.
  const std::map<std::string_view, int> widths = {
      {"3", 3},
      {"BankBits", IndexBits(dram.banks)},
      {"RowBits", IndexBits(dram.rows)},
      {"ColBits", IndexBits(dram.Columns())},
      {"PinBits", dram.PinBits()},
      {"DataBits / 8", dram.data_bits / 8},
  };
  PortGroup group{fmt::format("Pins of vault {}, to its dies.", number), {}};
  for (const VaultPin& pin : kVaultPins) {
    group.ports.push_back({VaultPortName(pin, number),
                           pin.output ? Direction::kOutput : Direction::kInput,
                           widths.at(pin.width), std::string(pin.meaning)});
  }
  return group;
}

}  // namespace vaultrain::rtl
