// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Runs other programs and captures what they say.

#ifndef VAULTRAIN_PROCESS_H_
#define VAULTRAIN_PROCESS_H_

#include <filesystem>
#include <string>
#include <vector>

namespace vaultrain {

struct ProcessResult {
  int status = 0;  // exit status, or 128 + signal
  std::string out;
  std::string err;
};

// Runs argv[0] (found in PATH) to its end with an empty stdin, in its own process group, which an
// interruption ends. Throws Error(kToolMissing) if it cannot be started.
ProcessResult RunProcess(const std::vector<std::string>& argv,
                         const std::filesystem::path& working_dir = {});

// argv as one line for a shell.
std::string ShellLine(const std::vector<std::string>& argv);

}  // namespace vaultrain

#endif  // VAULTRAIN_PROCESS_H_
