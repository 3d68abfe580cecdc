// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The timeline of a step beside its program and the counters of the RTL.

#include "vaultrain/timeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <numeric>
#include <set>

#include "mapped_network.h"
#include "smallest_variant.h"
#include "vaultrain/graph.h"
#include "vaultrain/networks.h"

namespace vaultrain {
namespace {

class TimelineOfAStep : public testing::Test {
 protected:
  TimelineOfAStep() {
    setenv("XDG_CACHE_HOME", VT_CACHE, 1);
    s_ = MapGraph(ReadOnnx(FindNetwork("tiny-conv", {Resources().networks})), 16, kSmallest);
    timeline_.emplace(s_.variant);
    RtlOptions options;
    timeline_->Attach(options);
    device_ = MakeRtlDevice(s_.variant, s_.dram, Resources(), options);
    device_->Load(s_.program.image);
    SetStep(*device_, s_.recipe, 0, 0.1f);
  }

  RunReport Run(const char* stream) {
    const RunReport run = device_->Run(s_.program.Stream(stream));
    EXPECT_EQ(run.error, isa::ErrorCode::kNone);
    return run;
  }

  void ExpectShows(const char* stream, const RunReport& run) {
    using isa::Engine;
    std::array<std::vector<int>, isa::kEngines> tags;  // of an engine's descriptors, in order
    for (const isa::Descriptor& d : s_.program.Stream(stream).nodes.front().descriptors) {
      const auto opcode = static_cast<isa::Opcode>(d.Get(isa::FieldId::kOpcode));
      if (opcode == isa::Opcode::kEnd) continue;
      tags[static_cast<size_t>(isa::EngineOf(opcode))].push_back(
          static_cast<int>(d.Get(isa::FieldId::kTag)));
    }
    std::map<int, uint64_t> last;  // of the vector unit and the lanes, by tag
    for (int e = 0; e < isa::kEngines; ++e) {
      SCOPED_TRACE(EngineName(static_cast<Engine>(e)));
      const auto& jobs = timeline_->Jobs(0, static_cast<Engine>(e));
      ASSERT_EQ(jobs.size(), tags[e].size());
      uint64_t before = 0, busy = 0;
      Timeline::PerEngine waited{};
      for (size_t n = 0; n < jobs.size(); ++n) {
        EXPECT_EQ(jobs[n].tag, tags[e][n]);
        EXPECT_EQ(static_cast<int>(isa::EngineOf(jobs[n].opcode)), e);
        EXPECT_GE(jobs[n].begin, before);
        EXPECT_GT(jobs[n].end, jobs[n].begin);
        before = jobs[n].end;
        busy += jobs[n].end - jobs[n].begin;
        for (int f = 0; f < isa::kEngines; ++f) waited[f] += jobs[n].waited[f];
        if (e == static_cast<int>(Engine::kVector) || e == static_cast<int>(Engine::kLanes)) {
          last[jobs[n].tag] = std::max(last[jobs[n].tag], jobs[n].end);
        }
      }
      const Timeline::Use use = timeline_->UseOf(0, static_cast<Engine>(e));
      EXPECT_EQ(use.busy, busy);
      EXPECT_EQ(use.waiting, waited);
      EXPECT_EQ(use.waiting[e], 0u) << "an engine does not wait for itself";
      const uint64_t all =
          std::accumulate(use.waiting.begin(), use.waiting.end(), use.busy + use.empty);
      // The run's counter begins and ends a few cycles beside the sequencer.
      EXPECT_NEAR(static_cast<double>(all), static_cast<double>(run.counters.cycles), 16);
    }
    for (const auto& [tag, end] : last) {
      EXPECT_NEAR(static_cast<double>(end), run.job_cycles[tag], 16) << "tag " << tag;
    }
  }

  Mapped s_;
  std::optional<Timeline> timeline_;
  std::unique_ptr<Device> device_;
};

TEST_F(TimelineOfAStep, HasEveryJobOnceInOrderAndEndsWithTheCountersOfTheLastRun) {
  ExpectShows("train", Run("train"));
  ExpectShows("infer", Run("infer"));
}

TEST_F(TimelineOfAStep, EventsNameLayerPhaseAndWhatWasWaitedFor) {
  Run("train");
  const nlohmann::ordered_json trace = timeline_->TraceEvents(s_.program);
  size_t jobs = 0;
  for (int e = 0; e < isa::kEngines; ++e) {
    jobs += timeline_->Jobs(0, static_cast<isa::Engine>(e)).size();
  }
  size_t slices = 0, waits = 0;
  std::set<std::string> names;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    ++slices;
    names.insert(event.at("name"));
    waits += event.at("args").count("waited for load");
  }
  EXPECT_EQ(slices, jobs);
  EXPECT_GT(waits, 0u);
  EXPECT_EQ(names.count("conv1 FF"), 1u);
  EXPECT_EQ(names.count("conv1 UP"), 1u);
}

}  // namespace
}  // namespace vaultrain
