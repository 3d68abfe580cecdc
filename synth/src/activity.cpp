// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "activity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace vaultrain {

std::vector<SynthProbe> ProbesOf(const GateSim& sim, const std::string& module,
                                 const std::string& scope,
                                 const std::map<std::string, std::string>& box_modules) {
  std::vector<SynthProbe> probes;
  auto add = [&](const GateSim::Port& port) {
    const int width = static_cast<int>(port.nets.size());
    if (port.box.empty()) {
      probes.push_back({module, scope, port.name, width});
    } else {
      probes.push_back({box_modules.at(port.box), scope + "." + port.box, port.name, width});
    }
  };
  for (const auto& port : sim.inputs()) add(port);
  for (const auto& port : sim.outputs()) add(port);
  return probes;
}

Activity Replay(GateSim& sim, const SignalLog& log, const SynthStep& step,
                const std::vector<SynthPhase>& phases, int unit_delay_every) {
  Activity activity;
  activity.phases.resize(phases.size());
  auto take = [&](size_t phase, double cycles) {
    PhaseActivity& into = activity.phases[phase];
    into.cycles += cycles;
    auto toggles = sim.TakeToggles();
    auto accesses = sim.TakeAccesses();
    if (into.toggles.empty()) {
      into.toggles = std::move(toggles);
      into.accesses = std::move(accesses);
      return;
    }
    for (size_t i = 0; i < toggles.size(); ++i) into.toggles[i] += toggles[i];
    for (size_t i = 0; i < accesses.size(); ++i) {
      into.accesses[i].second.reads += accesses[i].second.reads;
      into.accesses[i].second.writes += accesses[i].second.writes;
    }
  };
  const size_t inputs = sim.inputs().size();
  double samples = 0, sum = 0, squares = 0;
  SignalLog::Reader reader(log);
  size_t span = 0;
  uint64_t begin = step.begin;
  for (uint64_t cycle = 0; span < step.spans.size() && reader.Next(); ++cycle) {
    for (size_t i = 0; i < inputs; ++i) {
      if (reader.Changed(i)) sim.Drive(sim.inputs()[i], reader.Value(i));
    }
    if (cycle == step.begin) {
      sim.TakeToggles();
      sim.TakeAccesses();
    }
    const bool counted = cycle >= step.begin;
    const bool unit_delay = counted && unit_delay_every > 0 &&
                            (cycle - step.begin) % static_cast<uint64_t>(unit_delay_every) == 0;
    const uint64_t glitches = sim.Settle(unit_delay);
    if (unit_delay) {
      const auto count = static_cast<double>(glitches);
      ++samples;
      sum += count;
      squares += count * count;
    }
    for (size_t i = 0; counted && activity.mismatch.empty() && i < sim.outputs().size(); ++i) {
      const GateSim::Port& port = sim.outputs()[i];
      if (!sim.Shows(port, reader.Value(inputs + i))) {
        activity.mismatch = fmt::format("{} in cycle {}", port.name, cycle - step.begin);
      }
    }
    sim.Edge();
    while (span < step.spans.size() && cycle + 1 == step.spans[span].end) {
      const auto phase = static_cast<size_t>(
          std::find_if(phases.begin(), phases.end(),
                       [&](const SynthPhase& p) { return p.name == step.spans[span].phase; }) -
          phases.begin());
      take(phase, static_cast<double>(step.spans[span].end - begin));
      begin = step.spans[span].end;
      ++span;
    }
  }
  if (samples > 1 && sum > 0) {
    const double variance = std::max(0.0, (squares - sum * sum / samples) / (samples - 1));
    activity.glitch_error = std::sqrt(variance / samples) / (sum / samples);
  }
  return activity;
}

}  // namespace vaultrain
