// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/synth.h"

namespace vaultrain {
namespace {

nlohmann::json EnergyJson(const std::vector<SynthPhase>& phases,
                          const std::vector<SynthEnergy>& energies) {
  nlohmann::json json = nullptr;
  for (size_t i = 0; i < energies.size(); ++i) {
    const SynthEnergy& energy = energies[i];
    json.push_back({{"phase", phases[i].name},
                    {"logic_j", energy.logic},
                    {"glitches_j", energy.glitches},
                    {"clock_j", energy.clock},
                    {"memory_j", energy.memory},
                    {"leakage_j", energy.leakage}});
  }
  return json;
}

}  // namespace

SynthEnergy& SynthEnergy::operator+=(const SynthEnergy& other) {
  logic += other.logic;
  glitches += other.glitches;
  clock += other.clock;
  memory += other.memory;
  leakage += other.leakage;
  return *this;
}

SynthEnergy SynthEnergy::operator*(double factor) const {
  return {logic * factor, glitches * factor, clock * factor, memory * factor, leakage * factor};
}

nlohmann::json ToJson(const SynthReport& report) {
  auto number = [](const std::optional<double>& value) -> nlohmann::json {
    if (!value) return nullptr;
    return *value;
  };
  auto boundaries = [&](const GflopsPerWatt& value) -> nlohmann::json {
    return {{"pe_array", number(value.pe_array)},
            {"logic", number(value.logic)},
            {"module", number(value.module)}};
  };
  nlohmann::json blocks = nlohmann::json::array();
  for (const SynthBlockReport& block : report.blocks) {
    blocks.push_back({{"name", block.name},
                      {"instances", block.instances},
                      {"area_um2", block.area_um2},
                      {"ge", block.ge},
                      {"slack_ns", number(block.slack_ns)},
                      {"power_w", block.power_w},
                      {"energy", EnergyJson(report.phases, block.energy)},
                      {"glitch_error", block.energy.empty() ? nlohmann::json(nullptr)
                                                            : nlohmann::json(block.glitch_error)}});
  }
  nlohmann::json memories = nlohmann::json::array();
  for (const SynthMemory& memory : report.memories) {
    memories.push_back({{"depth", memory.depth},
                        {"width", memory.width},
                        {"granule", memory.granule},
                        {"single_port", memory.single_port},
                        {"instances", memory.instances},
                        {"area_um2", memory.area_um2}});
  }
  nlohmann::json phases = nullptr, contributors = nullptr, dram = nullptr, mismatch = nullptr;
  for (const SynthPhase& phase : report.phases) {
    phases.push_back({{"name", phase.name}, {"cycles", phase.cycles}});
  }
  for (const SynthContributor& part : report.contributors) {
    contributors.push_back({{"name", part.name}, {"pj_per_mac", part.pj_per_mac}});
  }
  if (report.dram) {
    dram = {{"per_bit", report.dram->per_bit},
            {"per_bit_stack", report.dram->per_bit_stack},
            {"by_command", report.dram->by_command},
            {"activate", report.dram->activate},
            {"access", report.dram->access},
            {"refresh", report.dram->refresh},
            {"io", report.dram->io}};
  }
  // False: every output of every netlist was the RTL's in every cycle; null: not simulated.
  if (!report.phases.empty()) mismatch = false;
  if (!report.netlist_mismatches.empty()) mismatch = report.netlist_mismatches;
  return {{"library", report.library},
          {"clock_ns", report.clock_ns},
          {"slack_ns", report.slack_ns},
          {"area_um2", report.area_um2},
          {"ge", report.ge},
          {"ge_per_lane", number(report.ge_per_lane)},
          {"power_w", report.power_w},
          {"gflops_per_watt", boundaries(report.gflops_per_watt)},
          {"gflops_per_watt_glitches", boundaries(report.gflops_per_watt_glitches)},
          {"gflops_per_watt_stack", number(report.gflops_per_watt_stack)},
          {"sampling_error", boundaries(report.sampling_error)},
          {"replayed",
           report.phases.empty() ? nlohmann::json(nullptr) : nlohmann::json(report.replayed)},
          {"activity", report.phases.empty() ? "default" : "simulated"},
          {"phases", phases},
          {"pj_per_mac", contributors},
          {"dram_j", dram},
          {"netlist_mismatch", mismatch},
          {"blocks", blocks},
          {"worst_path", report.worst_path},
          {"memories", memories},
          {"remarks", report.remarks}};
}

}  // namespace vaultrain
