// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Labelled images: IDX files, CIFAR-10, arrays of NumPy, or digits that we draw. Sequences of
// characters, each labelled with the next: a text, or one that we write.

#ifndef VAULTRAIN_DATASET_H_
#define VAULTRAIN_DATASET_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vaultrain/digest.h"
#include "vaultrain/recipe.h"

namespace vaultrain {

struct Dataset {
  std::string source;  // where it came from, for messages and reports
  int channels = 1;
  int rows = 0, cols = 0;
  std::vector<uint8_t> pixels;  // sample after sample, [channel][row][column], 0 dark to 255 light
  bool one_hot = false;         // pixels are 0 or 255, for 0 and 1 without mean and deviation
  std::vector<uint8_t> labels;  // class of each sample; or, instead,
  int outputs = 0;
  std::vector<float> targets;  // so many values of each sample

  bool has_classes() const { return outputs == 0; }
  int64_t size() const {
    return static_cast<int64_t>(has_classes() ? labels.size() : targets.size() / outputs);
  }
  int64_t features() const { return int64_t{channels} * rows * cols; }
  std::span<const uint8_t> image(int64_t sample) const {
    return std::span(pixels).subspan(sample * features(), features());
  }
};

struct TrainTest {
  Dataset train, test;
};

// Of shape, images and labels or targets.
Digest DatasetDigest(const Dataset& data);

// ---- IDX, the format of MNIST: big-endian header, then bytes; plain or gzip

// Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte, each with or without .gz, from a directory.
// Throws Error(kUnusableInput) if one is missing, truncated, too long, not IDX or absurdly large,
// or if counts or image sizes do not match.
TrainTest ReadIdx(const std::filesystem::path& directory);

// One pair of files.
Dataset ReadIdxPair(const std::filesystem::path& images, const std::filesystem::path& labels);

// ---- CIFAR-10, the binary version

// Reads data_batch_1.bin to data_batch_5.bin, of which all but the first may be missing, and
// test_batch.bin, each plain or with .gz: 3 x 32 x 32, red, green and blue. Throws
// Error(kUnusableInput) if one is missing, empty, not of whole records, or has a label above 9.
TrainTest ReadCifar(const std::filesystem::path& directory);

// ---- arrays of NumPy

// Whether a directory holds train-images.npy (or .npy.gz).
bool HasNpy(const std::filesystem::path& directory);

// Reads {train,test}-{images,labels}.npy, each with or without .gz: images of uint8, [n][features],
// [n][rows][columns] or [n][channels][rows][columns]; labels [n] of uint8, int32 or int64, 0 to
// 255, or, without labels, {train,test}-targets.npy: [n] or [n][outputs] of float32 or float64.
// Throws Error(kUnusableInput) as ReadIdx does.
TrainTest ReadNpy(const std::filesystem::path& directory);

// ---- digits that we draw

// Digits 0 to 9 as strokes with random slant, size, place, bend, thickness and noise, from the
// documented generator: the same bytes everywhere. side: pixels, 8 to 64.
Dataset DrawDigits(int side, int samples, const std::string& stream);

// The set used without --data: 8,000 to train, 2,000 to test.
TrainTest DrawnDigits(int side);

// Digits of side 32 with an ink of one colour on ground of another, either the lighter one, and a
// shade from corner to corner; the same bytes everywhere.
Dataset DrawColourDigits(int samples, const std::string& stream);

// The set used for "cifar" without --data: 8,000 to train, 2,000 to test.
TrainTest DrawnColourDigits();

// ---- characters, for recurrent networks

// What a network takes and gives.
struct SequenceShape {
  int steps = 1;         // T, of a sample
  int64_t features = 1;  // of a step: characters one-hot; 1: their classes, as numbers
  int64_t classes = 2;   // of a step
};

// A text in which a sample is a run of T characters and the label of each is the one behind it.
struct TextDataset {
  std::string source;
  std::vector<uint8_t> vocabulary;  // the bytes that occur in train or test, sorted
  std::vector<uint8_t> text;        // class of each character: its place in the vocabulary
  std::vector<uint32_t> begins;     // of each sample
  int steps = 0;                    // T

  int64_t size() const { return static_cast<int64_t>(begins.size()); }
  // [T]
  std::span<const uint8_t> characters(int64_t sample) const {
    return std::span(text).subspan(begins[sample], steps);
  }
  std::span<const uint8_t> labels(int64_t sample) const {
    return std::span(text).subspan(begins[sample] + 1, steps);
  }
};

struct TextTrainTest {
  TextDataset train, test;
};

// Reads input.txt of a directory, or the only other .txt, plain or with .gz. The last tenth is for
// the test. Each part is cut into runs that follow each other, from one of the first T characters
// on, which the seed draws. Throws Error(kUnusableInput) if there is none, if it is too short for a
// run in each part, or if more different bytes occur than the shape has room for.
TextTrainTest ReadText(const std::filesystem::path& directory, const SequenceShape& shape,
                       uint64_t seed);

// The same of a text at hand; source is for messages.
TextTrainTest CutText(std::span<const uint8_t> text, const std::string& source,
                      const SequenceShape& shape, uint64_t seed);

// Sentences of short words, from the documented generator: the same bytes everywhere. The set used
// without --data has 200,000 bytes.
std::string WriteSentences(size_t bytes);

// The data of a network with data_set = "text".
TextTrainTest LoadText(const std::optional<std::filesystem::path>& data_directory,
                       const SequenceShape& shape, uint64_t seed);

// Inputs [batch][T][features] and labels [batch][T] of one step.
struct TextStepData {
  std::vector<float> inputs;
  std::vector<uint8_t> labels;
};
TextStepData GatherTextStep(const TextDataset& data, const SequenceShape& shape,
                            std::span<const uint32_t> samples);

// ---- for training

// The data of a network. data_set is that of the recipe; digits: the IDX files of data_directory
// or, without one, drawn digits of side sqrt(features); cifar: CIFAR-10 or drawn digits in colour;
// text: runs of so many characters, one-hot (255, 0), cut as the seed says, each with the character
// behind it as its label. Arrays of NumPy in data_directory are read whatever it says. Throws Error
// if images or labels do not suit the network.
TrainTest LoadData(const std::optional<std::filesystem::path>& data_directory,
                   const std::string& data_set, int64_t features, int64_t classes, int steps = 1,
                   uint64_t seed = 1);

struct TrainingGraph;

// The same for a training graph; throws if its loss takes classes and the data have none, or if it
// takes classes of steps and the data are images.
TrainTest LoadData(const std::optional<std::filesystem::path>& data_directory,
                   const TrainingGraph& graph, const Recipe& recipe);

// A sample as the network takes it: (pixel / 255 - mean) / deviation in double, rounded to float;
// of one-hot data pixel / 255.
void NormaliseSample(const Dataset& data, int64_t sample, const Recipe& recipe,
                     std::span<float> out);

// Inputs [batch][features] and labels or targets of one step, as every engine takes them.
struct StepData {
  std::vector<float> inputs;
  std::vector<uint8_t> labels;
  std::vector<float> targets;  // [batch][outputs], of data without classes
};
StepData GatherStep(const Dataset& data, const Recipe& recipe, std::span<const uint32_t> samples);

// What a mean square takes: the targets, or of each class 1 for it and 0 for the others.
std::vector<float> TargetsOf(const StepData& step, int64_t outputs);

}  // namespace vaultrain

#endif  // VAULTRAIN_DATASET_H_
