// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/byte_file.h"
#include "vaultrain/error.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kMaxSamples = 10'000'000;
constexpr uint32_t kMaxSide = 4096;

class IdxFile {
 public:
  explicit IdxFile(const fs::path& path) : file_(path) {}

  // The dimensions; the file must have this many, of unsigned bytes.
  std::vector<uint32_t> ReadHeader(int rank) {
    uint32_t magic = ReadWord();
    uint32_t expected = 0x0800u | static_cast<uint32_t>(rank);
    if (magic != expected) {
      RefuseInput("{}: not an IDX file of {} dimensions: magic {:#010x}; accepted: {:#010x}",
                  file_.path(), rank, magic, expected);
    }
    std::vector<uint32_t> dims;
    for (int i = 0; i < rank; ++i) {
      uint32_t dim = ReadWord();
      uint32_t most = i == 0 ? kMaxSamples : kMaxSide;
      if (dim < 1 || dim > most) {
        RefuseInput("{}: dimension {} is {}; accepted: 1 to {}", file_.path(), i, dim, most);
      }
      dims.push_back(dim);
    }
    return dims;
  }

  // Exactly the bytes that the header announces.
  std::vector<uint8_t> ReadBody(const std::vector<uint32_t>& dims) {
    uint64_t bytes = 1;
    for (uint32_t dim : dims) bytes *= dim;
    return file_.ReadBody(bytes);
  }

 private:
  uint32_t ReadWord() {
    std::array<uint8_t, 4> b;
    if (file_.Read(b.data(), 4) != 4) {
      RefuseInput("{}: truncated: no whole IDX header", file_.path());
    }
    return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | b[3];
  }

  ByteFile file_;
};

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
    fs::path images = FindPlainOrGzip(directory, part + "-images-idx3-ubyte");
    return ReadIdxPair(images, FindPlainOrGzip(directory, part + "-labels-idx1-ubyte"));
  };
  TrainTest data{read("train"), read("t10k")};
  if (data.train.rows != data.test.rows || data.train.cols != data.test.cols) {
    RefuseInput("{}: images of {}x{}, but {} has {}x{}; accepted: the same size", data.test.source,
                data.test.rows, data.test.cols, data.train.source, data.train.rows,
                data.train.cols);
  }
  return data;
}

namespace {

// Characters as images of a step a row.
Dataset OneHot(const TextDataset& text, const SequenceShape& shape) {
  Dataset data;
  data.source = text.source;
  data.rows = shape.steps;
  data.cols = static_cast<int>(shape.features);
  data.pixels.resize(static_cast<size_t>(text.size() * data.features()));
  size_t row = 0;
  for (int64_t i = 0; i < text.size(); ++i) {
    for (const uint8_t character : text.characters(i)) {
      data.pixels[row++ * static_cast<size_t>(shape.features) + character] = 255;
    }
    data.labels.push_back(text.labels(i).back());
  }
  return data;
}

}  // namespace

TrainTest LoadData(const std::optional<fs::path>& data_directory, const std::string& data_set,
                   int64_t features, int64_t classes, int steps, uint64_t seed) {
  TrainTest data;
  if (data_set == "text") {
    if (steps < 2) {
      RefuseInput(
          "data_set \"text\": characters need a recurrent network; accepted: one that takes "
          "[N,T,features]");
    }
    const SequenceShape shape = {steps, features / steps, classes};
    const TextTrainTest text = LoadText(data_directory, shape, seed);
    data.train = OneHot(text.train, shape);
    data.test = OneHot(text.test, shape);
    return data;
  }
  if (data_directory && HasNpy(*data_directory)) {
    data = ReadNpy(*data_directory);
  } else if (data_set == "cifar") {
    data = data_directory ? ReadCifar(*data_directory) : DrawnColourDigits();
  } else if (data_directory) {
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
      RefuseInput("{}: images of {}{}x{} have {} features; the network accepts {}", part->source,
                  part->channels > 1 ? fmt::format("{}x", part->channels) : "", part->rows,
                  part->cols, part->features(), features);
    }
    if (!part->has_classes()) {
      if (part->outputs != classes) {
        RefuseInput("{}: {} targets of a sample; the network has {} outputs", part->source,
                    part->outputs, classes);
      }
      continue;
    }
    int largest = *std::max_element(part->labels.begin(), part->labels.end());
    if (largest >= classes) {
      RefuseInput("{}: label {} in the label file; the network accepts 0 to {}", part->source,
                  largest, classes - 1);
    }
  }
  return data;
}

TrainTest LoadData(const std::optional<fs::path>& data_directory, const TrainingGraph& graph,
                   const Recipe& recipe) {
  if (graph.one_hot && recipe.data_set != "text") {
    RefuseInput("{}: takes classes of steps, and data_set = \"{}\"; accepted: \"text\"", graph.file,
                recipe.data_set);
  }
  TrainTest data = LoadData(data_directory, recipe.data_set, graph.features, graph.classes,
                            graph.InputSteps(), recipe.seed);
  data.train.one_hot = data.test.one_hot = graph.one_hot;
  if (graph.loss_kind == Loss::kSoftmaxCrossEntropy && !data.train.has_classes()) {
    RefuseInput("{}: targets, and loss = \"{}\"; accepted: loss = \"mse\", or labels",
                data.train.source, recipe.loss);
  }
  return data;
}

Digest DatasetDigest(const Dataset& data) {
  auto sha = [](const std::vector<uint8_t>& bytes) {
    return ToHex(Sha256({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
  };
  std::string text = fmt::format("{} {} {} {} {}", data.channels, data.rows, data.cols,
                                 sha(data.pixels), sha(data.labels));
  if (!data.has_classes()) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(data.targets.data());
    text += fmt::format(" {} {}", data.outputs, sha({bytes, bytes + data.targets.size() * 4}));
  }
  return Sha256(text);
}

void NormaliseSample(const Dataset& data, int64_t sample, const Recipe& recipe,
                     std::span<float> out) {
  std::span<const uint8_t> image = data.image(sample);
  if (data.one_hot) {
    for (size_t i = 0; i < image.size(); ++i) out[i] = image[i] == 0 ? 0.0f : 1.0f;
    return;
  }
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
    if (data.has_classes()) {
      step.labels.push_back(data.labels[samples[i]]);
    } else {
      const auto row = data.targets.begin() + int64_t{samples[i]} * data.outputs;
      step.targets.insert(step.targets.end(), row, row + data.outputs);
    }
  }
  return step;
}

std::vector<float> TargetsOf(const StepData& step, int64_t outputs) {
  if (!step.targets.empty()) return step.targets;
  std::vector<float> targets(step.labels.size() * static_cast<size_t>(outputs));
  for (size_t i = 0; i < step.labels.size(); ++i) {
    targets[i * static_cast<size_t>(outputs) + step.labels[i]] = 1;
  }
  return targets;
}

}  // namespace vaultrain
