// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "vaultrain/digest.h"
#include "vaultrain/error.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string Word(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string Images(uint32_t n, uint32_t rows, uint32_t cols) {
  std::string bytes = Word(0x803) + Word(n) + Word(rows) + Word(cols);
  for (uint32_t i = 0; i < n * rows * cols; ++i) bytes += static_cast<char>(i * 7);
  return bytes;
}

std::string Labels(uint32_t n) {
  std::string bytes = Word(0x801) + Word(n);
  for (uint32_t i = 0; i < n; ++i) bytes += static_cast<char>(i % 10);
  return bytes;
}

class IdxTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(testing::TempDir()) /
           (std::string("idx_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    Write("train-images-idx3-ubyte", Images(20, 8, 8));
    Write("train-labels-idx1-ubyte", Labels(20));
    Write("t10k-images-idx3-ubyte", Images(10, 8, 8));
    Write("t10k-labels-idx1-ubyte", Labels(10));
  }
  void TearDown() override { fs::remove_all(dir_); }

  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  std::string WriteGzip(const std::string& name, const std::string& bytes) {
    gzFile file = gzopen((dir_ / name).c_str(), "wb");
    gzwrite(file, bytes.data(), bytes.size());
    gzclose(file);
    std::ifstream stream(dir_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  void ExpectRefused(const std::vector<std::string>& parts) {
    try {
      LoadData(dir_, "digits", 64, 10);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
      for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }

  fs::path dir_;
};

TEST_F(IdxTest, ReadsPlainAndGzipAlike) {
  TrainTest plain = LoadData(dir_, "digits", 64, 10);
  EXPECT_EQ(plain.train.size(), 20);
  EXPECT_EQ(plain.test.size(), 10);
  EXPECT_EQ(plain.train.labels[13], 3);
  EXPECT_EQ(plain.train.image(1)[0], static_cast<uint8_t>(64 * 7));
  fs::remove(dir_ / "train-images-idx3-ubyte");
  WriteGzip("train-images-idx3-ubyte.gz", Images(20, 8, 8));
  EXPECT_EQ(LoadData(dir_, "digits", 64, 10).train.pixels, plain.train.pixels);
}

TEST_F(IdxTest, RefusesMissingFilesAndDirectories) {
  EXPECT_THROW(ReadIdx(dir_ / "nowhere"), Error);
  fs::remove(dir_ / "t10k-labels-idx1-ubyte");
  ExpectRefused({"t10k-labels-idx1-ubyte: missing", ".gz"});
}

TEST_F(IdxTest, RefusesEveryTruncation) {
  std::string images = Images(20, 8, 8);
  for (size_t size : {size_t{0}, size_t{3}, size_t{15}, size_t{16}, images.size() - 1}) {
    Write("train-images-idx3-ubyte", images.substr(0, size));
    ExpectRefused({"train-images-idx3-ubyte: truncated"});
  }
  fs::remove(dir_ / "train-images-idx3-ubyte");
  std::string gzip = WriteGzip("train-images-idx3-ubyte.gz", images);
  Write("train-images-idx3-ubyte.gz", gzip.substr(0, gzip.size() / 2));
  ExpectRefused({"train-images-idx3-ubyte.gz: truncated"});
  gzip[gzip.size() / 2] ^= 0x55;
  Write("train-images-idx3-ubyte.gz", gzip);
  ExpectRefused({"train-images-idx3-ubyte.gz"});
}

TEST_F(IdxTest, RefusesWhatIsNotIdx) {
  Write("train-images-idx3-ubyte", Labels(20));
  ExpectRefused({"not an IDX file of 3 dimensions", "0x00000803"});
  Write("train-images-idx3-ubyte", "just some text that is long enough");
  ExpectRefused({"not an IDX file"});
}

TEST_F(IdxTest, RefusesTrailingBytes) {
  Write("train-labels-idx1-ubyte", Labels(20) + "x");
  ExpectRefused({"longer than the 20 bytes"});
}

TEST_F(IdxTest, RefusesAbsurdHeadersWithoutAllocatingThem) {
  Write("train-images-idx3-ubyte", Word(0x803) + Word(0xffffffff) + Word(8) + Word(8));
  ExpectRefused({"dimension 0 is 4294967295"});
  Write("train-images-idx3-ubyte", Word(0x803) + Word(20) + Word(0) + Word(8));
  ExpectRefused({"dimension 1 is 0"});
  Write("train-images-idx3-ubyte", Word(0x803) + Word(10000000) + Word(4096) + Word(4096));
  Write("train-labels-idx1-ubyte", Labels(10000000));
  ExpectRefused({"announces 167772160000000 bytes"});
}

TEST_F(IdxTest, RefusesCountsAndSizesThatDoNotMatch) {
  Write("train-labels-idx1-ubyte", Labels(19));
  ExpectRefused({"19 labels", "20 images"});
  Write("train-labels-idx1-ubyte", Labels(20));
  Write("t10k-images-idx3-ubyte", Images(10, 4, 16));
  ExpectRefused({"4x16", "8x8"});
}

TEST_F(IdxTest, RefusesDataThatDoesNotSuitTheNetwork) {
  EXPECT_THROW(LoadData(dir_, "digits", 784, 10), Error);
  EXPECT_THROW(LoadData(dir_, "digits", 64, 9), Error);
}

TEST(DrawnDigits, AreTheSameBytesOnEveryMachine) {
  Dataset data = DrawDigits(28, 200, "digits/train");
  std::string bytes(data.pixels.begin(), data.pixels.end());
  bytes.append(data.labels.begin(), data.labels.end());
  EXPECT_EQ(ToHex(Sha256(bytes)),
            "f764cfaf14f7a336c69d9ad6e05b6e9376441c59e7ad47070343148abbadfbfe");
}

TEST(DrawnDigits, ShowEveryClassWithInkAndMargin) {
  TrainTest data = LoadData(std::nullopt, "digits", 784, 10);
  EXPECT_EQ(data.train.size(), 8000);
  EXPECT_EQ(data.test.size(), 2000);
  std::vector<int> count(10);
  for (uint8_t label : data.train.labels) ++count[label];
  for (int n : count) EXPECT_NEAR(n, 800, 120);
  for (int64_t i = 0; i < data.train.size(); ++i) {
    int inked = 0;
    for (uint8_t pixel : data.train.image(i)) inked += pixel > 100;
    ASSERT_GT(inked, 12) << "sample " << i;
    ASSERT_LT(inked, 350) << "sample " << i;
  }
  EXPECT_NE(std::vector<uint8_t>(data.train.pixels.begin(), data.train.pixels.begin() + 784),
            std::vector<uint8_t>(data.test.pixels.begin(), data.test.pixels.begin() + 784));
}

TEST(DrawnDigits, RefuseFeaturesThatAreNoSquare) {
  EXPECT_THROW(LoadData(std::nullopt, "digits", 783, 10), Error);
  EXPECT_THROW(LoadData(std::nullopt, "digits", 49, 10), Error);
}

// ---- CIFAR-10

class CifarTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(testing::TempDir()) /
           (std::string("cifar_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    Write("data_batch_1.bin", Records(4, 0));
    Write("data_batch_3.bin", Records(2, 4));
    Write("test_batch.bin", Records(3, 6));
  }
  void TearDown() override { fs::remove_all(dir_); }

  // Labels count on from first; colours of a sample are 3 * label, + 1, + 2.
  static std::string Records(int n, int first) {
    std::string bytes;
    for (int label = first; label < first + n; ++label) {
      bytes += static_cast<char>(label);
      for (int c = 0; c < 3; ++c) bytes += std::string(1024, static_cast<char>(3 * label + c));
    }
    return bytes;
  }
  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  void ExpectRefused(const std::vector<std::string>& parts) {
    try {
      LoadData(dir_, "cifar", 3072, 10);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
      for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }

  fs::path dir_;
};

TEST_F(CifarTest, ReadsTheBatchesThatAreThere) {
  const TrainTest data = LoadData(dir_, "cifar", 3072, 10);
  EXPECT_THAT(data.train.labels, testing::ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(data.test.labels, testing::ElementsAre(6, 7, 8));
  EXPECT_EQ(data.train.channels, 3);
  EXPECT_EQ(data.train.features(), 3072);
  EXPECT_EQ(data.train.image(5)[0], 15);
  EXPECT_EQ(data.train.image(5)[1024], 16);
  EXPECT_EQ(data.test.image(2)[3071], 26);
}

TEST_F(CifarTest, RefusesWhatIsNoSetOfRecords) {
  EXPECT_THROW(LoadData(dir_ / "nowhere", "cifar", 3072, 10), Error);
  EXPECT_THROW(LoadData(dir_, "cifar", 1024, 10), Error);
  EXPECT_THROW(LoadData(dir_, "cifar", 3072, 8), Error);
  Write("data_batch_3.bin", Records(2, 4).substr(0, 5000));
  ExpectRefused({"data_batch_3.bin: record 1 has 1927 bytes", "3073"});
  Write("data_batch_3.bin", "");
  ExpectRefused({"data_batch_3.bin: empty"});
  Write("data_batch_3.bin", Records(1, 10));
  ExpectRefused({"data_batch_3.bin: record 0 has label 10", "0 to 9"});
  fs::remove(dir_ / "data_batch_3.bin");
  fs::remove(dir_ / "test_batch.bin");
  ExpectRefused({"test_batch.bin: missing", ".gz"});
}

// ---- arrays of NumPy

class NpyTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(testing::TempDir()) /
           (std::string("npy_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    std::string pixels;
    for (int i = 0; i < 24; ++i) pixels += static_cast<char>(i * 9);
    Write("train-images.npy", Npy("|u1", "2, 2, 2, 3", pixels));
    Write("train-labels.npy",
          Npy("<i8", "2,", std::string("\3\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0", 16)));
    Write("test-images.npy", Npy("|u1", "1, 12", pixels.substr(0, 12), 2));
    Write("test-labels.npy", Npy("|u1", "1,", "\2"));
  }
  void TearDown() override { fs::remove_all(dir_); }

  static std::string Npy(const std::string& type, const std::string& shape,
                         const std::string& values, int version = 1,
                         const std::string& order = "False") {
    std::string header =
        "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': (" + shape + "), }";
    header.resize(117, ' ');
    header += '\n';
    std::string bytes = "\x93NUMPY";
    bytes += static_cast<char>(version);
    bytes += '\0';
    bytes += static_cast<char>(header.size());
    bytes += std::string(version == 1 ? 1 : 3, '\0');
    return bytes + header + values;
  }
  void Write(const std::string& name, const std::string& bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  void ExpectRefused(const std::string& name, const std::string& bytes,
                     const std::vector<std::string>& parts) {
    std::ifstream stream(dir_ / name, std::ios::binary);
    const std::string before((std::istreambuf_iterator<char>(stream)),
                             std::istreambuf_iterator<char>());
    Write(name, bytes);
    try {
      LoadData(dir_, "digits", 12, 10);
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
      for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
    }
    Write(name, before);
  }

  fs::path dir_;
};

TEST_F(NpyTest, ReadsImagesOfAnyShape) {
  const TrainTest data = LoadData(dir_, "cifar", 12, 10);
  EXPECT_EQ(data.train.channels, 2);
  EXPECT_EQ(data.train.rows, 2);
  EXPECT_EQ(data.train.cols, 3);
  EXPECT_EQ(data.train.image(1)[11], 23 * 9);
  EXPECT_THAT(data.train.labels, testing::ElementsAre(3, 1));
  EXPECT_EQ(data.test.features(), 12);
  EXPECT_EQ(data.test.labels[0], 2);
}

TEST_F(NpyTest, ReadsTargetsInsteadOfLabels) {
  fs::remove(dir_ / "train-labels.npy");
  fs::remove(dir_ / "test-labels.npy");
  const float train[] = {1.5f, -2, 0.25f, 4};
  const double test[] = {3, 1e-3};
  auto bytes = [](const auto& values) {
    return std::string(reinterpret_cast<const char*>(values), sizeof(values));
  };
  Write("train-targets.npy", Npy("<f4", "2, 2", bytes(train)));
  Write("test-targets.npy", Npy("<f8", "1, 2", bytes(test)));
  const TrainTest data = LoadData(dir_, "digits", 12, 2);
  EXPECT_FALSE(data.train.has_classes());
  EXPECT_EQ(data.train.size(), 2);
  EXPECT_THAT(data.train.targets, testing::ElementsAre(1.5f, -2.0f, 0.25f, 4.0f));
  EXPECT_THAT(data.test.targets, testing::ElementsAre(3.0f, 1e-3f));
  const StepData step = GatherStep(data.train, DefaultRecipe(), std::vector<uint32_t>{1, 0});
  EXPECT_THAT(step.targets, testing::ElementsAre(0.25f, 4.0f, 1.5f, -2.0f));
  EXPECT_TRUE(step.labels.empty());
  EXPECT_EQ(TargetsOf(step, 2), step.targets);
  const Digest digest = DatasetDigest(data.train);
  Dataset other = data.train;
  other.targets[3] = 5;
  EXPECT_NE(DatasetDigest(other), digest);

  const float nan[] = {1, 2, std::nanf(""), 4};
  ExpectRefused("train-targets.npy", Npy("<f4", "2, 2", bytes(nan)),
                {"train-targets.npy: a target of sample 1 is nan"});
  ExpectRefused("train-targets.npy", Npy("<f4", "4,", bytes(train)),
                {"4 targets for the 2 images"});
  ExpectRefused("train-targets.npy", Npy("<f4", "2, 2", bytes(train)),
                {"2 targets of a sample", "10 outputs"});
  Write("train-labels.npy", Npy("|u1", "2,", "ab"));
  ExpectRefused("test-labels.npy", "", {"train-labels.npy and train-targets.npy"});
}

TEST_F(NpyTest, TargetsNeedALossThatTakesThem) {
  fs::remove(dir_ / "train-labels.npy");
  const float values[] = {1, 2, 3};
  const std::string bytes(reinterpret_cast<const char*>(values), sizeof(values));
  Write("train-targets.npy", Npy("<f4", "2,", bytes.substr(0, 8)));
  Write("test-targets.npy", Npy("<f4", "1,", bytes.substr(0, 4)));
  const Recipe recipe = DefaultRecipe();
  TrainingGraph graph;
  graph.features = 12;
  graph.classes = 1;
  graph.tensors.resize(1);
  graph.input = 0;
  graph.loss_kind = Loss::kMeanSquare;
  EXPECT_EQ(LoadData(dir_, graph, recipe).train.outputs, 1);
  graph.loss_kind = Loss::kSoftmaxCrossEntropy;
  try {
    LoadData(dir_, graph, recipe);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("accepted: loss = \"mse\", or labels"));
  }
}

TEST(Targets, OfAClassAreOneAndZeros) {
  EXPECT_THAT(TargetsOf({{}, {2, 0}, {}}, 3), testing::ElementsAre(0, 0, 1, 1, 0, 0));
}

TEST_F(NpyTest, RefusesWhatItCannotTake) {
  const std::string pixels(24, 'x');
  ExpectRefused("train-images.npy", "PK\3\4 no array at all", {"not a .npy file"});
  ExpectRefused("train-images.npy", Npy("<f4", "2, 12", pixels), {"'<f4'", "|u1"});
  ExpectRefused("train-images.npy", Npy("|u1", "2, 12", pixels, 1, "True"), {"fortran_order"});
  ExpectRefused("train-images.npy", Npy("|u1", "24,", pixels), {"1 dimensions", "2 to 4"});
  ExpectRefused("train-images.npy", Npy("|u1", "2, x", pixels), {"not a list of integers"});
  ExpectRefused("train-images.npy", Npy("|u1", "2, -12", pixels), {"a dimension of -12"});
  ExpectRefused("train-images.npy", Npy("|u1", "9999999, 9999999, 9999999", pixels), {"bytes"});
  ExpectRefused("train-images.npy", Npy("|u1", "2, 13", pixels), {"truncated"});
  ExpectRefused("train-images.npy", Npy("|u1", "2, 11", pixels), {"longer"});
  ExpectRefused("train-images.npy", Npy("|u1", "3, 8", pixels).substr(0, 60), {"no whole header"});
  ExpectRefused("train-labels.npy", Npy("|u1", "3,", "abc"), {"3 labels for the 2 images"});
  ExpectRefused("train-labels.npy", Npy("<i4", "2,", std::string("\0\0\0\0\xff\xff\xff\xff", 8)),
                {"label 1 is not within 0 to 255"});
  ExpectRefused("test-labels.npy", Npy("|u1", "1,", "\x0b"), {});
}

TEST(DrawnColourDigits, AreTheSameBytesOnEveryMachine) {
  const Dataset data = DrawColourDigits(100, "colour digits/train");
  EXPECT_EQ(data.features(), 3072);
  std::string bytes(data.pixels.begin(), data.pixels.end());
  bytes.append(data.labels.begin(), data.labels.end());
  EXPECT_EQ(ToHex(Sha256(bytes)),
            "48fd91b68c52c7f3dc7edea23e9980fb9bce45423e654d34ffa4261b04430e53");
}

TEST(DrawnColourDigits, StandForCifarWithoutData) {
  const TrainTest data = LoadData(std::nullopt, "cifar", 3072, 10);
  EXPECT_EQ(data.train.size(), 8000);
  EXPECT_EQ(data.test.size(), 2000);
  EXPECT_THROW(LoadData(std::nullopt, "cifar", 784, 10), Error);
}

TEST(Dataset, NormalisesPixels) {
  Dataset data;
  data.rows = data.cols = 1;
  data.pixels = {0, 255};
  data.labels = {0, 1};
  Recipe recipe = DefaultRecipe();
  StepData step = GatherStep(data, recipe, std::vector<uint32_t>{1, 0, 1});
  EXPECT_EQ(step.inputs[0], static_cast<float>((1.0 - 0.1307) / 0.3081));
  EXPECT_EQ(step.inputs[1], static_cast<float>((0.0 - 0.1307) / 0.3081));
  EXPECT_EQ(step.labels, (std::vector<uint8_t>{1, 0, 1}));
}

}  // namespace
}  // namespace vaultrain
