// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The command line through the built program, in an install prefix of its own.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "smallest_variant.h"
#include "test_prefix.h"
#include "vaultrain/digest.h"
#include "vaultrain/process.h"
#include "vaultrain/variant.h"
#include "vaultrain/version.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class Cli : public testing::Test {
 protected:
  Cli() {
    fs::create_directory(prefix_.path() / "bin");
    fs::copy_file(VT_PROGRAM, program_);
  }

  // Runs it in an empty folder of its own, so that no path can be relative to the working folder.
  ProcessResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), program_.string());
    return RunProcess(arguments, work_.path());
  }

  // Exactly one line on stderr, nothing on stdout, nothing left in the working folder.
  void ExpectRefused(const std::vector<std::string>& arguments, int status,
                     const std::string& message) {
    SCOPED_TRACE(ShellLine(arguments));
    ProcessResult result = Run(arguments);
    EXPECT_EQ(result.status, status);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("vaultrain: "));
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }

  std::string Out(const char* name = "out") { return (work_.path() / name).string(); }
  nlohmann::json ReadJson(const std::string& file) { return nlohmann::json::parse(ReadFile(file)); }

  TestPrefix prefix_;
  ScratchFolder work_;
  fs::path program_ = prefix_.path() / "bin/vaultrain";
};

TEST_F(Cli, HelpOfEveryCommandHasExamples) {
  ProcessResult help = Run({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* command : {"list", "generate"}) {
    EXPECT_THAT(help.out, HasSubstr(command));
    ProcessResult own = Run({command, "--help"});
    EXPECT_EQ(own.status, 0);
    EXPECT_THAT(own.out, HasSubstr("Examples:"));
    EXPECT_THAT(own.out, HasSubstr(std::string("vaultrain ") + command));
    EXPECT_THAT(own.out, HasSubstr("--json FILE"));
  }
}

TEST_F(Cli, VersionIsTheProjects) {
  EXPECT_EQ(Run({"--version"}).out, fmt::format("vaultrain {}\n", ToolVersion()));
}

TEST_F(Cli, WhatIsNoCommandLineIsRefused) {
  ExpectRefused({}, 2, "no command");
  ExpectRefused({"genrate"}, 2, "no command 'genrate'; accepted: list, generate");
  ExpectRefused({"list", "--bogus"}, 2, "--bogus");
  ExpectRefused({"generate", "nano"}, 2, "--out is required");
  ExpectRefused({"generate", "--out", Out()}, 2, "variant");
}

TEST_F(Cli, ListShowsVariantsAndEveryKeyAndRule) {
  EXPECT_THAT(Run({"list"}).out, HasSubstr("nano-fp32"));
  ProcessResult keys = Run({"list", "--keys"});
  for (const VariantKey& key : VariantKeys()) EXPECT_THAT(keys.out, HasSubstr(key.key));
  for (const VariantRule& rule : VariantRules()) EXPECT_THAT(keys.out, HasSubstr(rule.name));
}

TEST_F(Cli, ListWritesJson) {
  ASSERT_EQ(Run({"list", "--json", Out("list.json")}).status, 0);
  nlohmann::json json = ReadJson(Out("list.json"));
  EXPECT_EQ(json["schema"], "vaultrain.list/1");
  EXPECT_EQ(json["tool_version"], ToolVersion());
  EXPECT_EQ(json["keys"].size(), VariantKeys().size());
  EXPECT_EQ(json["variants"].size(), 6u);
  EXPECT_EQ(json["variants"][1]["name"], "nano");
}

TEST_F(Cli, GenerateWritesWhatItsJsonSays) {
  ProcessResult result =
      Run({"generate", "nano", "--set", "array.cols=8", "--out", Out(), "--json", Out("out.json")});
  ASSERT_EQ(result.status, 0) << result.err;
  nlohmann::json json = ReadJson(Out("out.json"));
  EXPECT_EQ(json["schema"], "vaultrain.generate/1");
  EXPECT_EQ(json["variant"], "nano");
  EXPECT_EQ(json["variant_keys"].size(), VariantKeys().size());
  EXPECT_EQ(json["variant_keys"]["array.cols"], 8);
  EXPECT_EQ(json["variant_keys"]["operand_format"], "bf16");
  Variant resolved = LoadVariant(Out() + "/resolved.toml", {}, {});
  EXPECT_EQ(resolved.array.cols, 8);
  EXPECT_EQ(json["digest"], ToHex(VariantDigest(resolved)));
  size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(Out())) found += !entry.is_directory();
  EXPECT_EQ(json["files"].size(), found);
  for (const auto& file : json["files"]) {
    std::string path = Out() + "/" + file["path"].get<std::string>();
    EXPECT_EQ(file["sha256"], ToHex(Sha256(ReadFile(path)))) << path;
  }
}

