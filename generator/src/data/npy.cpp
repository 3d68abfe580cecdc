// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Arrays of NumPy: a header that is a literal of Python, then the values.

#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "data/byte_file.h"
#include "vaultrain/dataset.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kMaxHeader = 4096;
constexpr int64_t kMaxDim = 10'000'000;

struct NpyArray {
  std::string type;  // "|u1", "<i4", "<f8", in quotes
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
};

class NpyFile {
 public:
  explicit NpyFile(const fs::path& path) : file_(path) {}

  // An array of one of these types and of rank dimensions from min_rank to max_rank.
  NpyArray Read(const std::vector<std::string_view>& types, size_t min_rank, size_t max_rank) {
    const std::string header = ReadHeader();
    NpyArray array;
    array.type = Value(header, "'descr'");
    uint64_t bytes = 0;
    for (std::string_view type : types) {
      if (array.type == fmt::format("'{}'", type)) bytes = static_cast<uint64_t>(type[2] - '0');
    }
    if (bytes == 0) {
      RefuseInput("{}: elements of type {}; accepted: {}", file_.path(), Quote(array.type),
                  fmt::join(types, ", "));
    }
    if (Value(header, "'fortran_order'") != "False") {
      RefuseInput("{}: fortran_order is not False; accepted: rows first", file_.path());
    }
    array.shape = ReadShape(Value(header, "'shape'"));
    if (array.shape.size() < min_rank || array.shape.size() > max_rank) {
      RefuseInput("{}: {} dimensions; accepted: {} to {}", file_.path(), array.shape.size(),
                  min_rank, max_rank);
    }
    for (int64_t dim : array.shape) {
      if (dim < 1 || dim > kMaxDim) {
        RefuseInput("{}: a dimension of {}; accepted: 1 to {}", file_.path(), dim, kMaxDim);
      }
      // Far above what is accepted, and far below what overflows.
      if (bytes <= ByteFile::kMaxBytes) bytes *= static_cast<uint64_t>(dim);
    }
    array.bytes = file_.ReadBody(bytes);
    return array;
  }

 private:
  std::string ReadHeader() {
    std::array<uint8_t, 12> head;
    const bool whole = file_.Read(head.data(), 10) == 10;
    if (!whole || std::string_view(reinterpret_cast<char*>(head.data()), 6) != "\x93NUMPY") {
      RefuseInput("{}: not a .npy file", file_.path());
    }
    uint32_t size = head[8] | uint32_t{head[9]} << 8;
    if (head[6] != 1) {
      if (file_.Read(head.data() + 10, 2) != 2) size = 0;
      size |= uint32_t{head[10]} << 16 | uint32_t{head[11]} << 24;
    }
    if (size < 1 || size > kMaxHeader) {
      RefuseInput("{}: a header of {} bytes; accepted: 1 to {}", file_.path(), size, kMaxHeader);
    }
    std::vector<uint8_t> header(size);
    if (file_.Read(header.data(), size) != size) {
      RefuseInput("{}: truncated: no whole header", file_.path());
    }
    return {header.begin(), header.end()};
  }

  // The text behind a key, up to the comma, or within brackets.
  std::string Value(const std::string& header, const std::string& key) const {
    size_t at = header.find(key);
    if (at != std::string::npos) at = header.find_first_not_of(": ", at + key.size());
    const size_t end =
        at == std::string::npos ? at : header.find(header[at] == '(' ? ')' : ',', at);
    if (end == std::string::npos) {
      RefuseInput("{}: the header gives no {}", file_.path(), key);
    }
    return header.substr(at, end - at);
  }

  // Of "(60000, 28, 28", the closing bracket left off.
  std::vector<int64_t> ReadShape(const std::string& text) const {
    std::vector<int64_t> shape;
    size_t at = 1;
    while (shape.size() < 8 && (at = text.find_first_not_of(", ", at)) != std::string::npos) {
      int64_t dim = 0;
      const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), dim);
      if (error != std::errc()) break;
      shape.push_back(dim);
      at = static_cast<size_t>(end - text.data());
    }
    if (at != std::string::npos || text[0] != '(') {
      RefuseInput("{}: shape {} is not a list of integers", file_.path(), Quote(text));
    }
    return shape;
  }

  ByteFile file_;
};

