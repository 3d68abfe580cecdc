// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The tests of the vault controller on the timing set of the second generation.

#define VT_DRAM_SET "hmc2"
#define VT_PERIOD_PS 800
#define VT_DATA_BITS 64

#include "vault_controller_test.cpp"
