// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The commands that compile, run, train and verify, through the built program: what they refuse,
// and how.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "onnx_builder.h"
#include "vaultrain/networks.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class CliTrain : public testing::Test {
 protected:
  CliTrain() { setenv("XDG_CACHE_HOME", VT_CACHE, 1); }

  ProcessResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), VT_PROGRAM);
    return RunProcess(arguments, work_.path());
  }

  size_t Entries() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(work_.path()), fs::directory_iterator()));
  }

  // Exactly one line on stderr, and nothing new in the working folder.
  void ExpectRefused(const std::vector<std::string>& arguments, int status,
                     const std::string& message) {
    SCOPED_TRACE(ShellLine(arguments));
    const size_t before = Entries();
    const ProcessResult result = Run(arguments);
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_THAT(result.err, StartsWith("vaultrain: "));
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(Entries(), before) << "something half-written stayed behind";
  }

  std::string Path(const char* name) { return (work_.path() / name).string(); }

  ScratchFolder work_;
};

TEST_F(CliTrain, NetworksThatCannotBeUsedAreRefused) {
  WriteFile(Path("text.onnx"), "this is no network\n");
  OnnxBuilder odd;
  odd.Input("x", {0, 6}).Counting("w", {6, 3}).Node("MatMul", "first", {"x", "w"}, "z");
  odd.Node("Sin", "wave", {"z"}, "y").Output("y", {0, 3});
  WriteFile(Path("odd.onnx"), odd.Bytes());
  ExpectRefused({"train", "nano", "mpl", "--engine", "golden"}, 2, "mlp");
  ExpectRefused({"train", "nano", "absent.onnx", "--engine", "golden"}, 2, "absent.onnx");
  ExpectRefused({"train", "nano", "text.onnx", "--engine", "golden"}, 2, "text.onnx");
  ExpectRefused({"compile", "nano", "odd.onnx", "--out", "p.vtp"}, 2, "wave");
  ExpectRefused({"train", "nano", "odd.onnx", "--engine", "golden"}, 2, "Sin");
}

TEST_F(CliTrain, NetworksThatDoNotFitAreRefused) {
  WriteFile(Path("wide.onnx"), MakeFullyConnected("wide", {30000, 8, 4}));
  WriteFile(Path("large.onnx"), MakeFullyConnected("large", {1500, 4000, 10}));
  ExpectRefused({"compile", "nano", "wide.onnx", "--set", "scratchpad.kib=32", "--out", "p.vtp"}, 2,
                "scratchpad");
  ExpectRefused({"compile", "nano", "large.onnx", "--set", "dram.mib=16", "--out", "p.vtp"}, 2,
                "dram.mib");
}

TEST_F(CliTrain, DataThatCannotBeUsedIsRefused) {
  const std::vector<std::string> train = {"train",  "nano",    "mlp", "--engine",
                                          "golden", "--steps", "1",   "--data"};
  auto with = [&train](const std::string& folder) {
    std::vector<std::string> arguments = train;
    arguments.push_back(folder);
    return arguments;
  };
  ExpectRefused(with("absent"), 2, "absent");
  fs::create_directory(work_.path() / "empty");
  ExpectRefused(with("empty"), 2, "missing");
  fs::create_directory(work_.path() / "bad");
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                           "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    WriteFile(work_.path() / "bad" / name, "this is no IDX file");
  }
  ExpectRefused(with("bad"), 2, "not an IDX file");
  // One image of 28 x 28 is announced, and breaks off.
  const std::string head("\0\0\x08\x03\0\0\0\x01\0\0\0\x1c\0\0\0\x1c", 16);
  WriteFile(work_.path() / "bad/train-images-idx3-ubyte", head + "short");
  WriteFile(work_.path() / "bad/train-labels-idx1-ubyte",
            std::string("\0\0\x08\x01\0\0\0\x01\x03", 9));
  ExpectRefused(with("bad"), 2, "truncated");
  // Images of 2 x 2 for a network of 28 x 28.
  fs::create_directory(work_.path() / "small");
  for (const char* part : {"train", "t10k"}) {
    WriteFile(work_.path() / "small" / fmt::format("{}-images-idx3-ubyte", part),
              std::string("\0\0\x08\x03\0\0\0\x01\0\0\0\x02\0\0\0\x02", 16) + "abcd");
    WriteFile(work_.path() / "small" / fmt::format("{}-labels-idx1-ubyte", part),
              std::string("\0\0\x08\x01\0\0\0\x01\x03", 9));
  }
  ExpectRefused(with("small"), 2, "784");
}

