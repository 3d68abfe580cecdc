// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The hand-written modules and headers of rtl_templates, and which of them a module needs.

#ifndef VAULTRAIN_SRC_RTL_TEMPLATES_H_
#define VAULTRAIN_SRC_RTL_TEMPLATES_H_

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vaultrain::rtl {

// What a source refers to: modules it instantiates and files it includes, each once, sorted.
struct References {
  std::vector<std::string> modules;  // all named vt_*, vt_error_* left out
  std::vector<std::string> includes;
};

References ScanReferences(std::string_view source);

// File name ("vt_fifo.v") -> text, of everything that `source` refers to, directly or through
// others. Throws Error(kInternal) that names the module or header that is not there and the file
// that wants it.
std::map<std::string, std::string> TemplateClosure(std::string_view source,
                                                   const std::filesystem::path& templates);

}  // namespace vaultrain::rtl

#endif  // VAULTRAIN_SRC_RTL_TEMPLATES_H_
