// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// When each job of a step ran, and what it waited for, read off the sequencers of the RTL.

#ifndef VAULTRAIN_TIMELINE_H_
#define VAULTRAIN_TIMELINE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "vaultrain/device.h"
#include "vaultrain/isa.h"
#include "vaultrain/program.h"
#include "vaultrain/variant.h"

namespace vaultrain {

class Timeline {
 public:
  using PerEngine = std::array<uint64_t, isa::kEngines>;

  explicit Timeline(const Variant& variant);
  Timeline(const Timeline&) = delete;
  Timeline& operator=(const Timeline&) = delete;

  // Records the runs of the device that is made with these options; of several the last one.
  void Attach(RtlOptions& options);

  // A job in cycles of its run: from its grant, or from the end of the one before where that comes
  // later, until it is done.
  struct Job {
    int tag = 0;
    isa::Opcode opcode = isa::Opcode::kEnd;
    uint64_t begin = 0, end = 0;
    PerEngine waited{};  // cycles before it that the engine stood idle for tokens of that engine
  };

  // Where the cycles of an engine went: busy + all of waiting + empty = cycles of the run.
  struct Use {
    uint64_t busy = 0;
    PerEngine waiting{};  // the next job lacks tokens of that engine (of several the first)
    uint64_t empty = 0;   // no job in the queue
  };

  int nodes() const { return static_cast<int>(nodes_.size()); }
  const std::vector<Job>& Jobs(int node, isa::Engine engine) const;
  Use UseOf(int node, isa::Engine engine) const;

  // The last run in the trace event format that Perfetto and chrome://tracing read: a process is a
  // node, a thread an engine, a slice a job, a microsecond a cycle.
  nlohmann::ordered_json TraceEvents(const Program& program) const;

 private:
  struct Lane {
    std::vector<Job> jobs;
    std::deque<size_t> open;  // granted and not done, the oldest first
    PerEngine waited{};       // of the next job
    Use use;
  };
  struct Node {
    size_t first_probe = 0;
    bool running = false;
    std::array<Lane, isa::kEngines> engines;
  };

  void Observe();
  void Observe(Node& node);

  std::vector<RtlProbe> probes_;
  std::vector<Node> nodes_;
  uint64_t cycle_ = 0;  // of the run
};

std::string_view EngineName(isa::Engine engine);

}  // namespace vaultrain

#endif  // VAULTRAIN_TIMELINE_H_
