// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// orfs/ of a generated folder, through the tools that it is for: make, Yosys, OpenSTA, Icarus.

#include "vaultrain/orfs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "macros.h"
#include "technology.h"
#include "test_prefix.h"
#include "vaultrain/generate.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

SramShape ShapeOf(const std::string& module) {
  static const std::regex name("vt_sram_(\\d+)x(\\d+)_g(\\d+)_(1rw|1r1w)");
  std::smatch m;
  EXPECT_TRUE(std::regex_match(module, m, name)) << module;
  SramShape shape;
  shape.depth = std::stoi(m[1]);
  shape.width = std::stoi(m[2]);
  shape.granule = std::stoi(m[3]);
  shape.single_port = m[4] == "1rw";
  shape.addr_bits = static_cast<int>(std::ceil(std::log2(shape.depth)));
  return shape;
}

// The generated folder of nano with 8 columns, on disk.
class Orfs : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    prefix_ = new TestPrefix;
    folder_ = new ScratchFolder;
    const Variant variant = LoadVariant("nano", {"array.cols=8"}, {prefix_->resources().variants});
    tree_ = new FileTree(GenerateTree(variant, prefix_->resources()));
    tree_->merge(OrfsTree(variant, *tree_, prefix_->resources()));
    for (const auto& [path, bytes] : *tree_) {
      fs::create_directories((folder_->path() / path).parent_path());
      WriteFile(folder_->path() / path, bytes);
    }
  }
  static void TearDownTestSuite() {
    delete tree_;
    delete folder_;
    delete prefix_;
  }

  // What GNU make makes of a variable of config.mk.
  static std::vector<std::string> Variable(const std::string& platform, const std::string& name) {
    WriteFile(folder_->path() / "print.mk",
              "include $(DESIGN_CONFIG)\nall:\n\t@echo $(" + name + ")\n");
    const ProcessResult make = RunProcess(
        {"make", "-s", "-f", "print.mk", "DESIGN_CONFIG=orfs/" + platform + "/config.mk"},
        folder_->path());
    EXPECT_EQ(make.status, 0) << make.err;
    return Words(make.out);
  }

  // The macros that vt_sram.v may put in, from the file itself.
  static std::set<std::string> Macros() {
    std::set<std::string> macros;
    const std::string& text = tree_->at("orfs/vt_sram.v");
    const std::regex instance("(vt_sram_\\w+) u_macro");
    for (std::sregex_iterator it(text.begin(), text.end(), instance), end; it != end; ++it) {
      macros.insert((*it)[1]);
    }
    EXPECT_GT(macros.size(), 5u);
    return macros;
  }

  static std::vector<Technology> Platforms() {
    std::vector<Technology> found;
    for (Technology& tech : AllTechnologies(prefix_->resources().constraints / "tech")) {
      if (tech.orfs) found.push_back(std::move(tech));
    }
    return found;
  }

  static TestPrefix* prefix_;
  static ScratchFolder* folder_;
  static FileTree* tree_;
};

TestPrefix* Orfs::prefix_ = nullptr;
ScratchFolder* Orfs::folder_ = nullptr;
FileTree* Orfs::tree_ = nullptr;

TEST_F(Orfs, TheFileSetIsCompleteAndNoMore) {
  std::set<std::string> expected = {"orfs/vt_sram.v", "orfs/vt_sram_models.v"};
  std::vector<std::string> platforms;
  for (const Technology& tech : Platforms()) {
    const std::string folder = "orfs/" + tech.orfs->platform + "/";
    platforms.push_back(tech.orfs->platform);
    expected.insert({folder + "config.mk", folder + "constraint.sdc"});
    for (const std::string& macro : Macros()) {
      expected.insert({folder + macro + ".lib", folder + macro + ".lef"});
    }
  }
  EXPECT_THAT(platforms, ElementsAre("asap7", "nangate45", "sky130hd"));
  std::set<std::string> found;
  for (const auto& [path, bytes] : *tree_) {
    if (path.starts_with("orfs/")) found.insert(path);
  }
  EXPECT_EQ(found, expected);
}

TEST_F(Orfs, ConfigNamesFilesThatExistAndEveryMacro) {
  for (const Technology& tech : Platforms()) {
    const std::string& platform = tech.orfs->platform;
    EXPECT_THAT(Variable(platform, "PLATFORM"), ElementsAre(platform));
    EXPECT_THAT(Variable(platform, "DESIGN_NAME"), ElementsAre("vt_memory_module"));
    for (const char* name : {"VERILOG_FILES", "VERILOG_INCLUDE_DIRS", "SDC_FILE", "ADDITIONAL_LEFS",
                             "ADDITIONAL_LIBS"}) {
      const std::vector<std::string> paths = Variable(platform, name);
      EXPECT_FALSE(paths.empty()) << name;
      for (const std::string& path : paths) EXPECT_TRUE(fs::exists(path)) << name << ": " << path;
    }
    EXPECT_EQ(Variable(platform, "ADDITIONAL_LEFS").size(), Macros().size());
    EXPECT_EQ(Variable(platform, "ADDITIONAL_LIBS").size(), Macros().size());
  }
}

