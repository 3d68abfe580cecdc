// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The training kernels of vaultrain verify on shipped, odd and drawn variants.

#include "kernels/kernels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include "draw_variant.h"
#include "golden/operand.h"
#include "vaultrain/error.h"
#include "vaultrain/tensors.h"

namespace vaultrain {
namespace {

struct OddVariant {
  const char* name;
  const char* base;
  std::vector<std::string> overrides;
};

bool IsFull() { return std::getenv("VAULTRAIN_FULL") != nullptr; }

kernels::KernelSetup SetupOf(const Variant& variant, uint64_t seed) {
  // Models live under the build folder, so that a run needs nothing from outside.
  setenv("XDG_CACHE_HOME", VT_CACHE, 1);
  kernels::KernelSetup setup{variant, LoadVaultDram(variant, Resources()), Resources(), {}, seed};
  if (IsFull()) {
    setup.rounds = 4;
    setup.garbage = 1000;
  }
  return setup;
}

void ExpectPasses(const kernels::KernelCase& one, const kernels::KernelSetup& setup) {
  const kernels::KernelResult result = kernels::RunCase(one, setup);
  EXPECT_TRUE(result.passed) << one.name << ", seed " << setup.seed << ": " << result.message;
  EXPECT_GT(result.cycles, 0u) << one.name;
}

class Kernels : public testing::TestWithParam<OddVariant> {};

TEST_P(Kernels, LeaveTheGoldenModelsBits) {
  const Variant variant =
      LoadVariant(GetParam().base, GetParam().overrides, {Resources().variants});
  const kernels::KernelSetup setup = SetupOf(variant, 3);
  for (const kernels::KernelCase& one : kernels::CasesOf(variant)) ExpectPasses(one, setup);
}

INSTANTIATE_TEST_SUITE_P(
    Variants, Kernels,
    testing::Values(OddVariant{"nano", "nano", {}}, OddVariant{"nano_fp32", "nano-fp32", {}},
                    OddVariant{"nano_fx16", "nano-fx16", {}},
                    OddVariant{"two_rows_of_two",
                               "nano",
                               {"array.rows=2", "array.cols=2", "array.lanes=8",
                                "scratchpad.kib=64", "array.align_bits=26", "array.acc_depth=32"}},
                    OddVariant{"sixteen_columns",
                               "nano",
                               {"array.rows=2", "array.cols=16", "scratchpad.banks=2"}}),
    [](const testing::TestParamInfo<OddVariant>& one) { return std::string(one.param.name); });

// Host reads at random, of any vault, change the timing of memory and mesh and not one bit.
TEST(Nodes, TrainTogetherInEveryPartition) {
  const Variant variant = LoadVariant("quad", {}, {Resources().variants});
  const kernels::KernelSetup setup = SetupOf(variant, 3);
  int cases = 0;
  for (const kernels::KernelCase& one : kernels::CasesOf(variant)) {
    if (!one.name.starts_with("train_step")) continue;
    ExpectPasses(one, setup);
    ++cases;
  }
  EXPECT_EQ(cases, 2);
}

// ---- gradients of fx32

bool IsOfHalves(const kernels::KernelCase& one) {
  return one.name.find("halves") != std::string::npos;
}

TEST(Halves, LeaveTheGoldenModelsBits) {
  const Variant variant = LoadVariant("nano-fx32", {}, {Resources().variants});
  const kernels::KernelSetup setup = SetupOf(variant, 3);
  int cases = 0;
  for (const kernels::KernelCase& one : kernels::CasesOf(variant)) {
    // The softmax's gradients are fx32 as well.
    if (!IsOfHalves(one) && !one.name.starts_with("loss") && one.name != "random_programs")
      continue;
    ExpectPasses(one, setup);
    cases += IsOfHalves(one);
  }
  EXPECT_EQ(cases, 8);
}

TEST(Halves, AreKernelsOfVariantsThatHaveThem) {
  const Variant variant = LoadVariant("nano-fx16", {}, {Resources().variants});
  for (const kernels::KernelCase& one : kernels::CasesOf(variant)) {
    EXPECT_FALSE(IsOfHalves(one)) << one.name;
  }
}

// What the kernels ask for is the product: all low halves count, each with its own operands.
TEST(Halves, GiveTheProductOfFx32) {
  const Variant variant = LoadVariant("nano-fx32", {}, {Resources().variants});
  const kernels::KernelSetup setup = SetupOf(variant, 3);
  constexpr int64_t kM = 9, kN = 11, kK = 37;  // ragged
  for (unsigned kind = 0; kind < 16; ++kind) {
    SCOPED_TRACE(fmt::format("kind {}", kind));
    Random random(setup.seed, fmt::format("product/{}", kind));
    kernels::Builder b(variant, setup.dram, random);
    kernels::Gemm g;
    g.m = kM;
    g.n = kN;
    g.k = kK;
    g.a_halves = (kind & 1) != 0;
    g.b_halves = !g.a_halves;
    g.a_transposed = (kind & 2) != 0;
    g.b_transposed = (kind & 4) != 0;
    if ((kind & 8) != 0) {
      g.k_split = 1;
      g.reverse = 7;
    }
    // Values of the products' operands, in their order.
    auto add = [&](const char* name, bool halves, bool transposed, int64_t rows) {
      const ElementFormat format = halves ? ElementFormat::kFp32 : b.Operand();
      const int tensor = b.AddTensor(name, format, transposed ? kK : rows, transposed ? rows : kK);
      std::vector<double> values(static_cast<size_t>(rows * kK));
      b.Fill(tensor, [&](int64_t row, int64_t col) -> uint32_t {
        double& value = values[static_cast<size_t>(transposed ? col * kK + row : row * kK + col)];
        const double normal = random.Normal();
        if (halves) {
          const auto bits = std::bit_cast<uint32_t>(static_cast<float>(normal / 64));
          value = std::ldexp(golden::ToFx32(variant.fraction_bits, bits).Units(),
                             -variant.fraction_bits - 16);
          return bits;
        }
        const auto units = static_cast<int16_t>(std::ldexp(normal, variant.fraction_bits));
        value = std::ldexp(units, -variant.fraction_bits);
        return static_cast<uint16_t>(units);
      });
      return std::pair(tensor, values);
    };
    const auto [a, a_values] = add("a", g.a_halves, g.a_transposed, kM);
    const auto [w, w_values] = add("b", g.b_halves, g.b_transposed, kN);
    g.a = a;
    g.b = w;
    g.out = b.AddTensor("out", ElementFormat::kFp32, kM, kN);
    const ProgramTensor out = b.Tensor(g.out);
    b.Multiply(g);
    const kernels::KernelProgram p = b.Finish("product");
    const std::unique_ptr<Device> golden = MakeGoldenDevice(variant, setup.dram);
    golden->Load(p.program.image);
    ASSERT_EQ(golden->Run(p.program.Stream("train")).error, isa::ErrorCode::kNone);
    std::vector<uint8_t> bytes(TensorBytes(out));
    golden->Read(out.address, bytes);
    // A word of low halves is off by less than a unit of a sum, the result by half its last bit.
    const double words = std::ceil(static_cast<double>(kK) / variant.WordElements());
    const double unit = std::ldexp(1.0, -2 * variant.fraction_bits - kGuardBits);
    for (int64_t m = 0; m < kM; ++m) {
      for (int64_t n = 0; n < kN; ++n) {
        double exact = 0;
        for (int64_t k = 0; k < kK; ++k) {
          exact +=
              a_values[static_cast<size_t>(m * kK + k)] * w_values[static_cast<size_t>(n * kK + k)];
        }
        float got = 0;
        std::memcpy(&got, bytes.data() + m * out.pitch_bytes + n * 4, sizeof(got));
        EXPECT_NEAR(got, exact,
                    words * variant.array.rows * unit + std::ldexp(std::abs(exact), -24) + unit)
            << m << ", " << n;
      }
    }
  }
}

TEST(DrawnVariants, PassTwoKernels) {
  std::mt19937 random(11);
  for (int drawn = 0; drawn < (IsFull() ? 6 : 1);) {
    const std::vector<std::string> overrides = DrawOverrides(random);
    SCOPED_TRACE(fmt::format("--set {}", fmt::join(overrides, " --set ")));
    Variant variant;
    VaultDram dram;
    try {
      variant = LoadVariant("nano", overrides, {Resources().variants});
      dram = LoadVaultDram(variant, Resources());
    } catch (const Error&) {
      continue;  // breaks a rule
    }
    ++drawn;
    const kernels::KernelSetup setup = SetupOf(variant, 5);
    for (const kernels::KernelCase& one : kernels::CasesOf(variant)) {
      if (one.name == "gemm_up" || one.name == "loss/stalls") ExpectPasses(one, setup);
    }
  }
}

}  // namespace
}  // namespace vaultrain
