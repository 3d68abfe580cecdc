// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A file of data, plain or gzip, read in pieces so that a header that lies costs no memory.

#ifndef VAULTRAIN_DATA_BYTE_FILE_H_
#define VAULTRAIN_DATA_BYTE_FILE_H_

#include <zlib.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "vaultrain/error.h"

namespace vaultrain {

class ByteFile {
 public:
  // Of samples, bytes of one file.
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 31;

  explicit ByteFile(const std::filesystem::path& path)
      : path_(path.string()), file_(gzopen(path_.c_str(), "rb")) {
    if (!file_ || std::filesystem::is_directory(path)) RefuseInput("{}: cannot be opened", path_);
  }

  const std::string& path() const { return path_; }

  // Fewer bytes than wanted at the end of the file; a damaged gzip stream is refused.
  size_t Read(uint8_t* to, size_t wanted) {
    int got = gzread(file_.get(), to, static_cast<unsigned>(wanted));
    int error = Z_OK;
    const char* message = gzerror(file_.get(), &error);
    if (error == Z_BUF_ERROR) RefuseInput("{}: truncated: the gzip stream breaks off", path_);
    if (got < 0 || error != Z_OK) RefuseInput("{}: damaged gzip stream: {}", path_, message);
    return static_cast<size_t>(got);
  }

  // Exactly the rest of the file, of as many bytes as its header announces.
  std::vector<uint8_t> ReadBody(uint64_t bytes) {
    if (bytes > kMaxBytes) {
      RefuseInput("{}: the header announces {} bytes; accepted: up to {}", path_, bytes, kMaxBytes);
    }
    std::vector<uint8_t> body;
    std::array<uint8_t, 65536> piece;
    while (body.size() < bytes) {
      size_t wanted = std::min<uint64_t>(piece.size(), bytes - body.size());
      size_t got = Read(piece.data(), wanted);
      body.insert(body.end(), piece.begin(), piece.begin() + got);
      if (got < wanted) {
        RefuseInput("{}: truncated: {} of the {} bytes that the header announces", path_,
                    body.size(), bytes);
      }
    }
    if (Read(piece.data(), 1) != 0) {
      RefuseInput("{}: longer than the {} bytes that the header announces", path_, bytes);
    }
    return body;
  }

 private:
  struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
  };

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

// The file, or the same with .gz; refuses a folder that has neither.
inline std::filesystem::path FindPlainOrGzip(const std::filesystem::path& directory,
                                             const std::string& name) {
  for (const std::filesystem::path& path : {directory / name, directory / (name + ".gz")}) {
    if (std::filesystem::exists(path)) return path;
  }
  RefuseInput("{}: missing; accepted: this file, plain or with .gz", (directory / name).string());
}

}  // namespace vaultrain

#endif  // VAULTRAIN_DATA_BYTE_FILE_H_
