// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// An install prefix in a temporary folder, with the templates of the sources.

#ifndef VAULTRAIN_VERIF_UNIT_TEST_PREFIX_H_
#define VAULTRAIN_VERIF_UNIT_TEST_PREFIX_H_

#include <filesystem>

#include "vaultrain/output.h"
#include "vaultrain/paths.h"

namespace vaultrain {

class TestPrefix {
 public:
  TestPrefix() {
    namespace fs = std::filesystem;
    const fs::path source = VT_SOURCE_DIR;
    const fs::path share = path() / "share/vaultrain";
    const auto all = fs::copy_options::recursive;
    fs::create_directories(share);
    fs::copy(source / "generator/variants", share / "variants", all);
    fs::copy(source / "rtl_templates", share / "rtl_templates", all);
    fs::create_directory_symlink(source / "constraints", share / "constraints");
    fs::create_directory_symlink(source / "generator/networks", share / "networks");
    fs::create_directory_symlink(source / "generator/sweeps", share / "sweeps");
    fs::create_directory_symlink(source / "synth", share / "synth");
    fs::create_directory_symlink(source / "verif/harness", share / "harness");
    fs::create_directory_symlink(source / "generator/include", share / "include");
    fs::create_directory_symlink(source / "generator/report", share / "report");
    // Not of the sources.
    fs::create_directory_symlink(Resources().d3, share / "d3");
  }

  const std::filesystem::path& path() const { return folder_.path(); }
  ResourcePaths resources() const { return ResourcesUnder(path() / "share/vaultrain"); }

 private:
  ScratchFolder folder_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_TEST_PREFIX_H_