void ReadLabels(const NpyArray& labels, const fs::path& file, Dataset& data) {
  const size_t size = labels.bytes.size() / static_cast<size_t>(labels.shape[0]);
  for (size_t at = 0; at < labels.bytes.size(); at += size) {
    for (size_t byte = 1; byte < size; ++byte) {
      if (labels.bytes[at + byte] == 0) continue;
      RefuseInput("{}: label {} is not within 0 to 255", file.string(), at / size);
    }
    data.labels.push_back(labels.bytes[at]);
  }
}

void ReadTargets(const NpyArray& targets, const fs::path& file, Dataset& data) {
  data.outputs = targets.shape.size() > 1 ? static_cast<int>(targets.shape[1]) : 1;
  const bool wide = targets.type == "'<f8'";
  for (size_t at = 0; at < targets.bytes.size(); at += wide ? 8 : 4) {
    float value = 0;
    if (wide) {
      double number = 0;
      std::memcpy(&number, targets.bytes.data() + at, sizeof(number));
      value = static_cast<float>(number);
    } else {
      std::memcpy(&value, targets.bytes.data() + at, sizeof(value));
    }
    if (!std::isfinite(value)) {
      RefuseInput("{}: a target of sample {} is {}; accepted: finite numbers", file.string(),
                  data.targets.size() / static_cast<size_t>(data.outputs), value);
    }
    data.targets.push_back(value);
  }
}

Dataset ReadNpyPair(const fs::path& images_file, const fs::path& labels_file, bool has_labels) {
  NpyArray images = NpyFile(images_file).Read({"|u1"}, 2, 4);
  const NpyArray labels = has_labels ? NpyFile(labels_file).Read({"|u1", "<i4", "<i8"}, 1, 1)
                                     : NpyFile(labels_file).Read({"<f4", "<f8"}, 1, 2);
  Dataset data;
  data.source = images_file.string();
  const std::vector<int64_t>& shape = images.shape;
  if (shape[0] != labels.shape[0]) {
    RefuseInput("{}: {} {} for the {} images of {}; accepted: as many", labels_file.string(),
                labels.shape[0], has_labels ? "labels" : "targets", shape[0], images_file.string());
  }
  data.channels = shape.size() == 4 ? static_cast<int>(shape[1]) : 1;
  data.rows = shape.size() > 2 ? static_cast<int>(shape[shape.size() - 2]) : 1;
  data.cols = static_cast<int>(shape.back());
  data.pixels = std::move(images.bytes);
  if (has_labels) {
    ReadLabels(labels, labels_file, data);
  } else {
    ReadTargets(labels, labels_file, data);
  }
  return data;
}

}  // namespace

bool HasNpy(const fs::path& directory) {
  return fs::exists(directory / "train-images.npy") ||
         fs::exists(directory / "train-images.npy.gz");
}

TrainTest ReadNpy(const fs::path& directory) {
  const bool has_targets =
      fs::exists(directory / "train-targets.npy") || fs::exists(directory / "train-targets.npy.gz");
  const bool has_labels =
      fs::exists(directory / "train-labels.npy") || fs::exists(directory / "train-labels.npy.gz");
  if (has_targets && has_labels) {
    RefuseInput("{}: train-labels.npy and train-targets.npy; accepted: one of them",
                directory.string());
  }
  const std::string second = has_targets ? "-targets.npy" : "-labels.npy";
  auto read = [&](const std::string& part) {
    const fs::path images = FindPlainOrGzip(directory, part + "-images.npy");
    return ReadNpyPair(images, FindPlainOrGzip(directory, part + second), !has_targets);
  };
  return {read("train"), read("test")};
}

}  // namespace vaultrain
