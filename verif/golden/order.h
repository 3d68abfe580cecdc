// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Whether the results of a program depend on timing: what two engines of a node touch, one of them
// to write it, must be ordered by tokens.
//
// The golden machine runs descriptors one after another and so never sees such a race. Beside it,
// every job has a clock: how many jobs of each engine are known to be complete when it starts. A
// token carries the clock of the job that gave it; VECTOR knows from the sums it took, once it is
// complete, that what COMPUTE read for them has been read. Each cell of memory remembers the last
// job that wrote it, and of each engine the last that read it.
//
// What the mesh brings is ordered by tokens between nodes, which are not followed: it counts as
// ordered.

#ifndef VAULTRAIN_GOLDEN_ORDER_H_
#define VAULTRAIN_GOLDEN_ORDER_H_

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "vaultrain/isa.h"

namespace vaultrain::golden {

class OrderChecker {
 public:
  enum class Space { kScratchpad, kVault };
  // Descriptors by their index in the program.
  struct Race {
    uint32_t earlier = 0;
    uint32_t later = 0;
    Space space = Space::kScratchpad;
    uint64_t address = 0;

    std::string Text() const;
  };

  // Cells of the scratchpad have as many bytes as one write enable.
  OrderChecker(uint64_t scratchpad_bytes, uint64_t cell_bytes);

  // A program begins.
  void Clear();
  // The job that runs from here to Complete. Accesses outside belong to the host and do not count.
  void Start(uint32_t index, isa::Engine engine, uint64_t wait);
  void Complete(uint64_t signal);
  // Of the job that runs. Scratchpad addresses wrap at its size.
  void Access(Space space, uint64_t address, uint64_t bytes, bool write);
  // COMPUTE hands a set of sums over; VECTOR has taken the oldest.
  void HandOver();
  void TakeOver();
  // The mesh has written these bytes.
  void Receive(uint64_t address, uint64_t bytes);

  // The first that was seen.
  const std::optional<Race>& race() const { return race_; }

 private:
  using Clock = std::array<uint32_t, isa::kEngines>;
  struct Cell {
    uint32_t write_job = 0;  // 0: none
    int write_engine = 0;
    Clock reads{};
  };

  void Touch(Cell& cell, Space space, uint64_t address, bool write);
  void Behind(int engine, uint32_t job, Space space, uint64_t address);

  uint64_t cell_bytes_;
  std::vector<Cell> scratchpad_;
  std::unordered_map<uint64_t, Cell> vault_;
  bool running_ = false;
  int engine_ = 0;
  std::array<Clock, isa::kEngines> clocks_{};                 // of the last job of each engine
  std::array<std::vector<uint32_t>, isa::kEngines> indices_;  // of its jobs
  std::array<std::array<std::deque<Clock>, isa::kEngines>, isa::kEngines> tokens_;  // [from][to]
  std::deque<Clock> sets_;
  Clock taken_{};
  std::optional<Race> race_;
};

}  // namespace vaultrain::golden

#endif  // VAULTRAIN_GOLDEN_ORDER_H_
