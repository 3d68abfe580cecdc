// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/orfs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "macros.h"
#include "rtlil.h"
#include "sram_outline.h"
#include "technology.h"
#include "tools.h"
#include "vaultrain/error.h"
#include "vaultrain/generate.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMemoryFile = "rtl/vt_sram.v";

// Verilog files, without the memory.
std::vector<std::string> Sources(const FileTree& rtl) {
  std::vector<std::string> files;
  for (const auto& [path, bytes] : rtl) {
    if (path.starts_with("rtl/") && path.ends_with(".v") && path != kMemoryFile) {
      files.push_back(path);
    }
  }
  return files;
}

std::vector<SramShape> ShapesOf(const FileTree& rtl, const fs::path& synth) {
  ScratchFolder scratch;
  fs::create_directories(scratch.path() / "rtl");
  for (const auto& [path, bytes] : rtl) {
    if (path.starts_with("rtl/")) WriteFile(scratch.path() / path, bytes);
  }
  std::string files;
  for (const std::string& file : Sources(rtl)) {
    files += fmt::format(" \"{}\"", (scratch.path() / file).string());
  }
  const fs::path script = scratch.path() / "elaborate.ys";
  const fs::path out = scratch.path() / "elaborated.il";
  WriteFile(script, Fill(ReadFile(synth / "yosys/elaborate.ys"),
                         {{"SHARE", synth.string()},
                          {"INCLUDES", fmt::format("-I{}", (scratch.path() / "rtl").string())},
                          {"FILES", files},
                          {"PARAMETERS", ""},
                          {"TOP", std::string(kTopModule)},
                          {"OUT", out.string()}}));
  RunYosys(script, static_cast<int>(ExitStatus::kInternal), kTopModule);
  const Rtlil design = Rtlil::Parse(ReadFile(out), kTopModule);
  std::vector<SramShape> shapes;
  for (const auto& [shape, count] : design.Memories(design.top(), {})) shapes.push_back(shape);
  return shapes;
}

std::string Ports(const SramShape& shape) {
  auto range = [](int width) { return fmt::format("[{}:0]", width - 1); };
  return fmt::format(
      "    input  wire clk_i,\n    input  wire ren_i,\n    input  wire {0} raddr_i,\n"
      "    output wire {1} rdata_o,\n    input  wire {2} wen_i,\n    input  wire {0} waddr_i,\n"
      "    input  wire {1} wdata_i\n",
      range(shape.addr_bits), range(shape.width), range(shape.width / shape.granule));
}

constexpr std::string_view kConnections =
    ".clk_i(clk_i), .ren_i(ren_i), .raddr_i(raddr_i), .rdata_o(rdata_o),\n"
    "          .wen_i(wen_i), .waddr_i(waddr_i), .wdata_i(wdata_i)";

// vt_sram with a macro in it. Its ports are those of the black box that ships.
std::string MemoryWrapper(const std::vector<SramShape>& shapes, const fs::path& synth,
                          const std::string& header) {
  std::string box = ReadFile(synth / "yosys/vt_sram.v");
  const size_t module = box.find("module vt_sram");
  const size_t end = box.rfind("endmodule");
  std::string text = header +
                     "//\n// vt_sram for OpenROAD-flow-scripts: the macro of each shape that the "
                     "variant has.\n\n";
  text += box.substr(module, end - module) + "\n  generate\n";
  std::string prefix = "    if";
  for (const SramShape& shape : shapes) {
    text += fmt::format(
        "{0} (Depth == {1} && Width == {2} && Granule == {3} && {4}SinglePort) begin : gen_{5}\n"
        "      {5} u_macro (\n          {6}\n      );\n",
        prefix, shape.depth, shape.width, shape.granule, shape.single_port ? "" : "!",
        shape.Module(), kConnections);
    prefix = "    end else if";
  }
  text += fmt::format("{}\n      vt_error_no_macro_of_this_shape u_error ();\n    end\n",
                      shapes.empty() ? "    begin : gen_none" : "    end else begin : gen_none");
  return text + "  endgenerate\n\nendmodule\n";
}

