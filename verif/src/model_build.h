// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Verilated modules as shared objects: built, cached and loaded.

#ifndef VAULTRAIN_VERIF_SRC_MODEL_BUILD_H_
#define VAULTRAIN_VERIF_SRC_MODEL_BUILD_H_

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "vaultrain/output.h"

namespace vaultrain {

struct ModelPlan {
  std::string label;                    // for messages
  FileTree sources;                     // rtl/, harness/ and the headers that harness/ includes
  std::string top;                      // module that becomes Vmodule
  std::vector<std::string> parameters;  // of the top, NAME=VALUE
  std::vector<std::string> harness;     // sources harness/<name>.cpp that join the model
  std::string definitions;              // of the compiler, for them
  // Module of which the top has many, Verilated once for all of them; empty: everything in one.
  std::string block;
  bool trace = false;
  std::map<std::string, std::set<std::string>> probes;  // variables to be seen, by module
};

// Returns the shared object, which it builds if the cache lacks it:
// ${XDG_CACHE_HOME:-~/.cache}/vaultrain/models/DIGEST/device.so, by the digest of the sources, the
// Verilator version and the flags. Throws Error(kToolMissing) if Verilator or the compiler is
// missing or fails.
std::filesystem::path BuildModel(const ModelPlan& plan);

class ModelLibrary {
 public:
  explicit ModelLibrary(const std::filesystem::path& path);
  ~ModelLibrary();
  ModelLibrary(const ModelLibrary&) = delete;
  ModelLibrary& operator=(const ModelLibrary&) = delete;

  template <typename Function>
  void Find(Function& function, const char* name) const {
    function = reinterpret_cast<Function>(Symbol(name));
  }

 private:
  void* Symbol(const char* name) const;

  void* handle_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_SRC_MODEL_BUILD_H_
