// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Labelled images: IDX files, or digits that we draw.

#ifndef VAULTRAIN_DATASET_H_
#define VAULTRAIN_DATASET_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vaultrain/recipe.h"

namespace vaultrain {

struct Dataset {
  std::string source;  // where it came from, for messages and reports
  int rows = 0, cols = 0;
  std::vector<uint8_t> pixels;  // sample after sample, row-major, 0 black to 255 white
  std::vector<uint8_t> labels;  // class of each sample

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
  int64_t features() const { return int64_t{rows} * cols; }
  std::span<const uint8_t> image(int64_t sample) const {
    return std::span(pixels).subspan(sample * features(), features());
  }
};

struct TrainTest {
  Dataset train, test;
};

// ---- IDX, the format of MNIST: big-endian header, then bytes; plain or gzip

// Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte, each with or without .gz, from a directory.
// Throws Error(kUnusableInput) if one is missing, truncated, too long, not IDX or absurdly large,
// or if counts or image sizes do not match.
TrainTest ReadIdx(const std::filesystem::path& directory);

// One pair of files.
Dataset ReadIdxPair(const std::filesystem::path& images, const std::filesystem::path& labels);

// ---- digits that we draw

// Digits 0 to 9 as strokes with random slant, size, place, bend, thickness and noise, from the
// documented generator: the same bytes everywhere. side: pixels, 8 to 64.
Dataset DrawDigits(int side, int samples, const std::string& stream);

// The set used without --data: 8,000 to train, 2,000 to test.
TrainTest DrawnDigits(int side);

// ---- for training

// The data of a recipe for a network: the IDX files of data_directory or, without one, drawn digits
// of side sqrt(features). Throws Error if images or labels do not suit the network.
TrainTest LoadData(const std::optional<std::filesystem::path>& data_directory, int64_t features,
                   int64_t classes);

// A sample as the network takes it: (pixel / 255 - mean) / deviation in double, rounded to float.
void NormaliseSample(const Dataset& data, int64_t sample, const Recipe& recipe,
                     std::span<float> out);

// Inputs [batch][features] and labels of one step, as every engine takes them.
struct StepData {
  std::vector<float> inputs;
  std::vector<uint8_t> labels;
};
StepData GatherStep(const Dataset& data, const Recipe& recipe, std::span<const uint32_t> samples);

}  // namespace vaultrain

#endif  // VAULTRAIN_DATASET_H_
