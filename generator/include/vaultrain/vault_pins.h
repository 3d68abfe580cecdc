// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The pins between a vault controller and the dies below it: the one table from which the ports of
// the top level, the document, the harness and the checks are made. vt_vault_controller has exactly
// these ports, in this order, among its others; the top has them for each vault, the number of the
// vault behind "dram".

#ifndef VAULTRAIN_VAULT_PINS_H_
#define VAULTRAIN_VAULT_PINS_H_

#include <string>
#include <string_view>

namespace vaultrain {

struct VaultPin {
  std::string_view name;   // port of vt_vault_controller
  bool output;             // driven by the controller
  std::string_view width;  // bits, an expression in the parameters of vt_vault_controller
  std::string_view meaning;
};

inline constexpr VaultPin kVaultPins[] = {
    {"dram_cmd_o", true, "3",
     "command of this cycle: 0 NOP, 1 ACT, 2 RD, 3 WR, 4 PRE, 5 PREA, 6 REF"},
    {"dram_bank_o", true, "BankBits", "bank of ACT, RD, WR and PRE"},
    {"dram_row_o", true, "RowBits",
     "row of ACT; RD and WR repeat the row they mean, which only a checker reads"},
    {"dram_col_o", true, "ColBits", "column of RD and WR, counted in accesses"},
    {"dram_wdata_o", true, "PinBits",
     "write data, beat k of an access tCWL + k cycles after its WR; with ECC the check bits of its "
     "words of 64 bits above it"},
    {"dram_wmask_o", true, "DataBits / 8",
     "1 where a byte of the data of dram_wdata_o is written, all or none with ECC; 0 outside the "
     "beats of a write"},
    {"dram_rdata_i", false, "PinBits",
     "read data, beat k of an access tCL + k cycles after its RD; check bits likewise"},
};

// The port of the top for a pin of a vault: "dram3_cmd_o".
inline std::string VaultPortName(const VaultPin& pin, int vault) {
  std::string name(pin.name);
  return name.insert(name.find('_'), std::to_string(vault));
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VAULT_PINS_H_
