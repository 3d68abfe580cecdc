// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Compiled together with the Verilated vault controller Vmodule into one shared object, see
// vault_abi.h.

#include <Vmodule.h>

#include <exception>
#include <string>
#include <vector>

#include "harness/vault_abi.h"
#include "harness/vault_bench.h"

struct VtVault {
  vaultrain::VaultBench<Vmodule> bench;
  std::string wrong;
};

extern "C" {

VtVault* vt_vault_create(const vaultrain::DramTiming* timing,
                         const vaultrain::DramGeometry* geometry, uint32_t seed) {
  return new VtVault{{*timing, *geometry, seed}, {}};
}

void vt_vault_destroy(VtVault* vault) { delete vault; }

const char* vt_vault_run(VtVault* vault, const vaultrain::ReadJob* reads, uint64_t read_count,
                         const vaultrain::WriteJob* writes, uint64_t write_count,
                         uint64_t cycle_limit, vaultrain::VaultReport* report) {
  try {
    vault->wrong = vault->bench.Run({reads, reads + read_count}, {writes, writes + write_count}, {},
                                    cycle_limit);
  } catch (const std::exception& error) {
    vault->wrong = error.what();
  }
  *report = {vault->bench.cycles(), vault->bench.longest_read(), vault->bench.longest_write(),
             vault->bench.die().counters().act};
  return vault->wrong.c_str();
}

}  // extern "C"