// As the flow reads it: Verilog first, macros from the Liberty.
TEST_F(Orfs, YosysFindsAMacroForEveryMemory) {
  for (const Technology& tech : Platforms()) {
    const std::string& platform = tech.orfs->platform;
    const std::string read =
        fmt::format("read_verilog -defer -sv {} -I{} {}; read_liberty -lib {}; ",
                    fmt::join(Variable(platform, "VERILOG_DEFINES"), " "),
                    Variable(platform, "VERILOG_INCLUDE_DIRS").at(0),
                    fmt::join(Variable(platform, "VERILOG_FILES"), " "),
                    fmt::join(Variable(platform, "ADDITIONAL_LIBS"), "; read_liberty -lib "));
    std::string check = "hierarchy -check -top vt_memory_module; ";
    for (const std::string& macro : Macros()) check += "select -assert-min 1 t:" + macro + "; ";
    const ProcessResult yosys = RunProcess({"yosys", "-q", "-p", read + check});
    EXPECT_EQ(yosys.status, 0) << platform << ": " << yosys.out << yosys.err;
  }
}

TEST_F(Orfs, AShapeWithoutAMacroIsRefused) {
  WriteFile(folder_->path() / "user.v",
            "module user (input clk, output [6:0] q);\n"
            "  vt_sram #(.Depth(11), .Width(7), .Granule(7)) u (.clk_i(clk), .rdata_o(q));\n"
            "endmodule\n");
  const ProcessResult yosys =
      RunProcess({"yosys", "-q", "-p",
                  "read_verilog -defer -sv orfs/vt_sram.v user.v; hierarchy -check -top user"},
                 folder_->path());
  EXPECT_NE(yosys.status, 0);
  EXPECT_THAT(yosys.err, HasSubstr("vt_error_no_macro_of_this_shape"));
}

// OpenSTA takes every Liberty without a word, and times a macro as the table says.
TEST_F(Orfs, OpenStaReadsTheLibertyAndTimesAMacro) {
  for (const Technology& tech : Platforms()) {
    const std::string& platform = tech.orfs->platform;
    const SramShape shape = ShapeOf(*Macros().begin());
    WriteFile(
        folder_->path() / "one.v",
        fmt::format("module one (input clk, input ren, output [{0}:0] q);\n  {1} u (.clk_i(clk), "
                    ".ren_i(ren), .rdata_o(q));\nendmodule\n",
                    shape.width - 1, shape.Module()));
    std::string script;
    for (const std::string& lib : Variable(platform, "ADDITIONAL_LIBS")) {
      script += "read_liberty " + lib + "\n";
    }
    script +=
        "read_verilog one.v\nlink_design one\ncreate_clock -name clk -period 100 [get_ports clk]\n"
        "set_input_delay 0 -clock clk [get_ports ren]\nset_output_delay 0 -clock clk "
        "[all_outputs]\n"
        "puts \"access [get_property [lindex [find_timing_paths -to q[0]] 0] slack]\"\n"
        "puts \"setup [get_property [lindex [find_timing_paths -from ren] 0] slack]\"\nexit\n";
    WriteFile(folder_->path() / "one.tcl", script);
    const ProcessResult sta = RunProcess({"sta", "-exit", "one.tcl"}, folder_->path());
    EXPECT_EQ(sta.status, 0) << sta.err;
    EXPECT_THAT(sta.out + sta.err, Not(HasSubstr("arning")));
    EXPECT_THAT(sta.out + sta.err, Not(HasSubstr("rror")));
    const SramTable& t = tech.sram;
    const double access = t.access_ns + t.access_ns_per_doubling * std::log2(shape.depth);
    std::smatch m;
    ASSERT_TRUE(std::regex_search(sta.out, m, std::regex("access (\\S+)"))) << sta.out;
    EXPECT_NEAR(std::stod(m[1]), 100 - access, 0.01) << platform;
    ASSERT_TRUE(std::regex_search(sta.out, m, std::regex("setup (\\S+)"))) << sta.out;
    EXPECT_NEAR(std::stod(m[1]), 100 - t.setup_ns, 0.01) << platform;
  }
}

