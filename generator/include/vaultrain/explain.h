// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What MapNetwork decided and what it weighed, written down where it decides (MapOptions).

#ifndef VAULTRAIN_EXPLAIN_H_
#define VAULTRAIN_EXPLAIN_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vaultrain/mapper.h"

namespace vaultrain {

// Share of the pins' beats that the mapper's models count on.
inline constexpr double kPinShare = 0.92;

// Cycles that work keeps the engines of a node busy. They work side by side: the slowest counts.
struct EngineCycles {
  double array = 0;
  double pins = 0;   // of the vault
  double links = 0;  // of the mesh: flits that the node sends, or gets if those are more
  double lanes = 0;  // of the vector unit

  double Slowest() const;
  // "array", "pins", "links" or "lanes".
  std::string_view Bound() const;
};

// ---- the partition

// The model by which partitions are compared; the vector unit has no part in it.
struct PartitionPhase {
  std::string layer;
  Phase phase = Phase::kFeedForward;
  EngineCycles cycles;
};

struct PartitionChoice {
  Partition partition = Partition::kBatch;
  std::vector<PartitionPhase> phases;
  double cycles = 0;  // sum of the slowest of each
};

// ---- the tiles of a product on one node

// Memory and array work at the same time; the slower side counts, and the last store comes behind.
struct TilingChoice {
  int64_t rows = 0, cols = 0;  // of the result
  std::string stays;           // tensor whose tile stays while the other streams
  bool streams_whole = false;  // the other stays, too, as it is small
  double compute = 0;          // the array, tile after tile
  double first_loads = 0;      // until it can begin
  double last_store = 0;       // after it has ended
  double transfers = 0;        // all bytes through the pins
  double tile = 0;             // the array behind the last of them

  double ArraySide() const { return first_loads + compute; }
  double MemorySide() const { return transfers - last_store + tile; }
  double Cycles() const;
};

// Why `other` was not taken, in words.
std::string WhyNot(const TilingChoice& chosen, const TilingChoice& other);

struct ProductChoice {
  std::string result;  // tensor
  int64_t m = 0, n = 0, k = 0;
  int64_t weighed = 0;    // tilings that fit
  int64_t too_large = 0;  // that do not
  // The one that was taken, the best that were not, and the best where the other operand stays.
  std::vector<TilingChoice> tilings;
};

// ---- the whole

struct JobChoice {
  // Of the node that needs the most, read off its descriptors. Pins at kPinShare; a COMPUTE at the
  // words that it streams, or the loading of its B tiles where that takes longer; a VECTOR at an
  // entry a cycle, LANES at a group and instruction a cycle. Waiting is not counted.
  EngineCycles cycles;
  std::vector<ProductChoice> products;  // of layers that are plain products, on one node
};

// Schedules of a step, by their estimates.
struct ScheduleChoice {
  int weighed = 0;              // beside the first
  int64_t cycles = 0;           // of the slowest node
  int64_t cycles_of_first = 0;  // of the first schedule
};

struct Explanation {
  std::string partition_reason;
  std::vector<PartitionChoice> partitions;  // those that the batch suits, if they were weighed
  std::vector<JobChoice> jobs;              // of each ProgramJob
  ScheduleChoice schedule;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_EXPLAIN_H_
