// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The small C interface of a Verilated module with its dies: all that crosses the border of its
// shared object.
//
// Memory addresses are those of the module: vault after vault. Register addresses are those of
// doc/registers.md: the module's page, then a page for each node.
//
// Calls that can fail return 0 on success; vt_device_error then tells why. One thread at a time per
// device.

#ifndef VAULTRAIN_HARNESS_DEVICE_ABI_H_
#define VAULTRAIN_HARNESS_DEVICE_ABI_H_

#include <cstdint>

#include "vaultrain/dram_timing.h"

extern "C" {

struct VtDevice;

// A module in reset and released from it, with empty dies below every vault, all of this timing and
// geometry. fill: what untouched bytes of the dies
// read as.
VtDevice* vt_device_create(const vaultrain::DramTiming* timing,
                           const vaultrain::DramGeometry* geometry, uint8_t fill);
void vt_device_destroy(VtDevice* device);

// The last error, or the first rule of the dies that was broken; empty if none.
const char* vt_device_error(VtDevice* device);
uint64_t vt_device_cycles(VtDevice* device);
int vt_device_vaults(VtDevice* device);

// AXI4-Lite, one access.
int vt_device_write_register(VtDevice* device, uint32_t address, uint32_t data);
int vt_device_read_register(VtDevice* device, uint32_t address, uint32_t* data);

// The host's memory port (AXI4). Modules with another data width than 64 have no driver for it:
// they take the data through the dies.
int vt_device_write(VtDevice* device, uint64_t address, const uint8_t* bytes, uint64_t size);
int vt_device_read(VtDevice* device, uint64_t address, uint8_t* bytes, uint64_t size);

// Straight into and out of the dies, in no time; with ECC, data alone, encoded and corrected.
int vt_device_write_dies(VtDevice* device, uint64_t address, const uint8_t* bytes, uint64_t size);
int vt_device_read_dies(VtDevice* device, uint64_t address, uint8_t* bytes, uint64_t size);

// Flips bits of the 64-bit word at an address, a multiple of 8, in the dies: data bits, and check
// bits if the geometry has ECC.
int vt_device_flip_bits(VtDevice* device, uint64_t address, uint64_t data, uint8_t check);

// Cycles until the interrupt rises, at most max_cycles; fails if it does not, or if the dies saw a
// rule broken. With disturb, the memory port meanwhile reads at random: `disturb` in 1024 cycles
// begin a burst, drawn from `seed`.
int vt_device_run(VtDevice* device, uint64_t max_cycles, uint32_t disturb, uint64_t seed);

// Where the value of a variable stands, or that of an element of an array (element < 0: no array),
// by the path of its instance, or of its generate block; it must have been made public when the
// object was built.
int vt_device_probe(VtDevice* device, const char* scope, const char* name, int element,
                    const uint8_t** value);
// Resets the module again and from there on calls observe(context) in every cycle, settled, before
// the rising edge.
void vt_device_observe(VtDevice* device, void (*observe)(void*), void* context);

// FST trace from now on; fails in an object that was built without tracing.
int vt_device_trace(VtDevice* device, const char* path);

}  // extern "C"

#endif  // VAULTRAIN_HARNESS_DEVICE_ABI_H_
