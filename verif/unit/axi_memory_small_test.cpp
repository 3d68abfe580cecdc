// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The tests of the memory port once more, with shorter accesses, a wider address and the smallest
// legal buffers.

#define VT_SMALL_AXI_MEMORY
#include "axi_memory_test.cpp"
