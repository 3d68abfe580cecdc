// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Sums over the mesh in the order that vt_reduce_router adds.

#ifndef VAULTRAIN_VERIF_GOLDEN_MESH_SUM_H_
#define VAULTRAIN_VERIF_GOLDEN_MESH_SUM_H_

#include <cstdint>
#include <span>

namespace vaultrain::golden {

enum class MeshGroup : uint8_t { kRow = 1, kColumn = 2, kAll = 3 };

// fp32 sum of one value a node; node (x, y) is y * columns + x, nodes outside of the owner's group
// are not looked at. Chains run towards the owner, each node adding what comes to its own value:
// own + west + east + north + south. For kAll every row has its chains towards the owner's column,
// then that column has its own.
uint32_t MeshSum(std::span<const uint32_t> values, int columns, int rows, MeshGroup group,
                 int owner);

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_VERIF_GOLDEN_MESH_SUM_H_
