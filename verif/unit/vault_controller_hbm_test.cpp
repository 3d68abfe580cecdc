// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The tests of the vault controller on the timing set hbm, with queues to match its pages.

#define VT_DRAM_SET "hbm"
#define VT_PERIOD_PS 1000
#define VT_DATA_BITS 256
#define VT_BATCH 128
#define VT_SLACK 512
#define VT_LEAST_1_TO_1 0.95
#define VT_LEAST_2_TO_1 0.94
#define VT_LEAST_SHORT 0.94
#define VT_LEAST_RANDOM 0.95

#include "vault_controller_test.cpp"
