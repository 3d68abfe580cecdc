// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/output.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "house/interrupt.h"
#include "vaultrain/error.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// Beside the target, so that the rename stays on one file system.
fs::path Beside(const fs::path& target) {
  return target.parent_path() / fmt::format(".{}.{}.tmp", target.filename().string(), getpid());
}

// "out/" and "out" name the same folder.
fs::path Normal(const fs::path& path) {
  fs::path whole = fs::absolute(path).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

void WriteBytes(const fs::path& path, std::string_view bytes, const fs::path& shown) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) {
    RefuseInput("{}: cannot be written: {}; accepted: a place with room and permission",
                shown.string(), std::strerror(errno));
  }
}

}  // namespace

void WriteFile(const fs::path& path, std::string_view bytes) {
  fs::path target = Normal(path);
  if (fs::is_directory(target)) {
    RefuseInput("{}: is a folder; accepted: the name of a file", path.string());
  }
  // A device such as /dev/stdout has no place for a file beside it.
  if (fs::exists(target) && !fs::is_regular_file(fs::status(target))) {
    WriteBytes(target, bytes, path);
    return;
  }
  fs::path half = Beside(target);
  std::lock_guard lock(InterruptMutex());
  AddHalfWritten(half);
  std::error_code fault;
  try {
    WriteBytes(half, bytes, path);
    fs::rename(half, target, fault);
    if (fault) RefuseInput("{}: cannot be written: {}", path.string(), fault.message());
  } catch (...) {
    fs::remove(half, fault);
    RemoveHalfWritten(half);
    throw;
  }
  RemoveHalfWritten(half);
}

void CheckWritable(const fs::path& path) {
  const fs::path target = Normal(path);
  if (fs::is_directory(target)) {
    RefuseInput("{}: is a folder; accepted: the name of a file", path.string());
  }
  if (access(target.parent_path().c_str(), W_OK | X_OK) != 0) {
    RefuseInput("{}: cannot be written: {}; accepted: a place with room and permission",
                path.string(), std::strerror(errno));
  }
}

std::string ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code fault;
  if (!in || fs::is_directory(path, fault)) {
    RefuseInput("{}: cannot be read; accepted: a readable file", path.string());
  }
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

OutputFolder::OutputFolder(const fs::path& target) : target_(Normal(target)) {
  std::error_code fault;
  if (fs::exists(target_, fault) && !fs::is_directory(target_, fault)) {
    RefuseInput("--out {}: is a file; accepted: a folder that is absent or empty", target.string());
  }
  if (fs::is_directory(target_, fault) && !fs::is_empty(target_, fault)) {
    RefuseInput("--out {}: is not empty; accepted: a folder that is absent or empty",
                target.string());
  }
  fs::create_directories(target_.parent_path(), fault);
  staging_ = Beside(target_);
  std::lock_guard lock(InterruptMutex());
  AddHalfWritten(staging_);
  // A folder that is there but refuses writing is no place for the result either.
  bool writable = !fs::exists(target_) || access(target_.c_str(), W_OK) == 0;
  fs::remove_all(staging_, fault);
  if (!writable || !fs::create_directory(staging_, fault)) {
    RemoveHalfWritten(staging_);
    RefuseInput("--out {}: cannot be written: {}; accepted: a folder in a writable place",
                target.string(), fault ? fault.message() : std::strerror(EACCES));
  }
}

OutputFolder::~OutputFolder() {
  if (committed_) return;
  std::lock_guard lock(InterruptMutex());
  std::error_code fault;
  fs::remove_all(staging_, fault);
  RemoveHalfWritten(staging_);
}

void OutputFolder::Write(std::string_view relative_path, std::string_view bytes) {
  std::lock_guard lock(InterruptMutex());
  fs::path path = staging_ / relative_path;
  fs::create_directories(path.parent_path());
  WriteBytes(path, bytes, target_ / relative_path);
}

void OutputFolder::Write(const FileTree& tree) {
  for (const auto& [path, bytes] : tree) Write(path, bytes);
}

void OutputFolder::Commit() {
  std::lock_guard lock(InterruptMutex());
  std::error_code fault;
  // rename replaces an empty folder and refuses one that has filled in the meantime.
  fs::rename(staging_, target_, fault);
  if (fault) RefuseInput("--out {}: cannot be written: {}", target_.string(), fault.message());
  committed_ = true;
  RemoveHalfWritten(staging_);
}

ScratchFolder::ScratchFolder() {
  std::error_code fault;
  const fs::path folder = fs::temp_directory_path(fault);
  if (fault) {
    RefuseInput("the folder for temporary files: {}; accepted: TMPDIR that names a writable folder",
                fault.message());
  }
  std::string name = (folder / "vaultrain.XXXXXX").string();
  std::lock_guard lock(InterruptMutex());
  if (!mkdtemp(name.data())) {
    RefuseInput("{}: cannot be made: {}; accepted: TMPDIR that names a writable folder", name,
                std::strerror(errno));
  }
  path_ = name;
  AddHalfWritten(path_);
}

ScratchFolder::~ScratchFolder() {
  std::lock_guard lock(InterruptMutex());
  std::error_code fault;
  fs::remove_all(path_, fault);
  RemoveHalfWritten(path_);
}

}  // namespace vaultrain
