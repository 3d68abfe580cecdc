// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Errors with the exit status they end the program with.

#ifndef VAULTRAIN_ERROR_H_
#define VAULTRAIN_ERROR_H_

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace vaultrain {

enum class ExitStatus : int {
  kDone = 0,
  kCheckFailed = 1,    // a mismatch, timing not met
  kUnusableInput = 2,  // bad variant, network, data, program or option
  kToolMissing = 3,    // a tool we need is missing or failed
  kInternal = 4,       // an error of ours
  kInterrupted = 130,
};

// An error that ends the command with one line on stderr. The message names the file, the key or
// node, the rule it breaks and what would be accepted; it carries no trailing newline.
class Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

// Throws Error(kUnusableInput) with a formatted message.
template <typename... Args>
[[noreturn]] void RefuseInput(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ExitStatus::kUnusableInput, fmt::format(format, std::forward<Args>(args)...));
}

// Throws Error(kToolMissing) with a formatted message.
template <typename... Args>
[[noreturn]] void ReportTool(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ExitStatus::kToolMissing, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vaultrain

#endif  // VAULTRAIN_ERROR_H_
