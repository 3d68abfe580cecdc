// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What the mapper may choose of a schedule without another computation. Tiles of another size sum
// in another order; so bits may differ from one choice to the next, never from RTL to golden.

#ifndef VAULTRAIN_TUNING_H_
#define VAULTRAIN_TUNING_H_

#include <cstdint>
#include <random>

namespace vaultrain {

struct Tuning {
  int64_t ahead = 16;           // tasks of a kind that may come next
  int64_t wait = 4000;          // cycles that others wait for the shortest tasks
  int64_t prefetch = 60000;     // cycles that memory may be ahead; 0: it is taken for always ready
  int64_t lanes_take = 115;     // cycles of a job of the lanes, with waits for banks, in percent
  int64_t mixes_updates = 0;    // 1: of updates the next may be of any operation
  int64_t keep_share = 4;       // of the scratchpad for what a later task takes, in sixteenths
  int64_t band_share = 8;       // the same for what several take; 0: it goes through memory
  int64_t band_cycles = 80000;  // at most from a band to what takes it; below 0 none is kept
  int64_t forward_bands = 2;    // tiles of an image in FF, at least, where samples go by turns
  int64_t backward_bands = 2;   // in BP
  // Shares of the scratchpad in UP, as divisors: for sums; where X stays, for sums and, of the
  // rest, for a tile; where it does not, of the rest for a tile.
  int64_t sums = 4;
  int64_t small_sums = 16;
  int64_t small_tiles = 16;
  int64_t tiles = 2;
};

// Draws `changes` of them anew, or all if it is 0.
void DrawTuning(std::mt19937& random, int changes, Tuning& tuning);

}  // namespace vaultrain

#endif  // VAULTRAIN_TUNING_H_
