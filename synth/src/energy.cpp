// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Power: a step replayed in the netlists, toggles turned into energy.

#include <algorithm>
#include <cmath>
#include <sstream>
#include <unordered_map>

#include "flow.h"
#include "macros.h"
#include "vaultrain/error.h"
#include "vaultrain/paths.h"

namespace vaultrain {

// Energies of the cells, and the simulator if there is a step to simulate.
void Flow::ReadEnergies(Part& part) {
  const StaResult timing = TimeNetlist(
      setup_, {part.mapped.netlist}, MemoryLibraries(part.memories), part.module, Sta(false), true);
  std::unordered_map<std::string, double> slews;
  std::istringstream lines(timing.slews);
  std::string pin;
  double rise = 0, fall = 0;
  while (lines >> pin >> rise >> fall) slews[pin] = (rise + fall) / 2;
  part.netlist = ParseNetlist(part.mapped.netlist);
  EnergySetup energies;
  energies.clock_slew_ns = tech_.clock_slew_ns;
  energies.output_load_pf = tech_.load_pf;
  energies.slew_ns = [&](const std::string& name) {
    auto found = slews.find(name);
    return found == slews.end() ? 0.0 : found->second;
  };
  part.cells = CellEnergies(part.netlist, library_, energies);
  if (!options_.simulate) return;
  std::map<std::string, SramShape> memories;
  for (const auto& [shape, count] : part.memories) memories[shape.Module()] = shape;
  std::map<std::string, std::set<std::string>> boxes;
  for (const std::string& box : boxes_) boxes[box] = design_.Outputs(box);
  std::map<std::string, std::string> box_modules;
  for (const NetlistCell& cell : part.netlist.cells) {
    if (memories.count(cell.type) > 0) box_modules[cell.name] = "vt_sram";
    if (boxes_.count(cell.type) > 0) box_modules[cell.name] = design_.modules().at(cell.type).base;
  }
  try {
    part.sim = std::make_unique<GateSim>(part.netlist, library_, memories, boxes);
    part.watch = WatchOf(*part.sim, design_, part.module, box_modules);
  } catch (const Error& error) {
    part.sim.reset();
    std::lock_guard lock(progress_mutex_);
    report_.remarks.push_back(fmt::format("{}: not simulated, at activity {}: {}", part.module,
                                          options_.activity, error.what()));
  }
}

// Of one cycle.
SynthEnergy Flow::DefaultEnergy(const Part& part) const {
  const double seconds = clock_ns_ * 1e-9;
  SynthEnergy energy = EnergyAt(part.cells, options_.activity, seconds);
  for (const auto& [shape, count] : part.memories) {
    // A single port shares the accesses between both.
    const double accesses = options_.sram_accesses / (shape.single_port ? 2 : 1);
    const auto memories = static_cast<double>(count);
    energy.memory += memories * SramEnergy(shape, tech_.sram, accesses, accesses);
    energy.leakage += memories * SramLeakage(shape, tech_.sram) * seconds;
  }
  return energy;
}

// Simulates the step on the RTL, replays it in the netlists and turns toggles into energy.
void Flow::MeasureEnergy() {
  InParallel(parts_.size(), [&](size_t i) { ReadEnergies(parts_[i]); });
  Say("energies");
  if (!options_.simulate) {
    for (Part& part : parts_) part.energy = {DefaultEnergy(part)};
    return;
  }
  std::vector<SynthWatch> watches;
  for (const Part& part : parts_) watches.push_back(part.watch.watch);
  step_ = options_.simulate(watches);
  uint64_t begin = 0;
  for (const SynthStep::Span& span : step_->spans) {
    auto phase = std::find_if(report_.phases.begin(), report_.phases.end(),
                              [&](const SynthPhase& p) { return p.name == span.phase; });
    if (phase == report_.phases.end()) {
      phase = report_.phases.insert(report_.phases.end(), {span.phase, 0});
    }
    phase->cycles += span.end - begin;
    begin = span.end;
  }
  InParallel(parts_.size(), [&](size_t i) {
    ReplayPart(i);
    Say(parts_[i].module);
  });
  for (const Part& part : parts_) {
    if (part.mismatch.empty()) continue;
    report_.netlist_mismatches.push_back(fmt::format("{}: {}", part.module, part.mismatch));
  }
}

// Each phase's energy is that of its cycles in the windows, scaled to all of its cycles.
void Flow::ReplayPart(size_t index) {
  Part& part = parts_[index];
  const std::vector<SynthPhase>& phases = report_.phases;
  if (!part.sim) {
    for (const SynthPhase& phase : phases) {
      part.energy.push_back(DefaultEnergy(part) * static_cast<double>(phase.cycles));
      for (SynthEnergy& group : part.groups) group += part.energy.back();
    }
    return;
  }
  const Activity activity =
      Replay(*part.sim, part.watch, index, *step_, phases, options_.unit_delay_every);
  part.glitch_error = activity.glitch_error;
  for (size_t p = 0; p < phases.size(); ++p) {
    std::array<SynthEnergy, kGroups> seen;
    SynthEnergy all;
    double cycles = 0;
    for (size_t g = 0; g < kGroups; ++g) {
      const PhaseActivity& phase = activity.groups[g][p];
      const double seconds = phase.cycles * clock_ns_ * 1e-9;
      seen[g] = EnergyOf(part.cells, phase.toggles, seconds);
      for (const auto& [shape, accesses] : phase.accesses) {
        seen[g].memory +=
            SramEnergy(shape, tech_.sram, static_cast<double>(accesses.reads), accesses.writes);
        seen[g].leakage += SramLeakage(shape, tech_.sram) * seconds;
      }
      all += seen[g];
      cycles += phase.cycles;
    }
    const auto whole = static_cast<double>(phases[p].cycles);
    if (cycles == 0) {
      throw Error(ExitStatus::kInternal,
                  fmt::format("no window saw phase {} of {} cycles", phases[p].name, whole));
    }
    part.replayed += cycles;
    part.energy.push_back(all * (whole / cycles));
    for (size_t g = 0; g < kGroups; ++g) {
      const double own = activity.groups[g][p].cycles;
      part.groups[g] += own > 0 ? seen[g] * (whole / own) : part.energy.back();
    }
  }
  part.mismatch = activity.mismatch;
}

// GFLOPS/W and pJ a MAC of the step. GFLOPS/W is 2 FLOP a MAC / nJ.
void Flow::CountEnergy() {
  const OutsideEnergy outside = ReadOutsideEnergy(Resources().constraints / "energy.toml");
  const SynthTraffic& traffic = step_->traffic;
  auto pj_per_mac = [&](double joule) { return joule * 1e12 / step_->macs; };
  SynthEnergy logic;
  for (const SynthBlockReport& block : report_.blocks) {
    SynthEnergy own;
    for (const SynthEnergy& energy : block.energy) own += energy;
    logic += own;
    report_.contributors.push_back({block.name, pj_per_mac(own.Total())});
  }
  const double links = traffic.link_bits * outside.link_pj_per_bit * 1e-12;
  SynthDram dram;
  dram.per_bit = traffic.dram_bits * outside.dies_pj_per_bit * 1e-12;
  dram.per_bit_stack = traffic.dram_bits * outside.stack_pj_per_bit * 1e-12;
  dram.activate = traffic.activated_bits * outside.activate_pj_per_bit * 1e-12;
  dram.access = traffic.dram_bits * outside.access_pj_per_bit * 1e-12;
  dram.io = traffic.dram_bits * outside.io_pj_per_bit * 1e-12;
  dram.refresh = traffic.refreshes * traffic.rows / outside.refreshes_per_period *
                 traffic.page_bits * outside.activate_pj_per_bit * 1e-12;
  dram.by_command = dram.activate + dram.access + dram.io + dram.refresh;
  report_.dram = dram;
  report_.contributors.push_back({"links", pj_per_mac(links)});
  report_.contributors.push_back({"DRAM", pj_per_mac(dram.per_bit)});
  SynthEnergy pe_array;
  for (const Part& part : parts_) {
    for (const SynthEnergy& energy : part.energy) pe_array += energy * part.in_pe_arrays;
  }
  const double gflop = 2 * step_->macs * 1e-9;
  const double all = logic.Total() + links;
  if (pe_array.Total() > 0) {
    report_.gflops_per_watt.pe_array = gflop / pe_array.Total();
    report_.gflops_per_watt_glitches.pe_array = gflop / (pe_array.Total() + pe_array.glitches);
  }
  report_.gflops_per_watt.logic = gflop / all;
  report_.gflops_per_watt_glitches.logic = gflop / (all + logic.glitches);
  report_.gflops_per_watt.module = gflop / (all + dram.per_bit);
  report_.gflops_per_watt_glitches.module = gflop / (all + logic.glitches + dram.per_bit);
  report_.gflops_per_watt_stack = gflop / (all + dram.per_bit_stack);
  CountError(pe_array.Total(), all, dram.per_bit);
}

// By random groups: the deviation of the mean over the groups' own totals, less the share of the
// population that was seen.
void Flow::CountError(double pe_array, double logic, double dram) {
  double seen = 0, population = 0;
  for (const Part& part : parts_) {
    if (!part.sim) continue;
    seen += part.replayed;
    population += static_cast<double>(part.instances) * static_cast<double>(step_->Cycles());
  }
  if (population == 0) return;
  report_.replayed = seen / population;
  auto error = [&](auto weight) {
    std::array<double, kGroups> totals{};
    double mean = 0, squares = 0;
    for (size_t g = 0; g < kGroups; ++g) {
      for (const Part& part : parts_) totals[g] += part.groups[g].Total() * weight(part);
      mean += totals[g] / kGroups;
    }
    for (const double total : totals) squares += (total - mean) * (total - mean);
    return std::sqrt(squares / (kGroups - 1) / kGroups * (1 - report_.replayed));
  };
  const double of_logic =
      error([](const Part& part) { return static_cast<double>(part.instances); });
  if (pe_array > 0) {
    report_.sampling_error.pe_array =
        error([](const Part& part) { return part.in_pe_arrays; }) / pe_array;
  }
  report_.sampling_error.logic = of_logic / logic;
  report_.sampling_error.module = of_logic / (logic + dram);
}

}  // namespace vaultrain