TEST_F(CliTrain, ProgramFilesThatCannotBeUsedAreRefused) {
  ASSERT_EQ(Run({"compile", "nano", "tiny", "--out", "p.vtp"}).status, 0);
  std::string bytes = ReadFile(Path("p.vtp"));
  WriteFile(Path("short.vtp"), bytes.substr(0, bytes.size() / 2));
  bytes[bytes.size() / 2] ^= 1;
  WriteFile(Path("flipped.vtp"), bytes);
  WriteFile(Path("text.vtp"), "no program");
  for (const char* file : {"short.vtp", "flipped.vtp", "text.vtp", "absent.vtp"}) {
    ExpectRefused({"run", "nano", file, "--engine", "golden"}, 2, file);
  }
  ExpectRefused({"run", "nano-fp32", "p.vtp", "--engine", "golden"}, 2, "variant");
}

TEST_F(CliTrain, PlacesThatCannotBeWrittenAreRefused) {
  ExpectRefused({"compile", "nano", "tiny", "--out", "no/such/p.vtp"}, 2, "no/such/p.vtp");
  ExpectRefused({"verify", "nano", "--filter", "gemm_ff", "--junit", "no/such/v.xml"}, 2,
                "no/such/v.xml");
  ExpectRefused({"verify", "nano", "--filter", "gemm_ff", "--json", "no/such/v.json"}, 2,
                "no/such/v.json");
}

TEST_F(CliTrain, TraceNeedsTheRtlEngine) {
  ExpectRefused({"train", "nano", "tiny", "--engine", "golden", "--trace", "t.fst"}, 2, "--trace");
}

TEST_F(CliTrain, AMissingVerilatorEndsWithStatus3) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", work_.path().c_str(), 1);
  // A cache of its own: nothing may be found there.
  ExpectRefused({"train", "nano", "tiny", "--steps", "1"}, 3, "verilator");
  ExpectRefused({"verify", "nano", "--filter", "gemm_ff"}, 3, "verilator");
  ExpectRefused({"verify", "nano", "--filter", "lint/yosys"}, 3, "yosys");
  setenv("PATH", path.c_str(), 1);
}

TEST_F(CliTrain, VerifyRefusesWhatItCannotDo) {
  ExpectRefused({"verify", "nano", "--set", "array.cols=3"}, 2, "breaks rule");
  ExpectRefused({"verify", "nano", "--filter", "nothing"}, 2, "accepted: part of one of");
  ExpectRefused({"verify", "nano", "--level", "slow"}, 2, "--level");
}

TEST_F(CliTrain, VerifyWritesRowsAndJUnit) {
  const ProcessResult result = Run({"verify", "nano", "--filter", "gemm_ff", "--seed", "4",
                                    "--junit", "v.xml", "--json", "v.json"});
  ASSERT_EQ(result.status, 0) << result.out << result.err;
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Path("v.json")));
  EXPECT_EQ(json["schema"], "vaultrain.verify/1");
  ASSERT_EQ(json["rows"].size(), 2u);
  EXPECT_EQ(json["rows"][0]["case"], "gemm_ff");
  EXPECT_EQ(json["rows"][1]["case"], "gemm_ff/stalls");
  EXPECT_EQ(json["rows"][0]["passed"], true);
  EXPECT_GT(json["rows"][0]["cycles"], 0);
  EXPECT_GT(json["rows"][0]["utilisation"], 0.0);
  EXPECT_EQ(json["rows"][1]["repeat"], "vaultrain verify nano --filter gemm_ff/stalls --seed 4");
  // Another reader takes it for XML.
  const ProcessResult xml =
      RunProcess({"python3", "-c",
                  "import sys, xml.etree.ElementTree as e; r = e.parse(sys.argv[1]).getroot(); "
                  "print(r.tag, r.get('tests'), r.get('failures'), len(r))",
                  Path("v.xml")});
  EXPECT_EQ(xml.out, "testsuite 2 0 2\n") << xml.err;
}

}  // namespace
}  // namespace vaultrain