std::string MemoryModels(const std::vector<SramShape>& shapes, const std::string& header) {
  std::string text = header +
                     "//\n// The macros for simulation of a netlist; with rtl/vt_sram.v.\n\n"
                     "`default_nettype none\n";
  for (const SramShape& shape : shapes) {
    text += fmt::format(
        "\nmodule {} (\n{});\n  vt_sram #(\n      .Depth({}), .Width({}), .Granule({}), "
        ".SinglePort({}), .AddrBits({})\n  ) u_memory (\n          {}\n  );\nendmodule\n",
        shape.Module(), Ports(shape), shape.depth, shape.width, shape.granule, shape.single_port,
        shape.addr_bits, kConnections);
  }
  return text + "\n`default_nettype wire\n";
}

// The table's values with unit and source, one a line.
std::string SramNotes(const Technology& tech, std::string_view comment) {
  const SramTable& t = tech.sram;
  std::string text;
  for (const std::string& line :
       {fmt::format("Values of constraints/tech/{}.toml:", tech.name),
        fmt::format("area: {} um2 a bit and {} um2 a macro, x {} with two ports; {}", t.um2_per_bit,
                    t.um2_overhead, t.two_port_factor, t.area_source),
        fmt::format("energy: {} pJ a bit read, {} pJ a bit written; {}", t.read_pj_per_bit,
                    t.write_pj_per_bit, t.energy_source),
        fmt::format("leakage: {} nW a bit; estimate", t.leakage_nw_per_bit),
        fmt::format("time: {} ns from the clock and {} ns for each doubling of the depth, setup {} "
                    "ns; {}",
                    t.access_ns, t.access_ns_per_doubling, t.setup_ns, t.timing_source),
        std::string("pins: 0.005 pF, the clock 0.01 pF; estimate")}) {
    text += fmt::format("{} {}\n", comment, line);
  }
  return text;
}

std::string MacroLiberty(const SramShape& shape, const Technology& tech,
                         const std::string& header) {
  const SramTable& t = tech.sram;
  SramLibertyExtras extras;
  extras.comment = "/*\n" + header + " *\n" + SramNotes(tech, " *") + " */\n";
  extras.library = fmt::format(
      "  nom_process : 1;\n  nom_voltage : {};\n  nom_temperature : {};\n"
      "  default_cell_leakage_power : 0;\n",
      tech.orfs->voltage, tech.orfs->temperature);
  const double bits = static_cast<double>(shape.depth) * shape.width;
  extras.cell = fmt::format("    is_macro_cell : true;\n    cell_leakage_power : {};\n",
                            bits * t.leakage_nw_per_bit);
  // pJ of one access, at the rising edge.
  auto energy = [&](const std::string& when, double pj) {
    return fmt::format(
        "\n      internal_power () {{ when : \"{}\"; rise_power (scalar) {{ values (\"{}\"); }} "
        "fall_power (scalar) {{ values (\"0\"); }} }}",
        when, pj);
  };
  extras.clock = energy("ren_i", shape.width * t.read_pj_per_bit);
  for (int granule = 0; granule < shape.width / shape.granule; ++granule) {
    extras.clock += energy(fmt::format("wen_i[{}]", granule), shape.granule * t.write_pj_per_bit);
  }
  extras.clock += "\n   ";
  return SramLiberty(shape, t, extras);
}

