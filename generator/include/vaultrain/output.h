// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Files and folders that appear whole or not at all, also when the program is interrupted.

#ifndef VAULTRAIN_OUTPUT_H_
#define VAULTRAIN_OUTPUT_H_

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace vaultrain {

// Relative path with '/' -> bytes.
using FileTree = std::map<std::string, std::string>;

// Installs the handlers of SIGINT and SIGTERM: end the processes of RunProcess, remove what is
// half-written, exit with 130 (SIGINT) or 143. To be called once, first thing in main.
void InstallInterruptHandler();

// While it lives, the first SIGINT or SIGTERM asks for an end, which is then to come soon, the
// second one ends the program as ever. One that was asked for and not answered ends it where this
// goes out of scope. One at a time.
class InterruptRequest {
 public:
  InterruptRequest();
  ~InterruptRequest();
  InterruptRequest(const InterruptRequest&) = delete;
  InterruptRequest& operator=(const InterruptRequest&) = delete;

  bool Pending() const;
  // Takes the request: the status to exit with, 130 or 143; 0 if there was none.
  int Answer();
};

// Writes beside the target and renames; an existing file is replaced. Throws Error(kUnusableInput)
// if that is refused.
void WriteFile(const std::filesystem::path& path, std::string_view bytes);

// Throws Error(kUnusableInput) if the file cannot be read.
std::string ReadFile(const std::filesystem::path& path);

// Throws Error(kUnusableInput), as WriteFile would, if the file could not be written now: for what
// is written only after long work.
void CheckWritable(const std::filesystem::path& path);

// A folder under construction. It grows in a temporary folder beside the target; Commit renames it.
// Without Commit nothing stays.
class OutputFolder {
 public:
  // Throws Error(kUnusableInput) unless the target is absent or an empty folder and its parent can
  // be written. Parents that are absent are made.
  explicit OutputFolder(const std::filesystem::path& target);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  // Where the files go until Commit.
  const std::filesystem::path& staging() const { return staging_; }
  // Makes the folders on the way.
  void Write(std::string_view relative_path, std::string_view bytes);
  void Write(const FileTree& tree);
  void Commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path staging_;
  bool committed_ = false;
};

// A temporary folder for tools, removed at the end of its scope and on interruption.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_OUTPUT_H_
