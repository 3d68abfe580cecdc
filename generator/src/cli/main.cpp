// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vaultrain: parses the command line, runs one command, turns errors into one line and an exit
// status.

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include "cli/command.h"
#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/version.h"

namespace vaultrain::cli {
namespace {

int Complain(ExitStatus status, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  fmt::print(stderr, "vaultrain: {}\n", message);
  return static_cast<int>(status);
}

std::string CommandNames() {
  std::string names;
  for (const Command* command : AllCommands()) {
    names += (names.empty() ? "" : ", ") + command->name;
  }
  return names;
}

int Run(int argc, char** argv) {
  CLI::App app("Vaultrain generates near-memory accelerators that train neural networks.",
               "vaultrain");
  app.set_version_flag("--version", fmt::format("vaultrain {}", ToolVersion()));
  app.require_subcommand(1);
  app.footer("Help on a command: vaultrain COMMAND --help");
  app.get_formatter()->column_width(36);
  std::function<int()> chosen;
  for (const Command* command : AllCommands()) {
    CLI::App* sub = app.add_subcommand(command->name, command->summary);
    sub->footer("Examples:\n" + command->examples);
    std::function<int()> run = command->setup(*sub);
    sub->callback([&chosen, run] { chosen = run; });
  }
  auto is_named = [&](const Command* command) { return command->name == argv[1]; };
  std::vector<const Command*> commands = AllCommands();
  if (argc > 1 && argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), is_named)) {
    RefuseInput("no command '{}'; accepted: {}", argv[1], CommandNames());
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::RequiredError&) {
    if (argc == 1) RefuseInput("no command; accepted: {} (vaultrain --help)", CommandNames());
    throw;
  }
  return chosen();
}

}  // namespace
}  // namespace vaultrain::cli

int main(int argc, char** argv) {
  using vaultrain::ExitStatus;
  using vaultrain::cli::Complain;
  vaultrain::InstallInterruptHandler();
  try {
    int status = vaultrain::cli::Run(argc, argv);
    // A full disk behind stdout is no success.
    if (std::fflush(stdout) != 0)
      return Complain(ExitStatus::kUnusableInput, "stdout: cannot be written");
    return status;
  } catch (const vaultrain::Error& error) {
    return Complain(error.status(), error.what());
  } catch (const CLI::ParseError& error) {
    std::string command = argc > 1 && argv[1][0] != '-' ? std::string(" ") + argv[1] : "";
    return Complain(ExitStatus::kUnusableInput,
                    fmt::format("{} (vaultrain{} --help)", error.what(), command));
  } catch (const std::exception& error) {
    return Complain(ExitStatus::kInternal, fmt::format("internal error: {}", error.what()));
  }
}
