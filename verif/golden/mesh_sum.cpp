// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/mesh_sum.h"

#include <vector>

#include "golden/fp32.h"

namespace vaultrain::golden {
namespace {

// Sum at place `owner` of a line: own, then the chain from below, then the one from above.
uint32_t LineSum(std::span<const uint32_t> line, int owner) {
  uint32_t sum = line[owner];
  if (owner > 0) {
    uint32_t chain = line[0];
    for (int i = 1; i < owner; ++i) chain = Fp32Add(line[i], chain);
    sum = Fp32Add(sum, chain);
  }
  const int last = static_cast<int>(line.size()) - 1;
  if (owner < last) {
    uint32_t chain = line[last];
    for (int i = last - 1; i > owner; --i) chain = Fp32Add(line[i], chain);
    sum = Fp32Add(sum, chain);
  }
  return sum;
}

}  // namespace

uint32_t MeshSum(std::span<const uint32_t> values, int columns, int rows, MeshGroup group,
                 int owner) {
  const int owner_x = owner % columns;
  const int owner_y = owner / columns;
  auto row_sum = [&](int y) {
    return LineSum(values.subspan(static_cast<size_t>(y) * columns, columns), owner_x);
  };
  if (group == MeshGroup::kRow) return row_sum(owner_y);
  std::vector<uint32_t> column(rows);
  for (int y = 0; y < rows; ++y)
    column[y] = group == MeshGroup::kAll ? row_sum(y) : values[y * columns + owner_x];
  return LineSum(column, owner_y);
}

}  // namespace vaultrain::golden