TEST_F(Orfs, ConstraintsAreInTheUnitOfThePlatform) {
  for (const Technology& tech : Platforms()) {
    const double unit = tech.orfs->platform == "asap7" ? 1000 : 1;
    EXPECT_THAT(tree_->at("orfs/" + tech.orfs->platform + "/constraint.sdc"),
                HasSubstr(fmt::format("set period {}\n", tech.clock_ns * unit)));
  }
}

// Every pin once, inside the outline and clear of the others; the area of the table, snapped up.
TEST_F(Orfs, OutlinesHoldEveryPinOnce) {
  const std::regex size("SIZE (\\S+) BY (\\S+) ;");
  const std::regex pin(
      "PIN (\\S+)\\s+DIRECTION \\S+ ;\\s+USE (CLOCK|SIGNAL) ;\\s+PORT\\s+LAYER (\\S+) "
      ";\\s+RECT (\\S+) (\\S+) (\\S+) (\\S+) ;");
  for (const Technology& tech : Platforms()) {
    for (const std::string& macro : Macros()) {
      SCOPED_TRACE(tech.orfs->platform + " " + macro);
      const std::string& lef = tree_->at("orfs/" + tech.orfs->platform + "/" + macro + ".lef");
      std::smatch m;
      ASSERT_TRUE(std::regex_search(lef, m, size));
      const double width = std::stod(m[1]);
      const double height = std::stod(m[2]);
      const SramShape shape = ShapeOf(macro);
      const double area = SramArea(shape, tech.sram);
      EXPECT_GE(width * height, area * 0.9999);
      EXPECT_LE(width * height, area * 1.02 + 4 * height * tech.orfs->site_width_um);
      std::map<double, double> sides[2];  // bottom -> top
      std::set<std::string> names;
      for (std::sregex_iterator it(lef.begin(), lef.end(), pin), end; it != end; ++it) {
        EXPECT_TRUE(names.insert((*it)[1]).second) << (*it)[1];
        EXPECT_EQ((*it)[3], tech.orfs->pin_layer);
        const double left = std::stod((*it)[4]);
        const double bottom = std::stod((*it)[5]);
        const double top = std::stod((*it)[7]);
        EXPECT_GE(left, 0);
        EXPECT_LE(std::stod((*it)[6]), width + 1e-9);
        EXPECT_GT(bottom, 0);
        EXPECT_LT(top, height);
        sides[left == 0 ? 0 : 1][bottom] = top;
      }
      const int pins = 2 + 2 * shape.addr_bits + shape.width / shape.granule + 2 * shape.width;
      EXPECT_EQ(names.size(), static_cast<size_t>(pins));
      EXPECT_EQ(sides[0].size() + sides[1].size(), static_cast<size_t>(pins));
      for (const auto& side : sides) {
        double before = 0;
        for (const auto& [bottom, top] : side) {
          EXPECT_GT(bottom, before);
          before = top;
        }
      }
      EXPECT_THAT(lef, HasSubstr("PIN VDD"));
      EXPECT_THAT(lef, HasSubstr("PIN VSS"));
    }
  }
}

TEST_F(Orfs, MacrosSayWhereTheirValuesComeFrom) {
  for (const Technology& tech : Platforms()) {
    for (const char* ending : {".lib", ".lef"}) {
      const std::string& text =
          tree_->at("orfs/" + tech.orfs->platform + "/" + *Macros().begin() + ending);
      EXPECT_THAT(text, HasSubstr("Generated by vaultrain "));
      EXPECT_THAT(text, HasSubstr(fmt::format("{} um2 a bit", tech.sram.um2_per_bit)));
      EXPECT_THAT(text, HasSubstr(tech.sram.area_source));
      EXPECT_THAT(text, HasSubstr(tech.sram.energy_source));
      EXPECT_THAT(text, HasSubstr(tech.sram.timing_source));
    }
  }
}

// The memories come back for a netlist.
TEST_F(Orfs, IcarusTakesTheModels) {
  std::string user = "module user;\n";
  for (const std::string& macro : Macros()) user += fmt::format("  {0} u_{0} ();\n", macro);
  WriteFile(folder_->path() / "netlist.v", user + "endmodule\n");
  const ProcessResult iverilog = RunProcess({"iverilog", "-g2005", "-o", "/dev/null", "-s", "user",
                                             "netlist.v", "orfs/vt_sram_models.v", "rtl/vt_sram.v"},
                                            folder_->path());
  EXPECT_EQ(iverilog.status, 0) << iverilog.err;
}

TEST_F(Orfs, TheSameVariantGivesTheSameBytes) {
  const Variant variant = LoadVariant("nano", {"array.cols=8"}, {prefix_->resources().variants});
  for (const auto& [path, bytes] : OrfsTree(variant, *tree_, prefix_->resources())) {
    EXPECT_EQ(bytes, tree_->at(path)) << path;
  }
}

}  // namespace
}  // namespace vaultrain
