// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The small program that a generated sim/ runs: one training step of the shipped network tiny.

#ifndef VAULTRAIN_SRC_CLI_SIM_PROGRAM_H_
#define VAULTRAIN_SRC_CLI_SIM_PROGRAM_H_

#include "vaultrain/output.h"
#include "vaultrain/variant.h"

namespace vaultrain::cli {

inline constexpr char kSimNetwork[] = "tiny";

// sim/program.txt, sim/program.bin and sim/expected.bin; verif/harness/standalone/README.md
// describes them. Throws Error(kUnusableInput) if the network does not fit the variant.
FileTree SimProgram(const Variant& variant);

}  // namespace vaultrain::cli

#endif  // VAULTRAIN_SRC_CLI_SIM_PROGRAM_H_
