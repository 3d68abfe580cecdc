// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// From a variant to the files that stand alone: Verilog, file list, documents, simulation and
// synthesis inputs.

#ifndef VAULTRAIN_GENERATE_H_
#define VAULTRAIN_GENERATE_H_

#include <string>
#include <string_view>

#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/variant.h"

namespace vaultrain {

// The generated top module.
inline constexpr std::string_view kTopModule = "vt_memory_module";

// The controller of one vault.
inline constexpr std::string_view kVaultModule = "vt_vault_controller";

// rtl/ only: the generated top and the templates it needs, all in one folder. The same bytes for
// the same variant on every machine. Throws Error(kInternal) if a template instantiates a module
// that does not exist.
FileTree GenerateRtl(const Variant& variant, const ResourcePaths& resources);

// rtl/ of the controller of one vault alone, which is sized by its parameters.
FileTree VaultRtl(const ResourcePaths& resources);

// What compiles beside a Verilated module with dies: harness/, and the header that it shares with
// the program.
FileTree HarnessSources(const ResourcePaths& resources);

// What compiles beside the Verilated module of a variant: harness/, and the header that it shares
// with the program.
FileTree HarnessSources(const Variant& variant, const ResourcePaths& resources);

// All that `vaultrain generate` writes but sim/'s program, by path relative to --out.
FileTree GenerateTree(const Variant& variant, const ResourcePaths& resources);

// The opening of a generated file: tool and version, variant, command, digest; each line behind
// `comment`.
std::string GeneratedHeader(const Variant& variant, std::string_view comment);

}  // namespace vaultrain

#endif  // VAULTRAIN_GENERATE_H_
