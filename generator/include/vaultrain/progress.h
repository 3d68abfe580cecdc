// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// One line of progress on stderr, and only where a person watches.

#ifndef VAULTRAIN_PROGRESS_H_
#define VAULTRAIN_PROGRESS_H_

#include <chrono>
#include <string>
#include <string_view>

namespace vaultrain {

// Shows "label done/total note", at most ten times a second, and wipes it at the end. Silent unless
// stderr is a terminal.
class Progress {
 public:
  // total 0: unknown.
  Progress(std::string label, long total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void Show(long done, std::string_view note = "");

 private:
  std::string label_;
  long total_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_PROGRESS_H_
