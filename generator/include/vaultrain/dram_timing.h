// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Timing sets of the dies below a vault: in nanoseconds as constraints/dram holds them, in cycles
// as the vault controller and the model of the dies use them. The types need the standard library
// only.

#ifndef VAULTRAIN_DRAM_TIMING_H_
#define VAULTRAIN_DRAM_TIMING_H_

#include <cstdint>
#include <string>

namespace vaultrain {

// Constraints in cycles of the variant's clock. All are minimums but tREFI, which is a maximum.
struct DramTiming {
  int tRCD = 0;   // ACT to RD or WR of the bank
  int tRP = 0;    // PRE to ACT of the bank
  int tCL = 0;    // RD to its first beat
  int tCWL = 0;   // WR to its first beat
  int tRAS = 0;   // ACT to PRE of the bank
  int tRRD = 0;   // ACT to ACT of any bank
  int tFAW = 0;   // window that holds at most four ACT
  int tCCD = 0;   // RD to RD and WR to WR
  int tWTR = 0;   // end of the last beat of a write to RD of any bank
  int tWR = 0;    // end of the last beat of a write to PRE of the bank
  int tRTP = 0;   // RD to PRE of the bank
  int tRFC = 0;   // REF to the next command
  int tREFI = 0;  // REF to REF, at most
};

// Size of one vault. One access is `beats` beats of `data_bits`; a page holds page_bytes of one row
// of one bank.
struct DramGeometry {
  int banks = 0;        // power of two, at most 32
  int rows = 0;         // rows of a bank, power of two
  int page_bytes = 0;   // power of two
  int beats = 0;        // beats of an access
  int data_bits = 0;    // bits moved in one cycle: 32 to 512, power of two
  int bank_rotate = 1;  // digits of the row added to the bank, as BankRotate of vt_vault_controller
  int bank_low = 0;     // 1: neighbouring accesses lie in neighbouring banks, as BankLow
  int ecc = 0;          // 1: 8 check bits beside every 64 of data, as Ecc

  int AccessBytes() const { return beats * data_bits / 8; }
  // Data pins: data_bits and the check bits above them.
  int PinBits() const { return ecc != 0 ? data_bits + data_bits / 8 : data_bits; }
  int Columns() const { return page_bytes / AccessBytes(); }
  uint64_t Bytes() const { return uint64_t(banks) * rows * page_bytes; }
};

// One file of constraints/dram, in picoseconds.
struct DramSet {
  std::string name;
  int64_t tRCD_ps = 0, tRP_ps = 0, tCL_ps = 0, tCWL_ps = 0, tRAS_ps = 0, tRRD_ps = 0, tFAW_ps = 0;
  int64_t tCCD_ps = 0, tWTR_ps = 0, tWR_ps = 0, tRTP_ps = 0, tRFC_ps = 0, tREFI_ps = 0;
  int banks = 0;
  int rows = 0;
  int page_bytes = 0;
  int burst_beats = 0;
};

// Reads one file; throws Error(kUnusableInput) that names file, key and rule.
DramSet ReadDramSet(const std::string& path);

// Cycles at a clock of period_ps: minimums rounded up, at least 1; tREFI rounded down. Throws
// Error(kUnusableInput) if the clock leaves no time between two refreshes.
DramTiming CyclesAt(const DramSet& set, int64_t period_ps);

// Geometry of a vault that moves data_bits a cycle. Throws Error(kUnusableInput) if an access does
// not fit a page.
DramGeometry GeometryOf(const DramSet& set, int data_bits);

}  // namespace vaultrain

#endif  // VAULTRAIN_DRAM_TIMING_H_
