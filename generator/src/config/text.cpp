// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace vaultrain {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string Quote(std::string_view name) {
  constexpr size_t kLongest = 80;
  std::string text = "'";
  for (unsigned char c : name.substr(0, kLongest)) {
    if (c >= 0x20 && c < 0x7f) {
      text += static_cast<char>(c);
    } else {
      text += fmt::format("\\x{:02x}", c);
    }
  }
  return text + (name.size() > kLongest ? "...'" : "'");
}

std::string_view NearestName(std::string_view unknown,
                             const std::vector<std::string_view>& candidates) {
  // Far longer than any name we know: the tail cannot matter.
  unknown = unknown.substr(0, 80);
  // The beginning of a name stands for it.
  auto distance = [&](std::string_view name) {
    return unknown.size() > 2 && name.starts_with(unknown) ? 1 : EditDistance(unknown, name);
  };
  return *std::min_element(candidates.begin(), candidates.end(),
                           [&](auto a, auto b) { return distance(a) < distance(b); });
}

}  // namespace vaultrain
