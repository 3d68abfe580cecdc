// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What README.md names is there: the paths of the checkout, the commands of the program.

#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "vaultrain/output.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

std::set<std::string> Matches(const std::string& text, const char* pattern) {
  std::set<std::string> found;
  const std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
    found.insert((*it)[1]);
  }
  return found;
}

TEST(Readme, PathsExist) {
  const std::filesystem::path root = VT_SOURCE_DIR;
  const std::string text = ReadFile(root / "README.md");
  // In backquotes, beginning with a room of the house; `build/` and `out/` are made later.
  const std::set<std::string> paths =
      Matches(text, "`((?:generator|rtl_templates|verif|synth|constraints|scripts)/[^` ]*)[^`]*`");
  EXPECT_GE(paths.size(), 6u);
  for (const std::string& path : paths) EXPECT_TRUE(std::filesystem::exists(root / path)) << path;
}

TEST(Readme, CommandsExist) {
  const std::string text = ReadFile(std::filesystem::path(VT_SOURCE_DIR) / "README.md");
  const std::string help = RunProcess({VT_PROGRAM, "--help"}).out;
  const std::set<std::string> commands = Matches(text, "[$`] ?vaultrain ([a-z]+)");
  EXPECT_GE(commands.size(), 5u);
  for (const std::string& command : commands) {
    EXPECT_NE(help.find("\n  " + command + " "), std::string::npos) << "vaultrain " << command;
  }
}

}  // namespace
}  // namespace vaultrain
