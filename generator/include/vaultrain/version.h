// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The version of this program, as in CMakeLists.txt.

#ifndef VAULTRAIN_VERSION_H_
#define VAULTRAIN_VERSION_H_

#include <string_view>

namespace vaultrain {

// "0.1.0".
std::string_view ToolVersion();

}  // namespace vaultrain

#endif  // VAULTRAIN_VERSION_H_