TEST_F(Cli, TwoGeneratesGiveTheSameBytes) {
  ASSERT_EQ(Run({"generate", "nano", "--out", Out("a"), "--json", Out("a.json")}).status, 0);
  ASSERT_EQ(Run({"generate", "nano", "--out", Out("b"), "--json", Out("b.json")}).status, 0);
  EXPECT_EQ(ReadFile(Out("a.json")), ReadFile(Out("b.json")));
}

TEST_F(Cli, WithoutYosysGenerateSaysWhatIsMissing) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", work_.path().c_str(), 1);
  const ProcessResult result = Run({"generate", "nano", "--out", Out()});
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("/orfs: not written: yosys"));
  EXPECT_FALSE(fs::exists(Out() + "/orfs"));
}

TEST_F(Cli, TheFileListServesVerilatorAndIcarusWhereItLies) {
  ASSERT_EQ(Run({"generate", "nano", "--out", Out()}).status, 0);
  ProcessResult verilator =
      RunProcess({"verilator", "--lint-only", "-Wall", "--default-language", "1364-2005",
                  "--top-module", "vt_memory_module", "-f", "rtl.f"},
                 Out());
  EXPECT_EQ(verilator.status, 0) << verilator.err;
  ProcessResult iverilog =
      RunProcess({"iverilog", "-g2005", "-o", "/dev/null", "-c", "rtl.f"}, Out());
  EXPECT_EQ(iverilog.status, 0) << iverilog.err;
}

TEST_F(Cli, TheSynthesisScriptRunsWhereItLies) {
  std::vector<std::string> small = {"generate", "nano", "--out", Out()};
  for (const std::string& set : kSmallest) small.insert(small.end(), {"--set", set});
  ASSERT_EQ(Run(small).status, 0);
  ProcessResult yosys = RunProcess({"yosys", "-q", "-s", "synth/synth.ys"}, Out());
  EXPECT_EQ(yosys.status, 0) << yosys.out << yosys.err;
  EXPECT_TRUE(fs::exists(Out() + "/synth/netlist.il"));
  for (const auto& entry : fs::directory_iterator(Out() + "/synth")) {
    EXPECT_EQ(ReadFile(entry.path()).find("@TOP@"), std::string::npos) << entry.path();
  }
}

TEST_F(Cli, AVariantThatCannotBeUsedIsRefusedAndLeavesNothing) {
  WriteFile(Out("syntax.toml"), "[array]\nrows = \n");
  WriteFile(Out("key.toml"), "[array]\ncolums = 4\n");
  ExpectRefused({"generate", "nanno", "--out", Out()}, 2, "no variant 'nanno'");
  ExpectRefused({"generate", "nanno", "--out", Out()}, 2,
                "one of cube, nano, nano-fp32, nano-fx16, nano-fx32, quad");
  ExpectRefused({"generate", "absent.toml", "--out", Out()}, 2, "absent.toml");
  ExpectRefused({"generate", "syntax.toml", "--out", Out()}, 2, "syntax.toml:2: not TOML");
  ExpectRefused({"generate", "key.toml", "--out", Out()}, 2, "nearest key: array.cols");
  ExpectRefused({"generate", "nano", "--set", "array.cols=99", "--out", Out()}, 2,
                "accepted: integer 1..16");
  ExpectRefused({"generate", "nano", "--set", "array.cols=3", "--out", Out()}, 2,
                "breaks rule word_of_output_rows");
  EXPECT_FALSE(fs::exists(Out()));
}

TEST_F(Cli, APlaceThatCannotBeWrittenIsRefused) {
  WriteFile(Out("file"), "x");
  ExpectRefused({"generate", "nano", "--out", work_.path().string()}, 2, "is not empty");
  ExpectRefused({"generate", "nano", "--out", Out("file")}, 2, "is a file");
  ExpectRefused({"generate", "nano", "--out", "/proc/vaultrain"}, 2, "/proc/vaultrain");
  ExpectRefused({"generate", "nano", "--out", Out(), "--json", Out("no/such/folder.json")}, 2,
                "folder.json");
  EXPECT_FALSE(fs::exists(Out()));
  size_t entries = static_cast<size_t>(
      std::distance(fs::directory_iterator(work_.path()), fs::directory_iterator()));
  EXPECT_EQ(entries, 1u) << "something half-written stayed behind";
}

}  // namespace
}  // namespace vaultrain
