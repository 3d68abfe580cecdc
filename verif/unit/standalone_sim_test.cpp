// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A generated sim/ builds and runs with Verilator, CMake and a compiler alone.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_prefix.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

using testing::HasSubstr;

ProcessResult RunIn(const std::filesystem::path& folder, const std::vector<std::string>& argv) {
  return RunProcess(argv, folder);
}

TEST(StandaloneSim, BuildsRunsAndFindsADifference) {
  ScratchFolder work;
  const std::filesystem::path out = work.path() / "nano";
  ProcessResult made = RunIn("/", {VT_PROGRAM, "generate", "nano", "--out", out.string()});
  ASSERT_EQ(made.status, 0) << made.err;
  const std::filesystem::path sim = out / "sim";
  ProcessResult configured = RunIn(sim, {"cmake", "-S", ".", "-B", "build"});
  ASSERT_EQ(configured.status, 0) << configured.out << configured.err;
  ProcessResult built = RunIn(sim, {"cmake", "--build", "build", "-j2"});
  ASSERT_EQ(built.status, 0) << built.out << built.err;

  ProcessResult run = RunIn(sim, {"build/sim", "."});
  EXPECT_EQ(run.status, 0) << run.out << run.err;
  EXPECT_THAT(run.out, HasSubstr("PASS: "));

  // One bit of the first weight.
  std::string expected = ReadFile(sim / "expected.bin");
  expected[2] ^= 1;
  WriteFile(sim / "expected.bin", expected);
  run = RunIn(sim, {"build/sim", "."});
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.out, HasSubstr("FAIL: fc1.W[0, 0]: rtl "));

  std::filesystem::remove(sim / "program.txt");
  run = RunIn(sim, {"build/sim", "."});
  EXPECT_EQ(run.status, 2);
  EXPECT_THAT(run.err, HasSubstr("program.txt"));
}

}  // namespace
}  // namespace vaultrain
