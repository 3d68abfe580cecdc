// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A design folder for OpenROAD-flow-scripts.

#ifndef VAULTRAIN_ORFS_H_
#define VAULTRAIN_ORFS_H_

#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/variant.h"

namespace vaultrain {

// orfs/ of a generated folder, which its files expect beside rtl/: vt_sram.v, which puts a macro in
// the place of each memory, vt_sram_models.v, which puts the memories back for simulation, and for
// each platform that constraints/tech knows config.mk, constraint.sdc and Liberty and LEF of every
// shape of memory that the variant has. `rtl` holds rtl/. Throws Error(kToolMissing) without Yosys,
// which elaborates the design to find the shapes.
FileTree OrfsTree(const Variant& variant, const FileTree& rtl, const ResourcePaths& resources);

}  // namespace vaultrain

#endif  // VAULTRAIN_ORFS_H_
