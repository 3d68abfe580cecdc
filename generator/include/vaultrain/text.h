// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Names from files, made fit for a one-line message.

#ifndef VAULTRAIN_TEXT_H_
#define VAULTRAIN_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

namespace vaultrain {

// The name in single quotes, printable ASCII only (other bytes as \xNN), cut after 80 characters.
std::string Quote(std::string_view name);

// The candidate with the least edit distance, a beginning counting as 1; candidates must not be
// empty.
std::string_view NearestName(std::string_view unknown,
                             const std::vector<std::string_view>& candidates);

}  // namespace vaultrain

#endif  // VAULTRAIN_TEXT_H_
