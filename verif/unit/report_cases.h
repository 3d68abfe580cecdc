// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Small reports as the commands write them, for the tests of `vaultrain report`.

#ifndef VAULTRAIN_VERIF_UNIT_REPORT_CASES_H_
#define VAULTRAIN_VERIF_UNIT_REPORT_CASES_H_

#include <nlohmann/json.hpp>

namespace vaultrain {

inline nlohmann::json VariantKeysCase() {
  return {{"name", "nano"},
          {"operand_format", "bf16"},
          {"fraction_bits", 0},
          {"rounding", "nearest"},
          {"vaults", 1},
          {"clock_ps", 1000},
          {"array.rows", 1},
          {"array.cols", 4},
          {"array.lanes", 16},
          {"array.align_bits", 24},
          {"array.acc_depth", 256},
          {"scratchpad.kib", 256},
          {"scratchpad.banks", 4},
          {"vector.softmax_classes", 256},
          {"lanes.functions", 1},
          {"dram.timing", "hmc1"},
          {"dram.data_bits", 64},
          {"dram.mib", 128},
          {"dram.page", "open"},
          {"dram.map", "row_bank_col"},
          {"dram.read_queue", 32},
          {"dram.write_queue", 32},
          {"dram.ecc", "off"},
          {"mesh.x", 1},
          {"mesh.y", 1},
          {"mesh.link_bits", 128},
          {"sequencer.queue", 16}};
}

// One layer and the loss; three jobs with MACs, one of them without traffic, and one without MACs.
inline nlohmann::json TrainCase() {
  auto layer = [](const char* name, const char* phase, int cycles, int macs, int bytes) {
    return nlohmann::json{
        {"name", name},        {"phase", phase}, {"data_flow", "stationary"},
        {"cycles", cycles},    {"macs", macs},   {"utilisation", macs / 64.0 / cycles},
        {"dram_bytes", bytes}, {"noc_bytes", 0}};
  };
  return {{"schema", "vaultrain.train/1"},
          {"tool_version", "0"},
          {"variant", "nano"},
          {"variant_keys", VariantKeysCase()},
          {"network", "net"},
          {"partition", "one node"},
          {"engine", "rtl"},
          {"data", "drawn digits"},
          {"batch", 32},
          {"bit_exact", true},
          {"tensors_compared", 12},
          {"first_mismatch", nullptr},
          {"steps", 3},
          {"loss", {2.5, 2.25, 2.0}},
          {"test_accuracy", 0.5},
          {"cycles", 5000},
          {"macs_needed", 180000},
          {"macs_per_cycle", 64},
          {"dram_bytes_per_cycle", 7.5},
          {"utilisation", 180000 / 5000.0 / 64},
          {"bound", 0.75},
          {"dram_bytes", 30000},
          {"seed", 1},
          {"layers",
           {layer("fc", "FF", 1200, 60000, 10000), layer("loss", "FF", 600, 0, 1000),
            layer("fc", "BP", 1500, 60000, 0), layer("fc", "UP", 1700, 60000, 19000)}}};
}

// Power is that of a simulated step, or at the default activity.
inline nlohmann::json SynthCase(bool simulated = false) {
  auto energy = [](double ff, double bp) {
    auto part = [](const char* phase, double joules) {
      return nlohmann::json{{"phase", phase},    {"logic_j", joules}, {"glitches_j", joules},
                            {"clock_j", joules}, {"memory_j", 0},     {"leakage_j", 0}};
    };
    return nlohmann::json{part("FF", ff), part("BP", bp)};
  };

  auto block = [](const char* name, double ge, nlohmann::json slack, double watts) {
    return nlohmann::json{{"name", name}, {"instances", 1},    {"area_um2", 32.0 * ge},
                          {"ge", ge},     {"slack_ns", slack}, {"power_w", watts}};
  };
  nlohmann::json synth = {
      {"schema", "vaultrain.synth/1"},
      {"tool_version", "0"},
      {"variant", "nano"},
      {"variant_keys", VariantKeysCase()},
      {"network", nullptr},
      {"library", "cells"},
      {"clock_ns", 10},
      {"slack_ns", -0.15},
      {"area_um2", 32.0 * 900000},
      {"ge", 900000},
      {"ge_per_lane", 1400},
      {"power_w", 0.6},
      {"gflops_per_watt", {{"pe_array", nullptr}, {"logic", nullptr}, {"module", nullptr}}},
      {"blocks",
       {block("PE array", 90000, -0.15, 0.4), block("scratchpad", 800000, 3.26, 0.15),
        block("top", 10000, nullptr, 0.05)}},
      {"worst_path", "u_a/sum_q -> u_a/acc_q"},
      {"memories", nlohmann::json::array()},
      {"remarks", {"an estimate"}}};
  if (simulated) {
    synth["network"] = "net";
    synth["gflops_per_watt"] = {{"pe_array", 1500}, {"logic", 700}, {"module", 400}};
    synth["gflops_per_watt_glitches"] = {{"pe_array", 1200}, {"logic", 600}, {"module", 350}};
    synth["phases"] = {{{"name", "FF"}, {"cycles", 1000}}, {{"name", "BP"}, {"cycles", 2000}}};
    synth["pj_per_mac"] = {{{"name", "PE array"}, {"pj_per_mac", 1.5}},
                           {{"name", "scratchpad"}, {"pj_per_mac", 0.5}}};
    // 10 us and 20 us: 0.4 W and 0.2 W, 0.2 W and 0.1 W.
    synth["blocks"][0]["energy"] = energy(2e-6, 2e-6);
    synth["blocks"][1]["energy"] = energy(1e-6, 1e-6);
    synth["blocks"][2]["energy"] = nullptr;
  }
  return synth;
}

// Four points of two objectives; the last failed.
inline nlohmann::json SweepCase() {
  auto row = [](int point, int columns, double area, nlohmann::json rate, bool best,
                nlohmann::json error) {
    return nlohmann::json{{"point", point},
                          {"axes", {{"variant", "nano"}, {"array.cols", columns}}},
                          {"area_um2", area},
                          {"gflops_per_watt", {{"logic", rate}}},
                          {"pareto", best},
                          {"error", error},
                          {"repeat", nlohmann::json::array()}};
  };
  return {{"schema", "vaultrain.sweep/1"},
          {"tool_version", "0"},
          {"sweep", "sizes"},
          {"axes", {"variant", "array.cols"}},
          {"objectives",
           {{{"metric", "area_um2"}, {"direction", "min"}},
            {{"metric", "gflops_per_watt.logic"}, {"direction", "max"}}}},
          {"points", 4},
          {"failed", 1},
          {"rows",
           {row(1, 2, 1e6, 100, true, nullptr), row(2, 4, 2e6, 80, false, nullptr),
            row(3, 8, 3e6, 300, true, nullptr), row(4, 16, 4e6, nullptr, false, "no route")}}};
}

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_REPORT_CASES_H_
