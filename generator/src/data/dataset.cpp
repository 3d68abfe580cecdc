// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/dataset.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kMaxSamples = 10'000'000;
constexpr uint32_t kMaxSide = 4096;
constexpr uint64_t kMaxBytes = uint64_t{1} << 31;

// An IDX file of unsigned bytes, read in pieces so that a header that lies costs no memory.
class IdxFile {
 public:
  explicit IdxFile(const fs::path& path)
      : path_(path.string()), file_(gzopen(path_.c_str(), "rb")) {
    if (!file_ || fs::is_directory(path)) RefuseInput("{}: cannot be opened", path_);
  }

  // The dimensions; the file must have this many, of unsigned bytes.
  std::vector<uint32_t> ReadHeader(int rank) {
    uint32_t magic = ReadWord();
    uint32_t expected = 0x0800u | static_cast<uint32_t>(rank);
    if (magic != expected) {
      RefuseInput("{}: not an IDX file of {} dimensions: magic {:#010x}; accepted: {:#010x}", path_,
                  rank, magic, expected);
    }
    std::vector<uint32_t> dims;
    for (int i = 0; i < rank; ++i) {
      uint32_t dim = ReadWord();
      uint32_t most = i == 0 ? kMaxSamples : kMaxSide;
      if (dim < 1 || dim > most) {
        RefuseInput("{}: dimension {} is {}; accepted: 1 to {}", path_, i, dim, most);
      }
      dims.push_back(dim);
    }
    return dims;
  }

  // Exactly the bytes that the header announces.
  std::vector<uint8_t> ReadBody(const std::vector<uint32_t>& dims) {
    uint64_t bytes = 1;
    for (uint32_t dim : dims) bytes *= dim;
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

  // Fewer bytes than wanted at the end of the file; a damaged gzip stream is refused.
  size_t Read(uint8_t* to, size_t wanted) {
    int got = gzread(file_.get(), to, static_cast<unsigned>(wanted));
    int error = Z_OK;
    const char* message = gzerror(file_.get(), &error);
    if (error == Z_BUF_ERROR) RefuseInput("{}: truncated: the gzip stream breaks off", path_);
    if (got < 0 || error != Z_OK) RefuseInput("{}: damaged gzip stream: {}", path_, message);
    return static_cast<size_t>(got);
  }

  uint32_t ReadWord() {
    std::array<uint8_t, 4> b;
    if (Read(b.data(), 4) != 4) RefuseInput("{}: truncated: no whole IDX header", path_);
    return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
  }

  std::string path_;
  std::unique_ptr<gzFile_s, Close> file_;
};

fs::path FindIdx(const fs::path& directory, const std::string& name) {
  for (const fs::path& path : {directory / name, directory / (name + ".gz")}) {
    if (fs::exists(path)) return path;
  }
  RefuseInput("{}: missing; accepted: this file, plain or with .gz", (directory / name).string());
}

}  // namespace

Dataset ReadIdxPair(const fs::path& images, const fs::path& labels) {
  Dataset data;
  data.source = images.string();
  IdxFile image_file(images);
  std::vector<uint32_t> image_dims = image_file.ReadHeader(3);
  IdxFile label_file(labels);
  std::vector<uint32_t> label_dims = label_file.ReadHeader(1);
  if (image_dims[0] != label_dims[0]) {
    RefuseInput("{}: {} labels for the {} images of {}; accepted: as many", labels.string(),
                label_dims[0], image_dims[0], images.string());
  }
  data.rows = static_cast<int>(image_dims[1]);
  data.cols = static_cast<int>(image_dims[2]);
  data.pixels = image_file.ReadBody(image_dims);
  data.labels = label_file.ReadBody(label_dims);
  return data;
}

TrainTest ReadIdx(const fs::path& directory) {
  if (!fs::is_directory(directory)) {
    RefuseInput("{}: no such directory; accepted: one with the four IDX files of MNIST",
                directory.string());
  }
  auto read = [&](const std::string& part) {
    fs::path images = FindIdx(directory, part + "-images-idx3-ubyte");
    return ReadIdxPair(images, FindIdx(directory, part + "-labels-idx1-ubyte"));
  };
  TrainTest data{read("train"), read("t10k")};
  if (data.train.rows != data.test.rows || data.train.cols != data.test.cols) {
    RefuseInput("{}: images of {}x{}, but {} has {}x{}; accepted: the same size", data.test.source,
                data.test.rows, data.test.cols, data.train.source, data.train.rows,
                data.train.cols);
  }
  return data;
}

TrainTest LoadData(const std::optional<fs::path>& data_directory, int64_t features,
                   int64_t classes) {
  TrainTest data;
  if (data_directory) {
    data = ReadIdx(*data_directory);
  } else {
    int side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(features))));
    if (int64_t{side} * side != features || side < 8 || side > 64) {
      RefuseInput(
          "the network takes {} features; accepted without --data: a square of 8x8 to 64x64",
          features);
    }
    data = DrawnDigits(side);
  }
  for (const Dataset* part : {&data.train, &data.test}) {
    if (part->features() != features) {
      RefuseInput("{}: images of {}x{} have {} features; the network accepts {}", part->source,
                  part->rows, part->cols, part->features(), features);
    }
    int largest = *std::max_element(part->labels.begin(), part->labels.end());
    if (largest >= classes) {
      RefuseInput("{}: label {} in the label file; the network accepts 0 to {}", part->source,
                  largest, classes - 1);
    }
  }
  return data;
}

void NormaliseSample(const Dataset& data, int64_t sample, const Recipe& recipe,
                     std::span<float> out) {
  std::span<const uint8_t> image = data.image(sample);
  for (size_t i = 0; i < image.size(); ++i) {
    out[i] = static_cast<float>((image[i] / 255.0 - recipe.input_mean) / recipe.input_deviation);
  }
}

StepData GatherStep(const Dataset& data, const Recipe& recipe, std::span<const uint32_t> samples) {
  StepData step;
  step.inputs.resize(samples.size() * data.features());
  for (size_t i = 0; i < samples.size(); ++i) {
    NormaliseSample(data, samples[i], recipe,
                    std::span(step.inputs).subspan(i * data.features(), data.features()));
    step.labels.push_back(data.labels[samples[i]]);
  }
  return step;
}

}  // namespace vaultrain
