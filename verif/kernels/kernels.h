// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Training kernels that run on any variant: the RTL against the golden model, bit for bit.

#ifndef VAULTRAIN_VERIF_KERNELS_KERNELS_H_
#define VAULTRAIN_VERIF_KERNELS_KERNELS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/builder.h"
#include "vaultrain/device.h"
#include "vaultrain/paths.h"

namespace vaultrain::kernels {

struct KernelResult {
  bool passed = true;
  uint64_t cycles = 0;  // start to done, over all programs of the case
  uint64_t macs = 0;    // needed
  // What differed: tensor, element, cycle, both values, and the first descriptor after which memory
  // or scratchpad differ.
  std::string message;
};

// What a kernel runs on.
struct KernelSetup {
  Variant variant;
  VaultDram dram;
  ResourcePaths resources;
  RtlOptions device;  // disturb and the seed of the disturbance
  uint64_t seed = 1;  // of shapes and values
  int rounds = 1;     // how often over what a quick run does
  int garbage = 60;   // bad descriptors that the kernel of this name draws
};

struct Kernel {
  std::string name;
  std::string meaning;
  std::function<KernelResult(const KernelSetup& setup)> run;
};

// Every kernel that the variant can run, by name.
std::vector<Kernel> KernelsOf(const Variant& variant);

// A kernel's run as a case: "NAME", undisturbed, and "NAME/stalls", while the host's reads disturb
// the vault.
struct KernelCase {
  std::string name;
  Kernel kernel;
  uint32_t disturb = 0;
};
std::vector<KernelCase> CasesOf(const Variant& variant);

// Runs a case; what the engines throw becomes the message, but for Error(kToolMissing).
KernelResult RunCase(const KernelCase& one, KernelSetup setup);

// Runs a program on fresh devices and compares every tensor; on a difference looks for the
// descriptor that makes it. The results add to `result`; false if it failed.
bool RunProgram(const KernelSetup& setup, const KernelProgram& program, KernelResult& result);

}  // namespace vaultrain::kernels

#endif  // VAULTRAIN_VERIF_KERNELS_KERNELS_H_
