// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "vaultrain/digest.h"
#include "vaultrain/output.h"
#include "vaultrain/paths.h"
#include "vaultrain/report_page.h"

namespace vaultrain::cli {
namespace {

struct ReportOptions {
  JsonOptions json;
  std::string folder;
  std::string out;  // empty: report.html in the folder
};

int RunReport(const ReportOptions& options) {
  const std::filesystem::path out = options.out.empty()
                                        ? std::filesystem::path(options.folder) / "report.html"
                                        : std::filesystem::path(options.out);
  const ReportPage page = MakeReportPage(options.folder, Resources());
  WriteFile(out, page.html);
  fmt::print("{}: {}\n", out.string(), fmt::join(page.shown, ", "));
  if (!page.left_out.empty()) fmt::print("not drawn: {}\n", fmt::join(page.left_out, ", "));
  WriteJson(options.json, "report",
            {{"page", out.string()},
             {"sha256", ToHex(Sha256(page.html))},
             {"shown", page.shown},
             {"left_out", page.left_out}});
  return 0;
}

const Command kReport(
    95, "report", "One HTML page of what other commands wrote with --json",
    "  vaultrain train nano mlp --json run/train.json\n"
    "  vaultrain synth nano --network mlp --json run/synth.json\n"
    "  vaultrain report run",
    [](CLI::App& app) -> std::function<int()> {
      auto options = std::make_shared<ReportOptions>();
      app.add_option("folder", options->folder,
                     "Folder whose .json files are shown: those of train, synth, "
                     "sweep and generate")
          ->required()
          ->type_name("DIR");
      app.add_option("--out", options->out, "Page to write [DIR/report.html]")->type_name("FILE");
      AddOptions(app, options->json);
      return [options] { return RunReport(*options); };
    });

}  // namespace
}  // namespace vaultrain::cli
