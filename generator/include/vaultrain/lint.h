// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The lint gate over a folder of generated RTL: Verilator, Yosys and Icarus on the whole and on
// each module alone.

#ifndef VAULTRAIN_LINT_H_
#define VAULTRAIN_LINT_H_

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace vaultrain {

struct LintRow {
  std::string tool;     // verilator, yosys, iverilog
  std::string top;      // module
  bool passed = false;  // exit status 0 and no warning
  std::string message;  // what the tool said, if it failed
  std::string repeat;   // the command, to be given in the folder
};

struct LintOptions {
  bool each_module = true;  // also every module as its own top
  std::vector<std::string> tools = {"verilator", "yosys", "iverilog"};
  std::function<void(long done, long total)> progress;  // may be empty
};

// verilator: --lint-only -Wall in Verilog-2005. yosys: hierarchy -check, check -assert, no latch.
// iverilog: elaborates in Verilog-2005. Throws Error(kToolMissing) if a tool is not there.
std::vector<LintRow> LintRtl(const std::filesystem::path& rtl_dir, std::string_view top,
                             const LintOptions& options = {});

}  // namespace vaultrain

#endif  // VAULTRAIN_LINT_H_