std::string ConfigMk(const Variant& variant, const FileTree& rtl,
                     const std::vector<SramShape>& shapes, const std::string& platform) {
  auto list = [](const std::vector<std::string>& files) {
    std::string text;
    for (const std::string& file : files) text += fmt::format(" \\\n    $(VT_DESIGN)/{}", file);
    return text;
  };
  std::vector<std::string> sources = Sources(rtl);
  sources.emplace_back("orfs/vt_sram.v");
  std::vector<std::string> lefs;
  std::vector<std::string> libs;
  for (const SramShape& shape : shapes) {
    lefs.push_back(fmt::format("orfs/{}/{}.lef", platform, shape.Module()));
    libs.push_back(fmt::format("orfs/{}/{}.lib", platform, shape.Module()));
  }
  std::string text = GeneratedHeader(variant, "#");
  text +=
      "#\n# In flow/ of OpenROAD-flow-scripts: make DESIGN_CONFIG=THIS_FILE\n"
      "VT_DESIGN := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)\n\n";
  text += fmt::format(
      "export DESIGN_NAME = {}\nexport DESIGN_NICKNAME = vaultrain_{}\nexport PLATFORM = {}\n\n",
      kTopModule, variant.name, platform);
  text += "export VERILOG_FILES =" + list(sources) + "\n";
  text += "export VERILOG_INCLUDE_DIRS = $(VT_DESIGN)/rtl\nexport VERILOG_DEFINES = -D SYNTHESIS\n";
  text += fmt::format("export SDC_FILE = $(VT_DESIGN)/orfs/{}/constraint.sdc\n\n", platform);
  text += "# Memories: outlines, times and energies; there is no layout behind them.\n";
  text += "export ADDITIONAL_LEFS =" + list(lefs) + "\n";
  text += "export ADDITIONAL_LIBS =" + list(libs) + "\n";
  text += "export GDS_ALLOW_EMPTY = vt_sram_.*\n\n";
  text +=
      "# Places to start from, not tuned.\nexport SYNTH_HIERARCHICAL = 1\nexport CORE_UTILIZATION "
      "= "
      "40\nexport PLACE_DENSITY_LB_ADDON = 0.1\n";
  return text;
}

std::string Constraints(const Variant& variant, const Technology& tech) {
  const double unit_ns = tech.orfs->time_unit == "ps" ? 0.001 : 1;
  std::string text = GeneratedHeader(variant, "#");
  text += fmt::format(
      "#\n# Times in {0}. Clock, uncertainty and budgets: constraints/tech/{1}.toml.\n"
      "set period {2}\n"
      "create_clock -name clk_i -period $period [get_ports clk_i]\n"
      "set_clock_uncertainty -setup {3} [get_clocks clk_i]\n"
      "set inputs {{}}\n"
      "foreach port [all_inputs] {{\n"
      "  if {{[get_property $port full_name] ne \"clk_i\"}} {{ lappend inputs $port }}\n"
      "}}\n"
      "set_input_delay [expr {{{4} * $period}}] -clock clk_i $inputs\n"
      "set_output_delay [expr {{{5} * $period}}] -clock clk_i [all_outputs]\n",
      tech.orfs->time_unit, tech.name, tech.clock_ns / unit_ns, tech.uncertainty_ns / unit_ns,
      tech.input_delay, tech.output_delay);
  return text;
}

}  // namespace

FileTree OrfsTree(const Variant& variant, const FileTree& rtl, const ResourcePaths& resources) {
  const std::vector<SramShape> shapes = ShapesOf(rtl, resources.synth);
  FileTree tree;
  const std::string verilog_header = GeneratedHeader(variant, "//");
  tree["orfs/vt_sram.v"] = MemoryWrapper(shapes, resources.synth, verilog_header);
  tree["orfs/vt_sram_models.v"] = MemoryModels(shapes, verilog_header);
  for (const Technology& tech : AllTechnologies(resources.constraints / "tech")) {
    if (!tech.orfs) continue;
    const std::string folder = "orfs/" + tech.orfs->platform + "/";
    tree[folder + "config.mk"] = ConfigMk(variant, rtl, shapes, tech.orfs->platform);
    tree[folder + "constraint.sdc"] = Constraints(variant, tech);
    for (const SramShape& shape : shapes) {
      const std::string file = folder + shape.Module();
      tree[file + ".lib"] = MacroLiberty(shape, tech, GeneratedHeader(variant, " *"));
      tree[file + ".lef"] = SramLef(shape, tech.sram, *tech.orfs,
                                    GeneratedHeader(variant, "#") + "#\n" + SramNotes(tech, "#") +
                                        fmt::format("# outline: {}\n\n", tech.orfs->source));
    }
  }
  return tree;
}

}  // namespace vaultrain
