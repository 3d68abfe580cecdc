// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The error of the softmax twin against MPFR, on the logits as they are (logits beyond +-2^11
// saturate and are not drawn). With scale 1 a gradient is p, or p - 1 for the label.

#include <gtest/gtest.h>
#include <mpfr.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "golden/softmax.h"
#include "unit/softmax_cases.h"

namespace vaultrain {
namespace {

constexpr uint32_t kOne = 0x3F800000;
const double kGradientBound = std::ldexp(1.0, -24);
// Of the fixed-point loss; rounding to fp32 adds half a unit in the last place of the loss.
const double kLossBound = std::ldexp(1.0, -23);

// Probabilities and loss of a row in 120 bits, rounded to double.
struct Reference {
  std::vector<double> p;
  double loss;
};

Reference Evaluate(const std::vector<uint32_t>& logits, size_t label) {
  Reference reference;
  mpfr_t sum, e;
  mpfr_init2(sum, 120);
  mpfr_init2(e, 120);
  float max = -INFINITY;
  for (uint32_t x : logits) max = std::max(max, std::bit_cast<float>(x));
  auto set_exp = [&](uint32_t x) {
    mpfr_set_flt(e, std::bit_cast<float>(x), MPFR_RNDN);
    mpfr_sub_d(e, e, static_cast<double>(max), MPFR_RNDN);
    mpfr_exp(e, e, MPFR_RNDN);
  };
  mpfr_set_zero(sum, 1);
  for (uint32_t x : logits) {
    set_exp(x);
    mpfr_add(sum, sum, e, MPFR_RNDN);
  }
  for (uint32_t x : logits) {
    set_exp(x);
    mpfr_div(e, e, sum, MPFR_RNDN);
    reference.p.push_back(mpfr_get_d(e, MPFR_RNDN));
  }
  mpfr_log(sum, sum, MPFR_RNDN);
  mpfr_add_d(sum, sum, static_cast<double>(max), MPFR_RNDN);
  mpfr_sub_d(sum, sum, static_cast<double>(std::bit_cast<float>(logits[label])), MPFR_RNDN);
  reference.loss = mpfr_get_d(sum, MPFR_RNDN);
  mpfr_clear(sum);
  mpfr_clear(e);
  return reference;
}

// Largest errors over rows drawn by `draw`.
template <typename Draw>
void ExpectWithinBounds(int rows, size_t max_classes, Draw draw) {
  std::mt19937 random(11);
  double worst_gradient = 0;
  double worst_loss = 0;
  for (int row = 0; row < rows; ++row) {
    const std::vector<uint32_t> logits = draw(random);
    const size_t label = random() % logits.size();
    const Reference reference = Evaluate(logits, label);
    const golden::SoftmaxRowResult result =
        golden::SoftmaxRow(logits, static_cast<uint32_t>(label), kOne, max_classes);
    for (size_t j = 0; j < logits.size(); ++j) {
      const double expected = reference.p[j] - (j == label ? 1 : 0);
      const double actual = static_cast<double>(std::bit_cast<float>(result.gradient[j]));
      const double error = std::abs(actual - expected);
      worst_gradient = std::max(worst_gradient, error);
      ASSERT_LE(error, kGradientBound) << "row " << row << " class " << j << " seed 11";
    }
    const double loss = static_cast<double>(std::bit_cast<float>(result.loss));
    const double error = std::abs(loss - reference.loss) - std::ldexp(reference.loss, -24);
    worst_loss = std::max(worst_loss, error);
    ASSERT_LE(error, kLossBound) << "row " << row << " loss " << loss << " seed 11";
  }
  ::testing::Test::RecordProperty("worst_gradient_error_log2",
                                  std::to_string(std::log2(worst_gradient)));
  ::testing::Test::RecordProperty("worst_loss_error_log2", std::to_string(std::log2(worst_loss)));
}

TEST(SoftmaxOracle, ErrorsStayWithinBoundsOnRowsOfEverySpread) {
  ExpectWithinBounds(20000, 256, [](std::mt19937& random) {
    return DrawLogits(random, 1 + random() % (random() % 8 == 0 ? 256 : 16));
  });
}

TEST(SoftmaxOracle, ErrorsStayWithinBoundsWhereManySmallExponentialsAddUp) {
  ExpectWithinBounds(2000, 256, [](std::mt19937& random) {
    std::vector<uint32_t> row(256);
    const float depth = static_cast<float>(random() % 2048) / 64.0f;
    for (uint32_t& x : row) {
      x = std::bit_cast<uint32_t>(-depth - static_cast<float>(random() % 1024) / 1024.0f);
    }
    row[random() % row.size()] = 0;
    return row;
  });
}

TEST(SoftmaxOracle, ErrorsStayWithinBoundsForTwoClassesAtEveryDistance) {
  uint32_t step = 0;
  ExpectWithinBounds(60000, 256, [&](std::mt19937& random) {
    const float distance = static_cast<float>(step++) / 1800.0f + random() % 256 * 0x1p-20f;
    return std::vector<uint32_t>{std::bit_cast<uint32_t>(distance), 0};
  });
}

TEST(SoftmaxOracle, FixedLogitsAreNearest) {
  std::mt19937 random(12);
  for (int i = 0; i < 200000; ++i) {
    const uint32_t x = (random() & 0x807FFFFF) | (90 + random() % 48) << 23;
    const double exact = std::ldexp(static_cast<double>(std::bit_cast<float>(x)), 24);
    ASSERT_EQ(static_cast<double>(golden::SoftmaxFixedLogit(x)), std::round(exact))
        << std::hex << x;
  }
  EXPECT_EQ(golden::SoftmaxFixedLogit(0x7F800000), (int64_t{1} << 35) - 1);
  EXPECT_EQ(golden::SoftmaxFixedLogit(0xFF800000), -(int64_t{1} << 35));
  EXPECT_EQ(golden::SoftmaxFixedLogit(0x007FFFFF), 0);
}

TEST(SoftmaxOracle, GradientsOfARowAddUpToZero) {
  std::mt19937 random(13);
  for (int i = 0; i < 2000; ++i) {
    const std::vector<uint32_t> logits = DrawLogits(random, 2 + random() % 64);
    const golden::SoftmaxRowResult result = golden::SoftmaxRow(logits, 0, kOne, 256);
    double sum = 0;
    for (uint32_t g : result.gradient) sum += static_cast<double>(std::bit_cast<float>(g));
    ASSERT_NEAR(sum, 0, static_cast<double>(logits.size()) * kGradientBound);
  }
}

}  // namespace
}  // namespace vaultrain
