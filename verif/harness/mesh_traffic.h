// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Traffic on a data mesh of any shape, with a scoreboard: what the tests check and the bench
// measures.

#ifndef VAULTRAIN_VERIF_HARNESS_MESH_TRAFFIC_H_
#define VAULTRAIN_VERIF_HARNESS_MESH_TRAFFIC_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vaultrain {

struct MeshShape {
  int columns = 1;
  int rows = 1;

  int Nodes() const { return columns * rows; }
};

// Who gets a flit beside its source; the values are those of the flit's header.
enum class MeshCast : uint8_t { kOne = 0, kRow = 1, kColumn = 2, kAll = 3 };

// A mesh with flits of 64 bits: header in bits 7 to 0, the rest opaque. Node (x, y) is y * columns
// + x.
class MeshModel {
 public:
  virtual ~MeshModel() = default;

  virtual void Reset() = 0;
  // Applies the inputs and reads the outputs of this cycle.
  virtual void Settle() = 0;
  // The clock's edge.
  virtual void Rise() = 0;

  // Inputs, bit n or entry n for node n.
  uint64_t inject_valid = 0;
  uint64_t eject_ready = 0;
  std::vector<uint64_t> inject_flit;
  // Outputs.
  uint64_t inject_ready = 0;
  uint64_t eject_valid = 0;
  uint64_t idle = 0;
  uint64_t error = 0;
  std::vector<uint64_t> eject_flit;
};

uint64_t MeshHeader(MeshCast cast, int x, int y);

// True if a flit of `source` is for `node`; a cast is not for its own source.
bool MeshReaches(MeshShape shape, int source, uint64_t flit, int node);

enum class MeshPattern {
  kUniform,    // any other node
  kHotSpot,    // a quarter to the node in the middle, the rest uniform
  kTranspose,  // (x, y) to the node that has its place in the transposed mesh
  kAllToOne,   // the last node
  kRow,
  kColumn,
  kAll,
  kMix,  // of uniform and the three casts, in equal parts
};
inline constexpr int kMeshPatterns = 8;
const char* MeshPatternName(MeshPattern pattern);

struct MeshTraffic {
  MeshPattern pattern = MeshPattern::kUniform;
  uint64_t flits = 0;     // in all; 0: until `cycles` are over
  uint64_t cycles = 0;    // measured ones
  uint64_t warm_up = 0;   // cycles before them
  double load = 1;        // flits that a node makes a cycle; they wait in a queue without end
  bool saturate = false;  // instead: every node always has a flit to send
  bool stalls = false;    // nodes and sinks hold back in random runs
  uint32_t seed = 1;
};

// Flits and copies are counted in the measured cycles; the run goes on until the mesh is empty.
struct MeshFigures {
  uint64_t cycles = 0;
  uint64_t made = 0;        // flits that the nodes made
  uint64_t injected = 0;    // flits that entered the mesh
  uint64_t delivered = 0;   // copies that left it
  uint64_t fewest = 0;      // flits that entered at the node with the fewest
  double mean_latency = 0;  // cycles from making a flit to each of its copies
  uint64_t max_latency = 0;
  std::string fault;  // what went wrong first, with node, cycle and seed; empty if nothing
};

// Every copy must arrive where it belongs, once, whole, and in order within source, destination and
// cast; and the mesh must be idle in the end.
MeshFigures RunMeshTraffic(MeshModel& mesh, MeshShape shape, const MeshTraffic& traffic);

// Flits a node and cycle that uniform traffic can reach at most: of the N nodes' flits, those from
// one half to the other and back must pass the links that cut the longer side in the middle, each
// taking one a cycle.
double UniformMeshBound(MeshShape shape);

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_HARNESS_MESH_TRAFFIC_H_
