// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "technology.h"

#include <fnmatch.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

template <typename T>
T Need(const toml::table& table, const fs::path& file, std::string_view key) {
  auto value = table.at_path(key).value<T>();
  if (!value) {
    throw Error(ExitStatus::kInternal, fmt::format("{}: key {} is missing", file.string(), key));
  }
  return *value;
}

OrfsPlatform ReadOrfs(const toml::table& table, const fs::path& file) {
  auto number = [&](std::string_view key) { return Need<double>(table, file, key); };
  auto text = [&](std::string_view key) { return Need<std::string>(table, file, key); };
  OrfsPlatform orfs{text("orfs.platform"),
                    text("orfs.source"),
                    number("corner[0].voltage"),
                    number("corner[0].temperature"),
                    text("orfs.time_unit"),
                    text("orfs.pin_layer"),
                    text("orfs.power_layer"),
                    Need<bool>(table, file, "orfs.power_upright"),
                    {},
                    number("orfs.pin_width_um"),
                    number("orfs.pin_length_um"),
                    number("orfs.pin_pitch_um"),
                    number("orfs.site_um[0]"),
                    number("orfs.site_um[1]")};
  if (const toml::array* layers = table.at_path("orfs.layers").as_array()) {
    for (const toml::node& layer : *layers) orfs.layers.push_back(layer.value_or(std::string()));
  }
  return orfs;
}

Technology Read(const toml::table& table, const fs::path& file) {
  auto number = [&](std::string_view key) { return Need<double>(table, file, key); };
  auto text = [&](std::string_view key) { return Need<std::string>(table, file, key); };
  Technology tech;
  tech.name = text("name");
  tech.clock_ns = number("clock.target_ns");
  tech.uncertainty_ns = number("clock.uncertainty_ns");
  tech.input_delay = number("clock.input_delay");
  tech.output_delay = number("clock.output_delay");
  tech.driving_cell = text("environment.driving_cell");
  tech.load_pf = number("environment.load_pf");
  tech.clock_slew_ns = number("environment.clock_slew_ns");
  tech.clock_gating = Need<bool>(table, file, "mapping.clock_gating");
  tech.gating_bits = static_cast<int>(Need<int64_t>(table, file, "mapping.gating_bits"));
  if (const toml::array* globs = table.at_path("mapping.exclude").as_array()) {
    for (const toml::node& glob : *globs) tech.exclude.push_back(glob.value_or(std::string()));
  }
  if (table.contains("clock_gate")) {
    tech.gate_of_latch =
        GateOfLatch{text("clock_gate.latch"), text("clock_gate.inverter"), text("clock_gate.and")};
  }
  if (const toml::table* areas = table["area_um2"].as_table()) {
    for (const auto& [cell, area] : *areas) {
      tech.area_um2[std::string(cell.str())] = area.value_or(0.0);
    }
  }
  tech.sram = {number("sram.um2_per_bit"),      number("sram.um2_overhead"),
               number("sram.two_port_factor"),  number("sram.read_pj_per_bit"),
               number("sram.write_pj_per_bit"), number("sram.leakage_nw_per_bit"),
               number("sram.access_ns"),        number("sram.access_ns_per_doubling"),
               number("sram.setup_ns"),         text("sram.area_source"),
               text("sram.energy_source"),      text("sram.timing_source")};
  if (table.contains("orfs")) tech.orfs = ReadOrfs(table, file);
  return tech;
}

toml::table Parse(const fs::path& file) {
  try {
    return toml::parse_file(file.string());
  } catch (const toml::parse_error& error) {
    throw Error(ExitStatus::kInternal, fmt::format("{}:{}: {}", file.string(),
                                                   error.source().begin.line, error.description()));
  }
}

// Sorted.
std::vector<fs::path> Files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".toml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string CornerOf(const toml::table& table, const Liberty& library) {
  const toml::array* corners = table["corner"].as_array();
  if (corners) {
    for (const toml::node& node : *corners) {
      const toml::table* corner = node.as_table();
      if (corner && std::abs((*corner)["voltage"].value_or(0.0) - library.voltage()) < 1e-3 &&
          std::abs((*corner)["temperature"].value_or(0.0) - library.temperature()) < 0.5) {
        return (*corner)["name"].value_or(std::string());
      }
    }
  }
  return fmt::format("{} V, {} C", library.voltage(), library.temperature());
}

}  // namespace

std::vector<Technology> AllTechnologies(const fs::path& folder) {
  std::vector<Technology> all;
  for (const fs::path& file : Files(folder)) all.push_back(Read(Parse(file), file));
  return all;
}

std::optional<Technology> FindTechnology(const fs::path& folder, const Liberty& library) {
  for (const fs::path& file : Files(folder)) {
    toml::table table = Parse(file);
    std::string glob = Need<std::string>(table, file, "library");
    if (fnmatch(glob.c_str(), library.name().c_str(), 0) != 0) continue;
    Technology tech = Read(table, file);
    tech.corner = CornerOf(table, library);
    return tech;
  }
  return std::nullopt;
}

Technology GuessTechnology(const fs::path& folder, const Liberty& library) {
  // The NAND of NanGate 45 nm has 0.798 um2; lengths go with the root of the area.
  fs::path file = folder / "nangate45.toml";
  Technology tech = Read(Parse(file), file);
  double area = library.Area(library.Nand2()) / 0.798;
  double length = std::sqrt(area);
  tech.name = library.name();
  tech.corner = fmt::format("{} V, {} C", library.voltage(), library.temperature());
  tech.clock_ns = 0;
  tech.uncertainty_ns = 0;
  tech.driving_cell.clear();
  tech.load_pf *= length;
  tech.clock_slew_ns *= length;
  tech.exclude.clear();
  tech.clock_gating = false;
  SramTable& sram = tech.sram;
  for (double* value : {&sram.um2_per_bit, &sram.um2_overhead}) *value *= area;
  for (double* value : {&sram.read_pj_per_bit, &sram.write_pj_per_bit, &sram.access_ns,
                        &sram.access_ns_per_doubling, &sram.setup_ns}) {
    *value *= length;
  }
  return tech;
}

OutsideEnergy ReadOutsideEnergy(const fs::path& file) {
  const toml::table table = Parse(file);
  auto number = [&](std::string_view key) { return Need<double>(table, file, key); };
  return {number("dram.dies_pj_per_bit"),     number("dram.stack_pj_per_bit"),
          number("dram.activate_pj_per_bit"), number("dram.access_pj_per_bit"),
          number("dram.io_pj_per_bit"),       number("dram.refreshes_per_period"),
          number("link.pj_per_bit")};
}

}  // namespace vaultrain
