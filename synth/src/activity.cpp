// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "activity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

// The phase of each cycle.
class PhaseOf {
 public:
  PhaseOf(const SynthStep& step, const std::vector<SynthPhase>& phases) : spans_(step.spans) {
    for (const SynthStep::Span& span : spans_) {
      const auto phase = std::find_if(phases.begin(), phases.end(),
                                      [&](const SynthPhase& p) { return p.name == span.phase; });
      phases_.push_back(static_cast<size_t>(phase - phases.begin()));
    }
  }
  // Behind the step: SIZE_MAX.
  size_t operator()(uint64_t cycle) const {
    const auto span =
        std::upper_bound(spans_.begin(), spans_.end(), cycle,
                         [](uint64_t at, const SynthStep::Span& s) { return at < s.end; });
    return span == spans_.end() ? SIZE_MAX : phases_[static_cast<size_t>(span - spans_.begin())];
  }

 private:
  const std::vector<SynthStep::Span>& spans_;
  std::vector<size_t> phases_;
};

// One netlist through the windows of a step.
class Player {
 public:
  Player(GateSim& sim, const BlockWatch& watch, size_t block, const SynthStep& step,
         const PhaseOf& phase_of, int unit_delay_every)
      : sim_(sim),
        watch_(watch),
        block_(block),
        step_(step),
        phase_of_(phase_of),
        unit_delay_every_(static_cast<uint64_t>(unit_delay_every)) {}

  // Counts the cycles of one phase. Returns how many there were.
  double Play(const SynthWindow& window, size_t phase) {
    const SynthWindow::Block& block = window.blocks[block_];
    Restore(block.registers);
    double counted = 0;
    SignalLog::Reader reader(block.ports);
    for (uint64_t i = 0; reader.Next(); ++i) {
      const uint64_t cycle = window.begin + i - 1;  // of the step; i is 0 before the window
      const size_t here = i == 0 ? phase : phase_of_(cycle);
      if (here == SIZE_MAX) break;
      Drive(reader, i == 0);
      const bool counts = i > 0 && here == phase;
      sim_.Count(counts);
      const bool unit_delay = counts && unit_delay_every_ > 0 && played_++ % unit_delay_every_ == 0;
      const uint64_t glitches = sim_.Settle(unit_delay);
      if (unit_delay) Sample(static_cast<double>(glitches));
      Compare(reader, static_cast<int64_t>(cycle));
      sim_.Edge();
      counted += counts;
    }
    sim_.Count(false);
    return counted;
  }

  const std::string& mismatch() const { return mismatch_; }
  double GlitchError() const {
    if (samples_ < 2 || sum_ == 0) return 0;
    const double variance = std::max(0.0, (squares_ - sum_ * sum_ / samples_) / (samples_ - 1));
    return std::sqrt(variance / samples_) / (sum_ / samples_);
  }

 private:
  void Restore(const SignalLog& log) {
    SignalLog::Reader state(log);
    state.Next();
    for (size_t i = 0; i < watch_.registers.size(); ++i) {
      const auto& [signal, bit] = watch_.registers[i];
      sim_.Restore(i, state.Value(signal)[bit / 8] >> (bit % 8) & 1);
    }
  }
  void Drive(const SignalLog::Reader& reader, bool all) {
    for (size_t i = 0; i < sim_.inputs().size(); ++i) {
      if (all || reader.Changed(i)) sim_.Drive(sim_.inputs()[i], reader.Value(i));
    }
  }
  void Compare(const SignalLog::Reader& reader, int64_t cycle) {
    for (size_t i = 0; mismatch_.empty() && i < sim_.outputs().size(); ++i) {
      const GateSim::Port& port = sim_.outputs()[i];
      if (sim_.Shows(port, reader.Value(sim_.inputs().size() + i))) continue;
      mismatch_ = fmt::format("{}{}{} in cycle {}", port.box, port.box.empty() ? "" : ".",
                              port.name, cycle);
    }
  }
  void Sample(double glitches) {
    ++samples_;
    sum_ += glitches;
    squares_ += glitches * glitches;
  }

  GateSim& sim_;
  const BlockWatch& watch_;
  size_t block_;
  const SynthStep& step_;
  const PhaseOf& phase_of_;
  uint64_t unit_delay_every_;
  uint64_t played_ = 0;
  std::string mismatch_;
  double samples_ = 0, sum_ = 0, squares_ = 0;
};

}  // namespace

BlockWatch WatchOf(const GateSim& sim, const Rtlil& design, const std::string& module,
                   const std::map<std::string, std::string>& box_modules) {
  BlockWatch block;
  block.watch.instances = design.PathsOf(module);
  auto add = [&](const GateSim::Port& port) {
    const std::string& of =
        port.box.empty() ? design.modules().at(module).base : box_modules.at(port.box);
    block.watch.ports.push_back({of, port.box, port.name, static_cast<int>(port.nets.size())});
  };
  for (const auto& port : sim.inputs()) add(port);
  for (const auto& port : sim.outputs()) add(port);
  std::map<std::tuple<std::string, std::string, int>, size_t> known;
  for (std::string_view name : sim.registers()) {
    if (!name.ends_with(kRegisterSuffix)) {
      throw Error(ExitStatus::kInternal, fmt::format("flip-flop {} has no name in the RTL", name));
    }
    name.remove_suffix(kRegisterSuffix.size());
    const RtlilBit bit = design.Find(module, name);
    std::vector<SynthProbe>& registers = block.watch.registers;
    const auto [place, is_new] =
        known.emplace(std::tuple(bit.scope, bit.name, bit.element), registers.size());
    if (is_new) registers.push_back({bit.module, bit.scope, bit.name, 0, bit.element});
    SynthProbe& probe = registers[place->second];
    probe.width = std::max(probe.width, bit.bit + 1);
    block.registers.emplace_back(place->second, bit.bit);
  }
  return block;
}

Activity Replay(GateSim& sim, const BlockWatch& watch, size_t block, const SynthStep& step,
                const std::vector<SynthPhase>& phases, int unit_delay_every) {
  Activity activity;
  const PhaseOf phase_of(step, phases);
  Player player(sim, watch, block, step, phase_of, unit_delay_every);
  for (size_t g = 0; g < kGroups; ++g) {
    for (size_t phase = 0; phase < phases.size(); ++phase) {
      PhaseActivity& into = activity.groups[g].emplace_back();
      for (size_t w = g; w < step.windows.size(); w += kGroups) {
        const SynthWindow& window = step.windows[w];
        bool holds = false;
        for (uint64_t i = 1; i < window.blocks[block].ports.cycles() && !holds; ++i) {
          holds = phase_of(window.begin + i - 1) == phase;
        }
        if (holds) into.cycles += player.Play(window, phase);
      }
      into.toggles = sim.TakeToggles();
      into.accesses = sim.TakeAccesses();
    }
  }
  activity.mismatch = player.mismatch();
  activity.glitch_error = player.GlitchError();
  return activity;
}

}  // namespace vaultrain
