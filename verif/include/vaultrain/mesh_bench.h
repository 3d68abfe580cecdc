// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Latency and throughput of the data mesh, measured on its Verilated RTL.

#ifndef VAULTRAIN_MESH_BENCH_H_
#define VAULTRAIN_MESH_BENCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "vaultrain/paths.h"

namespace vaultrain {

struct MeshBenchRow {
  std::string name;            // of the traffic
  bool passed = false;         // every flit arrived as it should
  std::string message;         // what went wrong; empty if nothing
  uint64_t cycles = 0;         // measured, of the saturated run
  double latency = 0;          // mean cycles of a copy, at a load of 0.02
  double flits = 0;            // that enter, a node and cycle, when every node always has one
  double copies = 0;           // that leave, a node and cycle
  double bytes_per_cycle = 0;  // payload of the copies, all nodes
  double of_bound = 0;         // flits / bound of the bisection, of uniform traffic; else 0
};

// Builds the mesh of columns x rows nodes, or takes it from the cache, and measures it. Throws
// Error(kToolMissing) if Verilator or the compiler is missing or fails.
std::vector<MeshBenchRow> BenchMesh(int columns, int rows, int link_bits, uint32_t seed,
                                    const ResourcePaths& resources);

}  // namespace vaultrain

#endif  // VAULTRAIN_MESH_BENCH_H_
