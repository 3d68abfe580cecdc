// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "cli/options.h"
#include "kernels/kernels.h"
#include "vaultrain/error.h"
#include "vaultrain/generate.h"
#include "vaultrain/lint.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/process.h"
#include "vaultrain/progress.h"

namespace vaultrain::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// A full run draws this many times as many programs as a quick one.
constexpr int kFullRounds = 8;
constexpr int kFullGarbage = 100000;

struct Row {
  std::string name;
  bool passed = false;
  std::optional<kernels::KernelResult> kernel;  // nothing for lint
  std::string message;
  std::string repeat;
};

// One check by its name: a tool on a module, or a kernel.
struct Case {
  std::string name;
  std::function<Row()> run;
};

std::string RepeatCommand(const VerifyOptions& options, const std::string& name) {
  std::vector<std::string> argv = {"vaultrain", "verify", options.variant.variant};
  for (const std::string& set : options.variant.overrides) argv.insert(argv.end(), {"--set", set});
  if (options.full) argv.insert(argv.end(), {"--level", "full"});
  argv.insert(argv.end(), {"--filter", name, "--seed", fmt::format("{}", options.seed)});
  return ShellLine(argv);
}

std::string Escaped(const std::string& text) {
  std::string xml;
  for (const char c : text) {
    switch (c) {
      case '&':
        xml += "&amp;";
        break;
      case '<':
        xml += "&lt;";
        break;
      case '>':
        xml += "&gt;";
        break;
      case '"':
        xml += "&quot;";
        break;
      default:
        // XML has no other control characters.
        xml += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return xml;
}

std::string JUnit(const Variant& variant, const std::vector<Row>& rows, size_t failures) {
  std::string xml = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuite name=\"vaultrain verify {}\" tests=\"{}\" failures=\"{}\" errors=\"0\">\n",
      Escaped(variant.name), rows.size(), failures);
  for (const Row& row : rows) {
    const std::string head = fmt::format("  <testcase classname=\"{}\" name=\"{}\"",
                                         Escaped(variant.name), Escaped(row.name));
    if (row.passed) {
      xml += head + "/>\n";
    } else {
      xml += fmt::format("{}>\n    <failure message=\"{}\">{}</failure>\n  </testcase>\n", head,
                         Escaped(row.message.substr(0, row.message.find('\n'))),
                         Escaped(row.message + "\nrepeat: " + row.repeat));
    }
  }
  return xml + "</testsuite>\n";
}

// A result that cannot be written is refused before the work, not after.
void CheckFolder(const std::string& file) {
  if (file.empty()) return;
  fs::path folder = fs::path(file).parent_path();
  if (folder.empty()) folder = ".";
  if (!fs::is_directory(folder)) {
    RefuseInput("{}: cannot be written: no folder {}; accepted: a file in a folder that exists",
                file, folder.string());
  }
}

std::vector<Case> LintCases(const Variant& variant, const fs::path& folder, bool each_module) {
  std::vector<std::string> tops = {std::string(kTopModule)};
  for (const auto& [name, bytes] : GenerateRtl(variant, Resources())) {
    const fs::path file = folder / name;
    fs::create_directories(file.parent_path());
    WriteFile(file, bytes);
    const std::string stem = file.stem().string();
    if (each_module && file.extension() == ".v" && stem != kTopModule) tops.push_back(stem);
  }
  std::vector<Case> cases;
  for (const std::string& top : tops) {
    for (const char* tool : {"verilator", "yosys", "iverilog"}) {
      const std::string name = fmt::format("lint/{}/{}", tool, top);
      cases.push_back({name, [=] {
                         LintOptions options;
                         options.each_module = false;
                         options.tools = {tool};
                         const LintRow lint = LintRtl(folder / "rtl", top, options).at(0);
                         Row row;
                         row.passed = lint.passed;
                         row.message = lint.message;
                         if (!lint.passed)
                           row.message += "command, in rtl/ of vaultrain generate: " + lint.repeat;
                         return row;
                       }});
    }
  }
  return cases;
}

int RunVerify(const VerifyOptions& options) {
  const Variant variant = options.variant.Load();
  const VaultDram dram = LoadVaultDram(variant, Resources());
  CheckFolder(options.junit);
  CheckFolder(options.json.file);
  ScratchFolder scratch;
  std::vector<Case> all = LintCases(variant, scratch.path(), options.full);
  for (const kernels::KernelCase& one : kernels::CasesOf(variant)) {
    all.push_back({one.name, [&, one] {
                     kernels::KernelSetup setup{variant, dram, Resources(), {}, options.seed};
                     if (options.full) {
                       setup.rounds = kFullRounds;
                       setup.garbage = kFullGarbage;
                     }
                     Row row;
                     row.kernel = kernels::RunCase(one, setup);
                     row.passed = row.kernel->passed;
                     row.message = row.kernel->message;
                     return row;
                   }});
  }
  std::vector<Case> cases;
  std::string names;
  for (const Case& one : all) {
    names += (names.empty() ? "" : ", ") + one.name;
    if (one.name.find(options.filter) != std::string::npos) cases.push_back(one);
  }
  if (cases.empty())
    RefuseInput("--filter {}: no case has that in its name; accepted: part of one of {}",
                options.filter, names);

  std::vector<Row> rows;
  size_t failures = 0;
  auto utilisation = [&variant](const Row& row) {
    return static_cast<double>(row.kernel->macs) / static_cast<double>(row.kernel->cycles) /
           variant.MacsPerCycle();
  };
  {
    fmt::print("{:<32} {:<7} {:>10} {:>12} {:>11}\n", "case", "passed", "cycles", "MACs",
               "utilisation");
    for (const Case& one : cases) {
      Row row;
      {
        Progress progress("verifying", static_cast<long>(cases.size()));
        progress.Show(static_cast<long>(rows.size()), one.name);
        row = one.run();
      }
      row.name = one.name;
      row.repeat = RepeatCommand(options, one.name);
      const bool counted = row.kernel && row.kernel->cycles > 0;
      const bool useful = counted && row.kernel->macs > 0;
      fmt::print("{:<32} {:<7} {:>10} {:>12} {:>11}\n", row.name, row.passed ? "yes" : "NO",
                 counted ? fmt::format("{}", row.kernel->cycles) : "",
                 useful ? fmt::format("{}", row.kernel->macs) : "",
                 useful ? fmt::format("{:.3f}", utilisation(row)) : "");
      if (!row.passed) {
        ++failures;
        fmt::print("  {}\n  repeat: {}\n", row.message, row.repeat);
      }
      std::fflush(stdout);
      rows.push_back(std::move(row));
    }
  }
  fmt::print("{} of {} cases passed on {}\n", rows.size() - failures, rows.size(), variant.name);

  Json list = Json::array();
  for (const Row& row : rows) {
    const bool counted = row.kernel && row.kernel->cycles > 0;
    const bool useful = counted && row.kernel->macs > 0;
    list.push_back({{"case", row.name},
                    {"passed", row.passed},
                    {"cycles", counted ? Json(row.kernel->cycles) : Json()},
                    {"macs", useful ? Json(row.kernel->macs) : Json()},
                    {"utilisation", useful ? Json(utilisation(row)) : Json()},
                    {"repeat", row.repeat},
                    {"message", row.message}});
  }
  if (!options.junit.empty()) WriteFile(options.junit, JUnit(variant, rows, failures));
  WriteJson(options.json, "verify",
            {{"variant", variant.name},
             {"level", options.full ? "full" : "quick"},
             {"seed", options.seed},
             {"failures", failures},
             {"rows", list}});
  return static_cast<int>(failures == 0 ? ExitStatus::kDone : ExitStatus::kCheckFailed);
}

const Command kVerify(60, "verify",
                      "Check a variant: lint, then training kernels, RTL against the golden model",
                      "  vaultrain verify nano\n"
                      "  vaultrain verify my.toml --level full --junit verify.xml\n"
                      "  vaultrain verify nano --filter gemm_bp --seed 7",
                      [](CLI::App& app) -> std::function<int()> {
                        auto options = std::make_shared<VerifyOptions>();
                        AddOptions(app, *options);
                        return [options] { return RunVerify(*options); };
                      });

}  // namespace
}  // namespace vaultrain::cli
