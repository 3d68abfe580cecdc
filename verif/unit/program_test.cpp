// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/program.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "vaultrain/error.h"

namespace vaultrain {

bool operator==(const NodeProgram& a, const NodeProgram& b) {
  return a.address == b.address && a.descriptors == b.descriptors;
}
bool operator==(const ProgramTensor& a, const ProgramTensor& b) {
  return a.name == b.name && a.tensor == b.tensor && a.role == b.role && a.format == b.format &&
         a.address == b.address && a.row == b.row && a.col == b.col && a.rows == b.rows &&
         a.cols == b.cols && a.pitch_bytes == b.pitch_bytes;
}
bool operator==(const ProgramStream& a, const ProgramStream& b) {
  return a.name == b.name && a.nodes == b.nodes;
}
bool operator==(const ProgramJob& a, const ProgramJob& b) {
  return a.tag == b.tag && a.layer == b.layer && a.phase == b.phase && a.data_flow == b.data_flow &&
         a.macs == b.macs && a.dram_bytes == b.dram_bytes && a.noc_bytes == b.noc_bytes;
}
bool operator==(const ProgramSegment& a, const ProgramSegment& b) {
  return a.address == b.address && a.bytes == b.bytes;
}

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;
using nlohmann::json;

constexpr size_t kHeaderBytes = 64;

Program Example() {
  Program program;
  program.variant_digest = Sha256("nano");
  program.variant = "nano";
  program.network = "mlp";
  program.batch = 32;
  program.classes = 10;
  program.memory_bytes = 1 << 20;
  program.macs_needed = uint64_t{1} << 40;
  program.bound_bytes = 123456789;
  program.tensors = {
      {"x[0:32,0:784]@1", "x", TensorRole::kInput, ElementFormat::kBf16, 0, 32, 784, 1600, 32, 64},
      {"y", "y", TensorRole::kLabel, ElementFormat::kU16, 65536, 32, 1, 64},
      {"loss", "loss", TensorRole::kLoss, ElementFormat::kFp32, 70000, 32, 1, 4},
      {"g", "g", TensorRole::kGradient, ElementFormat::kFx16, 80000, 32, 1, 4}};
  program.tensors.back().fraction_bits = 12;
  isa::Descriptor load(isa::Opcode::kLoad);
  load.Set(isa::FieldId::kDramAddr, 0x123456789);
  program.streams = {
      {"train", {{4096, {load, isa::Descriptor(isa::Opcode::kEnd)}}, {1 << 20, {load}}}},
      {"infer", {{8192, {}}}}};
  program.jobs = {{63, "fc1", "FF", "W stationary, batch streamed", 25690112, 777, 99}};
  program.image = {{128, {1, 2, 3, 0, 255}}, {uint64_t{1} << 39, {}}};
  program.recipe = {{"learning_rate", 0.1}, {"loss", "cross_entropy"}, {"seed", 1}};
  return program;
}

class ProgramFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::temp_directory_path() / ("vt_program_" + std::to_string(getpid()) + "_" +
                                     testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
    path_ = (folder_ / "P.vtp").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  Bytes Content() const {
    std::ifstream file(path_, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
  }
  void Put(const Bytes& bytes) const {
    fs::remove(path_);  // some file systems wait for the disk where a file is truncated
    std::ofstream file(path_, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  // A file with a valid header around `body`.
  void PutBody(const json& body) const {
    const Bytes cbor = json::to_cbor(body);
    Bytes bytes = Content();
    bytes.resize(kHeaderBytes);
    const auto crc =
        static_cast<uint32_t>(crc32(0, cbor.data(), static_cast<unsigned>(cbor.size())));
    for (int i = 0; i < 4; ++i) bytes[12 + i] = static_cast<uint8_t>(crc >> (8 * i));
    for (int i = 0; i < 8; ++i) bytes[16 + i] = static_cast<uint8_t>(cbor.size() >> (8 * i));
    bytes.insert(bytes.end(), cbor.begin(), cbor.end());
    Put(bytes);
  }

  // The refusal's message, which must name the file; empty if the file is read.
  std::string Refusal(const Digest* expected = nullptr) const {
    try {
      ReadProgram(path_, expected);
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
      EXPECT_NE(std::string(error.what()).find(path_), std::string::npos) << error.what();
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return error.what();
    }
    return "";
  }
  void ExpectRefusal(const std::string& words, const Digest* expected = nullptr) const {
    const std::string message = Refusal(expected);
    EXPECT_NE(message.find(words), std::string::npos) << "'" << message << "' lacks " << words;
  }

  fs::path folder_;
  std::string path_;
};

TEST_F(ProgramFile, ComesBackAsItWasWritten) {
  const Program written = Example();
  WriteProgram(path_, written);
  const Program read = ReadProgram(path_, &written.variant_digest);
  EXPECT_EQ(read.variant_digest, written.variant_digest);
  EXPECT_EQ(read.variant, written.variant);
  EXPECT_EQ(read.network, written.network);
  EXPECT_EQ(read.batch, written.batch);
  EXPECT_EQ(read.classes, written.classes);
  EXPECT_EQ(read.memory_bytes, written.memory_bytes);
  EXPECT_EQ(read.macs_needed, written.macs_needed);
  EXPECT_EQ(read.bound_bytes, written.bound_bytes);
  EXPECT_EQ(read.tensors, written.tensors);
  EXPECT_EQ(read.streams, written.streams);
  EXPECT_EQ(read.jobs, written.jobs);
  EXPECT_EQ(read.image, written.image);
  EXPECT_EQ(read.recipe, written.recipe);
}

TEST_F(ProgramFile, WritingTwiceGivesTheSameBytesAndOneFile) {
  WriteProgram(path_, Example());
  const Bytes first = Content();
  WriteProgram(path_, Example());
  EXPECT_EQ(Content(), first);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(ProgramFile, HeaderIsTheDocumentedOne) {
  WriteProgram(path_, Example());
  const Bytes bytes = Content();
  ASSERT_GT(bytes.size(), kHeaderBytes);
  EXPECT_EQ(std::string(bytes.begin(), bytes.begin() + 8), "VTPROG\r\n");
  EXPECT_EQ(bytes[8], 4);
  EXPECT_EQ(bytes[16] | bytes[17] << 8, static_cast<int>(bytes.size() - kHeaderBytes));
  const Digest digest = Example().variant_digest;
  EXPECT_TRUE(std::equal(digest.begin(), digest.end(), bytes.begin() + 24));
  EXPECT_EQ(Bytes(bytes.begin() + 56, bytes.begin() + 64), Bytes(8));
}

TEST_F(ProgramFile, TruncatedAnywhereIsRefused) {
  WriteProgram(path_, Example());
  const Bytes bytes = Content();
  for (size_t size = 0; size < bytes.size(); ++size) {
    Put(Bytes(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)));
    const std::string message = Refusal();
    ASSERT_NE(message, "") << size << " bytes";
    if (size >= 8) {
      ASSERT_NE(message.find("truncated"), std::string::npos) << message;
    }
  }
  Bytes longer = bytes;
  longer.push_back(0);
  Put(longer);
  ExpectRefusal("too long");
}

TEST_F(ProgramFile, AFlippedBitAnywhereIsRefused) {
  WriteProgram(path_, Example());
  const Bytes bytes = Content();
  for (size_t i = 0; i < bytes.size(); ++i) {
    Bytes flipped = bytes;
    flipped[i] = static_cast<uint8_t>(flipped[i] ^ 1 << (i % 8));
    Put(flipped);
    ASSERT_NE(Refusal(), "") << "byte " << i;
  }
}

TEST_F(ProgramFile, RefusalNamesTheRule) {
  WriteProgram(path_, Example());
  const Bytes bytes = Content();
  auto with = [&](size_t at, uint8_t value) {
    Bytes changed = bytes;
    changed[at] = value;
    Put(changed);
  };
  with(0, 'X');
  ExpectRefusal("not a program file");
  with(8, 5);
  ExpectRefusal("version 5; this release reads version 4");
  with(bytes.size() - 1, static_cast<uint8_t>(bytes.back() + 1));
  ExpectRefusal("CRC-32");
  with(60, 1);
  ExpectRefusal("must be zero");
  with(30, static_cast<uint8_t>(bytes[30] + 1));
  ExpectRefusal("different variant digests");
  Put(bytes);
  const Digest other = Sha256("micro");
  ExpectRefusal(ToHex(other), &other);
  fs::remove(path_);
  ExpectRefusal("cannot be read");
  fs::create_directory(path_);
  ExpectRefusal("cannot be read");
}

TEST_F(ProgramFile, ABodyOfAnotherShapeIsRefused) {
  WriteProgram(path_, Example());
  const Bytes bytes = Content();
  const json body = json::from_cbor(bytes.begin() + kHeaderBytes, bytes.end());
  PutBody(body);
  EXPECT_EQ(Refusal(), "");
  auto expect = [&](const std::string& words, const std::function<void(json&)>& change) {
    json changed = body;
    change(changed);
    PutBody(changed);
    ExpectRefusal(words);
  };
  expect("not a map", [](json& j) { j = json::array(); });
  expect("lacks 'recipe'", [](json& j) { j.erase("recipe"); });
  expect("unknown field", [](json& j) { j["more"] = 1; });
  expect("'batch' in the program is not an integer", [](json& j) { j["batch"] = "32"; });
  expect("in range", [](json& j) { j["batch"] = -1; });
  expect("in range", [](json& j) { j["batch"] = uint64_t{1} << 31; });
  expect("not text", [](json& j) { j["network"] = 1; });
  expect("not a list", [](json& j) { j["tensors"] = json::object(); });
  expect("32 bytes", [](json& j) { j["variant_digest"] = json::binary({1, 2}); });
  expect("'role' in tensor 0", [](json& j) { j["tensors"][0]["role"] = "bias"; });
  expect("'format' in tensor 1", [](json& j) { j["tensors"][1]["format"] = "fp8"; });
  expect("64 bytes each",
         [](json& j) { j["streams"][0]["nodes"][0]["descriptors"] = json::binary(Bytes(65)); });
  expect("not bytes", [](json& j) { j["image"][0]["bytes"] = "abc"; });
  expect("below 64", [](json& j) { j["jobs"][0]["tag"] = 64; });
  expect("job 0 is not a map", [](json& j) { j["jobs"][0] = 3; });
}

TEST_F(ProgramFile, AFailedWriteLeavesNothingBehind) {
  fs::create_directories(path_ + "/occupied");  // a folder cannot be replaced by a file
  EXPECT_THROW(WriteProgram(path_, Example()), Error);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
  EXPECT_THROW(WriteProgram((folder_ / "absent" / "P.vtp").string(), Example()), Error);
}

TEST(Program, FindsByName) {
  const Program program = Example();
  EXPECT_EQ(program.Tensor("y").address, 65536u);
  EXPECT_EQ(program.Stream("infer").nodes[0].address, 8192u);
  EXPECT_THROW(program.Tensor("z"), std::out_of_range);
  EXPECT_THROW(program.Stream("z"), std::out_of_range);
}

TEST(Program, KnowsTheBytesOfAnElement) {
  EXPECT_EQ(BytesOf(ElementFormat::kBf16), 2);
  EXPECT_EQ(BytesOf(ElementFormat::kFp32), 4);
  EXPECT_EQ(BytesOf(ElementFormat::kU16), 2);
  EXPECT_EQ(BytesOf(ElementFormat::kFx16), 2);
  EXPECT_EQ(ElementName(ElementOf(NumberFormat::kFx16)), "fx16");
}

}  // namespace
}  // namespace vaultrain
