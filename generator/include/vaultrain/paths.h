// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Where the files that come with the program are, relative to the executable.
//
// Both the build tree and an install prefix hold share/vaultrain/ above the executable; in the
// build tree its folders are links into the sources.

#ifndef VAULTRAIN_PATHS_H_
#define VAULTRAIN_PATHS_H_

#include <filesystem>

namespace vaultrain {

// Folders of one share/vaultrain; a folder that this version does not ship need not exist.
struct ResourcePaths {
  std::filesystem::path root;         // share/vaultrain itself
  std::filesystem::path templates;    // rtl_templates/: <block>/vt_<module>.v
  std::filesystem::path variants;     // variants/: <name>.toml
  std::filesystem::path networks;     // networks/: <name>.onnx, <name>.train.toml
  std::filesystem::path constraints;  // constraints/: timing sets, SDC, technology constants
  std::filesystem::path harness;      // harness/: device harness, goes into sim/
  std::filesystem::path synth;        // synth/: Yosys and OpenSTA scripts
  std::filesystem::path sweeps;       // sweeps/: <name>.toml
  std::filesystem::path include;      // include/: public headers, which the harness needs to build
  std::filesystem::path report;       // report/: page, style and scripts of `vaultrain report`
  std::filesystem::path d3;           // d3/: the plotting library and its licence
};

// The folders under a given share/vaultrain.
ResourcePaths ResourcesUnder(const std::filesystem::path& root);

// The share/vaultrain of the running executable. Throws Error(kInternal) if there is none.
const ResourcePaths& Resources();

}  // namespace vaultrain

#endif  // VAULTRAIN_PATHS_H_
