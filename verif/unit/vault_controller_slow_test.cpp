// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The tests of the vault controller on the timing set hmc1 at a clock of 10 ns.

#define VT_DRAM_SET "hmc1"
#define VT_PERIOD_PS 10000
#define VT_DATA_BITS 64

#include "vault_controller_test.cpp"
