// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// CIFAR-10 in its binary form: records of a label and the red, green and blue image.

#include <algorithm>
#include <array>

#include "data/byte_file.h"
#include "vaultrain/dataset.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 32;
constexpr int kChannels = 3;
constexpr int kClasses = 10;
constexpr size_t kPixels = static_cast<size_t>(kChannels) * kSide * kSide;

void AppendRecords(const fs::path& path, Dataset& data) {
  ByteFile file(path);
  std::array<uint8_t, 1 + kPixels> record;
  size_t records = 0;
  for (;; ++records) {
    const size_t got = file.Read(record.data(), record.size());
    if (got == 0) break;
    if (got < record.size()) {
      RefuseInput("{}: record {} has {} bytes; accepted: records of {}", file.path(), records, got,
                  record.size());
    }
    if (record[0] >= kClasses) {
      RefuseInput("{}: record {} has label {}; accepted: 0 to {}", file.path(), records, record[0],
                  kClasses - 1);
    }
    if (data.pixels.size() > ByteFile::kMaxBytes) {
      RefuseInput("{}: more than the {} bytes of images that are accepted", file.path(),
                  ByteFile::kMaxBytes);
    }
    data.labels.push_back(record[0]);
    data.pixels.insert(data.pixels.end(), record.begin() + 1, record.end());
  }
  if (records == 0) RefuseInput("{}: empty; accepted: records of {}", file.path(), record.size());
}

Dataset Empty(const fs::path& source) {
  Dataset data;
  data.source = source.string();
  data.channels = kChannels;
  data.rows = data.cols = kSide;
  return data;
}

}  // namespace

TrainTest ReadCifar(const fs::path& directory) {
  if (!fs::is_directory(directory)) {
    RefuseInput("{}: no such directory; accepted: one with data_batch_1.bin .. and test_batch.bin",
                directory.string());
  }
  TrainTest data{Empty(directory / "data_batch_1.bin"), Empty(directory / "test_batch.bin")};
  AppendRecords(FindPlainOrGzip(directory, "data_batch_1.bin"), data.train);
  // A part of the set will do.
  for (int i = 2; i <= 5; ++i) {
    const std::string name = "data_batch_" + std::to_string(i) + ".bin";
    if (fs::exists(directory / name) || fs::exists(directory / (name + ".gz"))) {
      AppendRecords(FindPlainOrGzip(directory, name), data.train);
    }
  }
  AppendRecords(FindPlainOrGzip(directory, "test_batch.bin"), data.test);
  return data;
}

}  // namespace vaultrain
