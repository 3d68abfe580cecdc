// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/timeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

namespace vaultrain {

namespace {

// What is read of each node, in the order of its probes.
enum ProbeOf { kStart, kDone, kError, kJob, kJobDone, kWaits, kMissing, kProbes };

constexpr std::array<std::pair<const char*, const char*>, kProbes> kSignals = {{
    {"vt_sequencer", "start_i"},
    {"vt_sequencer", "done_o"},
    {"vt_sequencer", "error_o"},
    {"vt_sequencer", "job_o"},
    {"vt_sequencer", "job_done_i"},
    {"vt_semaphores", "wait_valid_i"},
    {"vt_semaphores", "missing"},
}};

}  // namespace

std::string_view EngineName(isa::Engine engine) {
  constexpr std::array<std::string_view, isa::kEngines> kNames = {"load",   "store", "array",
                                                                  "vector", "send",  "lanes"};
  return kNames[static_cast<size_t>(engine)];
}

Timeline::Timeline(const Variant& variant) {
  for (int n = 0; n < variant.vaults; ++n) {
    nodes_.emplace_back().first_probe = probes_.size();
    const std::string sequencer =
        fmt::format("vt_memory_module.u_node_{}.u_core.u_cluster.u_sequencer", n);
    for (const auto& [module, signal] : kSignals) {
      const bool inside = std::string_view(module) == "vt_semaphores";
      probes_.push_back({module, sequencer + (inside ? ".u_semaphores" : ""), signal});
    }
  }
}

void Timeline::Attach(RtlOptions& options) {
  options.probes = &probes_;
  options.observe = [this] { Observe(); };
}

const std::vector<Timeline::Job>& Timeline::Jobs(int node, isa::Engine engine) const {
  return nodes_[node].engines[static_cast<size_t>(engine)].jobs;
}

Timeline::Use Timeline::UseOf(int node, isa::Engine engine) const {
  return nodes_[node].engines[static_cast<size_t>(engine)].use;
}

void Timeline::Observe() {
  const auto runs = [](const Node& node) { return node.running; };
  const auto starts = [this](const Node& node) {
    return *probes_[node.first_probe + kStart].value != 0;
  };
  if (std::none_of(nodes_.begin(), nodes_.end(), runs)) {
    if (std::none_of(nodes_.begin(), nodes_.end(), starts)) return;
    cycle_ = 0;
    for (Node& node : nodes_) node.engines = {};
  }
  for (Node& node : nodes_) {
    if (node.running) Observe(node);
    node.running = node.running || starts(node);
  }
  ++cycle_;
}

void Timeline::Observe(Node& node) {
  const auto bits = [&](ProbeOf probe) { return *probes_[node.first_probe + probe].value; };
  const uint8_t* jobs = probes_[node.first_probe + kJob].value;
  uint64_t missing = 0;
  std::memcpy(&missing, probes_[node.first_probe + kMissing].value, sizeof missing);
  for (int e = 0; e < isa::kEngines; ++e) {
    Lane& lane = node.engines[e];
    const auto has = [&, e](ProbeOf probe) { return (bits(probe) >> e & 1) != 0; };
    const auto lacks = static_cast<unsigned>(missing >> e * isa::kEngines & 0x3f);
    if (has(kWaits) && lacks == 0) {  // granted, and begun unless the one before still runs
      isa::Descriptor d;
      std::memcpy(d.bytes().data(), jobs + e * isa::kDescriptorBytes, isa::kDescriptorBytes);
      lane.open.push_back(lane.jobs.size());
      lane.jobs.push_back({static_cast<int>(d.Get(isa::FieldId::kTag)),
                           static_cast<isa::Opcode>(d.Get(isa::FieldId::kOpcode)), cycle_, cycle_,
                           lane.waited});
      lane.waited = {};
    }
    if (!lane.open.empty()) {
      ++lane.use.busy;
    } else if (has(kWaits)) {
      const int awaited = std::countr_zero(lacks);
      ++lane.use.waiting[awaited];
      ++lane.waited[awaited];
    } else {
      ++lane.use.empty;
    }
    if (has(kJobDone) && !lane.open.empty()) {
      lane.jobs[lane.open.front()].end = cycle_ + 1;
      lane.open.pop_front();
      if (!lane.open.empty()) lane.jobs[lane.open.front()].begin = cycle_ + 1;
    }
  }
  if (bits(kDone) != 0 || bits(kError) != 0) node.running = false;
}

nlohmann::ordered_json Timeline::TraceEvents(const Program& program) const {
  using Json = nlohmann::ordered_json;
  std::map<int, std::string> names;
  for (const ProgramJob& job : program.jobs) names[job.tag] = job.layer + " " + job.phase;
  Json events = Json::array();
  const auto label = [&events](const char* what, int node, int engine, const std::string& name) {
    events.push_back(
        {{"name", what}, {"ph", "M"}, {"pid", node}, {"tid", engine}, {"args", {{"name", name}}}});
  };
  for (int n = 0; n < nodes(); ++n) {
    label("process_name", n, 0, fmt::format("node {}", n));
    for (int e = 0; e < isa::kEngines; ++e) {
      const Lane& lane = nodes_[n].engines[e];
      if (lane.jobs.empty()) continue;
      label("thread_name", n, e, std::string(EngineName(static_cast<isa::Engine>(e))));
      for (const Job& job : lane.jobs) {
        Json waited = Json::object();
        for (int f = 0; f < isa::kEngines; ++f) {
          if (job.waited[f] == 0) continue;
          waited[fmt::format("waited for {}", EngineName(static_cast<isa::Engine>(f)))] =
              job.waited[f];
        }
        events.push_back({{"name", names[job.tag]},
                          {"cat", isa::OpcodeName(static_cast<int>(job.opcode))},
                          {"ph", "X"},
                          {"ts", job.begin},
                          {"dur", job.end - job.begin},
                          {"pid", n},
                          {"tid", e},
                          {"args", waited}});
      }
    }
  }
  return {{"displayTimeUnit", "ns"}, {"traceEvents", events}};
}

}  // namespace vaultrain
