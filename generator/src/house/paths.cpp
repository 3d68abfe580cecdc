// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/paths.h"

#include "vaultrain/error.h"
#include "vaultrain/version.h"

namespace vaultrain {

namespace fs = std::filesystem;

std::string_view ToolVersion() { return VAULTRAIN_VERSION; }

ResourcePaths ResourcesUnder(const fs::path& root) {
  return {root,
          root / "rtl_templates",
          root / "variants",
          root / "networks",
          root / "constraints",
          root / "harness",
          root / "synth",
          root / "sweeps",
          root / "include",
          root / "report",
          root / "d3"};
}

const ResourcePaths& Resources() {
  static const ResourcePaths resources = [] {
    fs::path executable = fs::read_symlink("/proc/self/exe");
    // bin/vaultrain of a prefix; the tests of a build tree lie deeper.
    fs::path folder = executable.parent_path();
    for (int level = 0; level < 4 && folder.has_relative_path(); ++level) {
      if (fs::is_directory(folder / "share/vaultrain/variants")) {
        return ResourcesUnder(folder / "share/vaultrain");
      }
      folder = folder.parent_path();
    }
    throw Error(ExitStatus::kInternal,
                fmt::format("no share/vaultrain above {}; the installation is incomplete",
                            executable.string()));
  }();
  return resources;
}

}  // namespace vaultrain
