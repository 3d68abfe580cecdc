// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/lint.h"

#include <algorithm>

#include "vaultrain/error.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// The arguments that make a tool check `top` in the folder it runs in. Each reads what `top` needs.
std::vector<std::string> Command(const std::string& tool, const std::string& top) {
  if (tool == "verilator") {
    return {"verilator",    "--lint-only", "-Wall",   "--default-language",
            "1364-2005",    "-y",          ".",       "-I.",
            "--top-module", top,           top + ".v"};
  }
  if (tool == "yosys") {
    return {"yosys", "-q", "-p",
            fmt::format("read_verilog -I. {0}.v; hierarchy -check -libdir . -top {0}; proc; "
                        "check -assert; select -assert-none t:$dlatch t:$adlatch t:$_DLATCH_*",
                        top)};
  }
  if (tool == "iverilog") {
    return {"iverilog", "-g2005", "-I.", "-y", ".", "-s", top, "-o", "/dev/null", top + ".v"};
  }
  throw Error(ExitStatus::kInternal, fmt::format("no lint tool '{}'", tool));
}

// Verilator and Icarus say nothing about good code. Yosys warns of what is no fault, such as a
// memory that it keeps in registers, and fails by its status.
bool IsComplaint(const std::string& tool, const std::string& line) {
  return !line.empty() && (tool != "yosys" || line.find("ERROR") != std::string::npos);
}

}  // namespace

std::vector<LintRow> LintRtl(const fs::path& rtl_dir, std::string_view top,
                             const LintOptions& options) {
  std::vector<std::string> sources;
  std::error_code fault;
  for (const fs::directory_entry& entry : fs::directory_iterator(rtl_dir, fault)) {
    if (entry.path().extension() == ".v") sources.push_back(entry.path().filename().string());
  }
  if (sources.empty())
    RefuseInput("{}: no Verilog file; accepted: rtl/ of vaultrain generate", rtl_dir.string());
  std::sort(sources.begin(), sources.end());
  std::vector<std::string> tops = {std::string(top)};
  for (const std::string& source : sources) {
    std::string module = fs::path(source).stem().string();
    if (options.each_module && module != top) tops.push_back(module);
  }

  std::vector<LintRow> rows;
  long total = static_cast<long>(tops.size() * options.tools.size());
  for (const std::string& module : tops) {
    for (const std::string& tool : options.tools) {
      std::vector<std::string> command = Command(tool, module);
      ProcessResult result = RunProcess(command, rtl_dir);
      LintRow row{tool, module, result.status == 0, "", ShellLine(command)};
      std::string said = result.out + result.err;
      for (size_t begin = 0; begin < said.size();) {
        size_t end = std::min(said.find('\n', begin), said.size());
        std::string line = said.substr(begin, end - begin);
        begin = end + 1;
        if (!IsComplaint(tool, line)) continue;
        row.passed = false;
        row.message += line + "\n";
      }
      if (!row.passed && row.message.empty()) row.message = said;
      rows.push_back(std::move(row));
      if (options.progress) options.progress(static_cast<long>(rows.size()), total);
    }
  }
  return rows;
}

}  // namespace vaultrain
