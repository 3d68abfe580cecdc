// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The programs of the lane library on the golden lanes, against the same in double.

#include "vaultrain/lane_library.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>
#include <random>
#include <vector>

#include "golden/fp32.h"
#include "unit/lane_bench.h"

namespace vaultrain::lanes {
namespace {

class Lanes : public LaneBench, public testing::TestWithParam<int> {
 protected:
  int OperandBytes() const { return GetParam(); }
  bool Narrow() const { return OperandBytes() == 2; }
  // Largest relative error of a value that is rounded to an operand.
  double Rounding() const { return std::ldexp(1.0, Narrow() ? -8 : -23); }

  void Run(const Program& program, const Job& job) {
    RunWith(program, job, {Narrow() ? NumberFormat::kBf16 : NumberFormat::kFp32});
  }
  void RunRows(const Program& program, int64_t groups, std::vector<Row> rows) {
    for (const Job& job : RowJobs(groups, rows, kCols, OperandBytes())) Run(program, job);
  }

  float Operand(uint32_t base, size_t i) const {
    if (!Narrow()) return Wide(base, i);
    uint16_t bits;
    std::memcpy(&bits, spad_.data() + base + 2 * i, 2);
    return std::bit_cast<float>(uint32_t{bits} << 16);
  }
  // Returns the value as rounded.
  float PutOperand(uint32_t base, size_t i, float value) {
    if (!Narrow()) {
      PutWide(base, i, value);
      return value;
    }
    const auto bits = static_cast<uint16_t>(
        golden::ToOperand({}, std::bit_cast<uint32_t>(value), Rounding::kNearest, 0));
    std::memcpy(spad_.data() + base + 2 * i, &bits, 2);
    return std::bit_cast<float>(uint32_t{bits} << 16);
  }
  std::vector<double> PutRandom(uint32_t base, size_t count, double scale = 1) {
    std::normal_distribution<float> normal;
    std::vector<double> values;
    for (size_t i = 0; i < count; ++i) {
      values.push_back(
          static_cast<double>(PutOperand(base, i, static_cast<float>(scale) * normal(random_))));
    }
    return values;
  }
  void ExpectOperand(uint32_t base, size_t i, double expected, double slack = 0) const {
    ASSERT_NEAR(static_cast<double>(Operand(base, i)), expected,
                std::abs(expected) * Rounding() + slack)
        << "element " << i;
  }
};

INSTANTIATE_TEST_SUITE_P(Formats, Lanes, testing::Values(2, 4),
                         [](const auto& info) { return info.param == 2 ? "bf16" : "fp32"; });

// ---- normalisation

// Samples beside each other at each place, as the mapper lays them; groups of channels that take
// several slots, one, or a part of one.
TEST_P(Lanes, NormalisationOfGroups) {
  constexpr uint32_t kX = 0, kDy = 0x4000, kMoments = 0x8000, kSums = 0xC000, kNext = 0x10000;
  constexpr uint32_t kParameters = 0x14000, kParameterSums = 0x15000, kY = 0x16000;
  constexpr int64_t kSamples = 5, kPlaces = 6, kChannels = 24, kSlots = kChannels / kCols;
  constexpr auto kEpsilon = 1e-3f;
  const int64_t wide = 4 / OperandBytes();
  for (const int64_t channels : {int64_t{2 * kCols}, int64_t{kCols}, int64_t{2}}) {
    const int64_t count = channels * kPlaces;
    const int64_t slots = std::max<int64_t>(1, channels / kCols), units = kSlots / slots;
    const int width = static_cast<int>(std::min<int64_t>(kCols, channels));
    const auto next = static_cast<int>(units * wide), products = static_cast<int>(kSlots * wide);
    const std::vector<double> x = PutRandom(kX, kSamples * kPlaces * kChannels, 2);
    const std::vector<double> dy = PutRandom(kDy, kSamples * kPlaces * kChannels);
    std::normal_distribution<float> normal;
    for (size_t c = 0; c < 2 * kChannels; ++c) PutWide(kParameters, c, normal(random_));
    const Stream places = {0, {kSlots, kSamples * kSlots, 1, slots}};
    const Stream of_units = {0, {2 * units * wide, 0, 0, wide}};
    const Stream parameters = {kParameters, {0, 0, wide, slots * wide}};
    const auto at = [](Stream stream, uint32_t base) {
      stream.base = base;
      return stream;
    };
    Job job;
    job.groups = kSamples;
    // Half of the places, then the others.
    job.bounds = {slots, kPlaces / 2, units};
    job.level = 2;
    for (const uint32_t half : {0, 1}) {
      const auto skip =
          static_cast<uint32_t>(half * kPlaces / 2 * kSamples * kChannels * OperandBytes());
      job.streams[0] = {kX + skip, {kSlots, 1, kSamples * kSlots, slots}};
      job.streams[1] = at(of_units, kMoments);
      Run(GroupMoments(next, half == 1), job);
    }
    Job statistics;
    statistics.groups = kSamples;
    statistics.bounds = {units, 1, 1};
    statistics.level = 3;
    statistics.streams[0] = {kMoments, {2 * units * wide, wide, 0, 0}};
    Run(GroupStatistics(count, kEpsilon, width, kCols, next), statistics);
    Job forward = job;
    forward.bounds = {kPlaces, slots, units};
    forward.level = 1;
    forward.streams = {at(places, kX), at(places, kY), at(of_units, kMoments), parameters};
    Run(GroupForward(next, products, false), forward);
    Job sums = forward;
    sums.bounds = {kPlaces, kSlots, 1};
    sums.streams = {Stream{kDy, {kSlots, kSamples * kSlots, 1, 0}},
                    Stream{kX, {kSlots, kSamples * kSlots, 1, 0}},
                    Stream{kSums, {2 * kSlots * wide, 0, wide, 0}}, Stream{}};
    Run(GroupGradientSums(products, false), sums);
    Job centre = forward;
    centre.bounds = {slots, units, 1};
    centre.level = 3;
    centre.streams = {Stream{kSums, {2 * kSlots * wide, wide, slots * wide, 0}},
                      Stream{kMoments, {2 * units * wide, 0, wide, 0}}, Stream{}, Stream{}};
    Run(GroupGradientCentre(products, next), centre);
    Job coefficients = centre;
    coefficients.level = 1;
    coefficients.streams[2] = {kParameters, {0, wide, slots * wide, 0}};
    coefficients.streams[3] = {kNext, {3 * units * wide, 0, wide, 0}};
    Run(GroupCoefficients(count, width, kCols, products, next, next), coefficients);
    Job total;
    total.groups = kSlots;
    total.bounds = {kSamples, 1, 1};
    total.level = 1;
    total.streams[0] = {kSums, {wide, 2 * kSlots * wide, 0, 0}};
    total.streams[1] = {kParameterSums, {wide, 0, 0, 0}};
    Run(GroupParameterSums(products, products, false), total);
    Job backward = forward;
    backward.streams = {at(places, kDy), at(places, kX), parameters,
                        Stream{kNext, {3 * units * wide, 0, 0, wide}}};
    Run(GroupBackward(next, true), backward);

    std::vector<double> dscale(kChannels), dbias(kChannels);
    for (int64_t s = 0; s < kSamples; ++s) {
      for (int64_t first = 0; first < kChannels; first += channels) {
        std::vector<size_t> all;
        for (int64_t p = 0; p < kPlaces; ++p) {
          for (int64_t c = first; c < first + channels; ++c) {
            all.push_back(static_cast<size_t>((p * kSamples + s) * kChannels + c));
          }
        }
        double mean = 0, variance = 0, sum = 0, product = 0;
        for (size_t i : all) mean += x[i] / static_cast<double>(count);
        for (size_t i : all) variance += std::pow(x[i] - mean, 2) / static_cast<double>(count);
        const double rstd = 1 / std::sqrt(variance + static_cast<double>(kEpsilon));
        auto scale = [&](size_t i) {
          return static_cast<double>(Wide(kParameters, i % kChannels));
        };
        for (size_t i : all) {
          const double normed = (x[i] - mean) * rstd;
          sum += dy[i] * scale(i) / static_cast<double>(count);
          product += dy[i] * scale(i) * normed / static_cast<double>(count);
          dscale[i % kChannels] += dy[i] * normed;
          dbias[i % kChannels] += dy[i];
        }
        for (size_t i : all) {
          const double normed = (x[i] - mean) * rstd;
          const auto bias = static_cast<double>(Wide(kParameters, kChannels + i % kChannels));
          ExpectOperand(kY, i, normed * scale(i) + bias, 1e-5);
          const double dx = rstd * (dy[i] * scale(i) - sum - normed * product);
          ExpectOperand(kDy, i, x[i] > 0 ? dx : 0, 1e-5);
        }
      }
    }
    for (size_t c = 0; c < kChannels; ++c) {
      EXPECT_NEAR(static_cast<double>(Wide(kParameterSums, c)), dbias[c], 2e-5);
      EXPECT_NEAR(static_cast<double>(Wide(kParameterSums, kChannels + c)), dscale[c], 5e-5);
    }
  }
}

TEST_P(Lanes, StatisticsOfABatch) {
  constexpr size_t kChannels = 24;
  constexpr uint32_t kSums = 0, kRunning = 0x8000;
  constexpr int64_t kCount = 50;
  constexpr float kEpsilon = 1e-3f, kMomentum = 0.9f;
  const auto slots = static_cast<int>(kChannels) / kCols * 4 / OperandBytes();
  std::normal_distribution<float> normal;
  std::vector<double> sums, running;
  for (size_t i = 0; i < 2 * kChannels; ++i) {
    const float squares = static_cast<float>(kCount) * (2 + std::abs(normal(random_)));
    PutWide(kSums, i, i < kChannels ? static_cast<float>(kCount) * normal(random_) / 2 : squares);
    PutWide(kRunning, i, 1 + std::abs(normal(random_)));
    sums.push_back(static_cast<double>(Wide(kSums, i)));
    running.push_back(static_cast<double>(Wide(kRunning, i)));
  }
  RunRows(BatchStatistics(kCount, kEpsilon, kMomentum, slots, slots), kChannels / kCols,
          {{kSums, true}, {kRunning, true}});
  auto wide = [&](uint32_t base, size_t i) { return static_cast<double>(Wide(base, i)); };
  const auto kept = static_cast<double>(kMomentum);
  for (size_t i = 0; i < kChannels; ++i) {
    const double mean = sums[i] / kCount;
    const double variance = std::max(sums[kChannels + i] / kCount - mean * mean, 0.0);
    const double rstd = 1 / std::sqrt(variance + static_cast<double>(kEpsilon));
    EXPECT_NEAR(wide(kSums, i), mean, 1e-6);
    // What the difference of two rounded squares does to a small variance.
    EXPECT_NEAR(wide(kSums, kChannels + i), rstd, 1e-6 * (mean * mean + 4) * rstd * rstd * rstd);
    EXPECT_NEAR(wide(kRunning, i), kept * running[i] + (1 - kept) * mean, 1e-6);
    EXPECT_NEAR(wide(kRunning, kChannels + i),
                kept * running[kChannels + i] + (1 - kept) * variance, 2e-6);
  }
  std::vector<double> before;
  for (size_t i = 0; i < kChannels; ++i) before.push_back(wide(kRunning, kChannels + i));
  RunRows(RunningStatistics(kEpsilon, slots), kChannels / kCols, {{kRunning, true}});
  for (size_t i = 0; i < kChannels; ++i) {
    const double rstd = 1 / std::sqrt(before[i] + static_cast<double>(kEpsilon));
    EXPECT_NEAR(wide(kRunning, kChannels + i), rstd, 1e-6 * rstd);
  }
}

// ---- element by element

constexpr uint32_t kA = 0, kB = 0x8000, kOut = 0x10000;
constexpr int64_t kGroups = 16 * 5 + 11;
constexpr size_t kCount = kGroups * kCols;

TEST_P(Lanes, SumsAndProducts) {
  const std::vector<double> a = PutRandom(kA, kCount);
  const std::vector<double> b = PutRandom(kB, kCount);
  const std::vector<Row> rows = {{kA}, {kB}, {kOut}};
  PutOperand(kOut, kCount, 77);
  RunRows(AddTensors(false), kGroups, rows);
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, a[i] + b[i]);
  RunRows(AddTensors(true), kGroups, rows);
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, std::max(a[i] + b[i], 0.0));
  RunRows(MultiplyTensors(), kGroups, rows);
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, a[i] * b[i]);
  RunRows(SubtractTensors(false), kGroups, rows);
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, a[i] - b[i]);
  RunRows(SubtractTensors(true), kGroups, rows);
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, std::max(a[i] - b[i], 0.0));
  RunRows(NegateTensor(), kGroups, {{kA}, {0, false, false}, {kOut}});
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, -a[i]);
  EXPECT_EQ(Operand(kOut, kCount), 77) << "behind the end";
}

// Of 1 / b, that times a, and that again times y: 2^-22.5 and two roundings of 2^-24.
TEST_P(Lanes, Quotients) {
  const std::vector<double> a = PutRandom(kA, kCount);
  const std::vector<double> b = PutRandom(kB, kCount);
  RunRows(DivideTensors(), kGroups, {{kA}, {kB}, {kOut}});
  std::vector<double> y(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    const double exact = a[i] / b[i];
    ExpectOperand(kOut, i, exact, std::abs(exact) * std::exp2(-22.0));
    y[i] = static_cast<double>(Operand(kOut, i));
  }
  constexpr uint32_t kY = kOut, kTo = 0x18000;
  for (const bool mask : {false, true}) {
    RunRows(DivisorBackward(mask), kGroups, {{kA}, {kB}, {kTo}, {kY}});
    for (size_t i = 0; i < kCount; ++i) {
      const double exact = mask && b[i] <= 0 ? 0 : -a[i] * y[i] / b[i];
      ExpectOperand(kTo, i, exact, std::abs(exact) * std::exp2(-21.8));
    }
  }
}

TEST_P(Lanes, LeakyRelu) {
  const std::vector<double> x = PutRandom(kA, kCount);
  const std::vector<double> dy = PutRandom(kB, kCount);
  const auto slope = 0.125f;
  RunRows(LeakyReluForward(slope), kGroups, {{kA}, {0, false, false}, {kOut}});
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, x[i] > 0 ? x[i] : x[i] / 8);
  RunRows(LeakyReluBackward(slope), kGroups, {{kB}, {kA}, {kOut}});
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, x[i] > 0 ? dy[i] : dy[i] / 8);
}

TEST_P(Lanes, Affine) {
  const std::vector<double> x = PutRandom(kA, kCount);
  for (const float shift : {0.0f, -1.25f}) {
    RunRows(AffineForward(0.375f, shift), kGroups, {{kA}, {0, false, false}, {kOut}});
    for (size_t i = 0; i < kCount; ++i) {
      ExpectOperand(kOut, i, 0.375 * x[i] + static_cast<double>(shift), std::ldexp(1.0, -22));
    }
  }
}

// Samples beside each other at each place; whole slots of channels and not, far below 0 too. Of an
// exponential the error is that of its argument, 2^-24 of it twice, and 2^-22 of its own; the sum
// has no larger one, its reciprocal adds 2^-22.
TEST_P(Lanes, SoftmaxWithinItsBounds) {
  constexpr uint32_t kX = 0, kFound = 0x8000, kDy = 0xC000, kSum = 0x14000, kY = 0x18000;
  constexpr int64_t kSamples = 5, kPlaces = 3, kSlots = 3;
  const int64_t wide = 4 / OperandBytes();
  const auto next = static_cast<int>(wide);
  for (const int channels : {1, kCols - 1, kCols, 2 * kCols + 3, 3 * kCols}) {
    SCOPED_TRACE(channels);
    constexpr size_t kValues = kSamples * kPlaces * kSlots * kCols;
    std::vector<double> x = PutRandom(kX, kValues, 3);
    std::vector<double> dy = PutRandom(kDy, kValues);
    auto place = [](int64_t p, int64_t s, int64_t c) {
      return static_cast<size_t>((p * kSamples + s) * kSlots * kCols + c);
    };
    for (int64_t p = 0; p < kPlaces; ++p) {
      for (int64_t s = 0; s < kSamples; ++s) {
        for (int64_t c = 0; c < kSlots * kCols; ++c) {
          const size_t i = place(p, s, c);
          const double value = c < channels ? x[i] - (s == 0 ? 500 : 0) : 0;
          x[i] = static_cast<double>(PutOperand(kX, i, static_cast<float>(value)));
          if (c >= channels) PutOperand(kDy, i, 0);
        }
      }
    }
    Job job;
    job.groups = kSamples;
    job.bounds = {(channels + kCols - 1) / kCols, kPlaces, 1};
    job.level = 1;
    const Stream values = {kX, {kSlots, 1, kSamples * kSlots, 0}};
    auto at = [&](uint32_t base) {
      Stream stream = values;
      stream.base = base;
      return stream;
    };
    const Stream found = {kFound, {2 * wide, 0, kSamples * 2 * wide, 0}};
    const Stream sums = {kSum, {wide, 0, kSamples * wide, 0}};
    job.streams = {values, found, at(kY), Stream{}};
    Run(SoftmaxMaximum(channels, kCols), job);
    Run(SoftmaxSum(channels, kCols, next), job);
    Run(SoftmaxForward(channels, kCols, next), job);
    std::vector<double> y(kValues);
    for (size_t i = 0; i < kValues; ++i) y[i] = static_cast<double>(Operand(kY, i));
    job.streams = {at(kDy), at(kY), sums, Stream{}};
    Run(SoftmaxGradientSum(kCols), job);
    Run(SoftmaxBackward(), job);
    for (int64_t p = 0; p < kPlaces; ++p) {
      for (int64_t s = 0; s < kSamples; ++s) {
        double largest = -1e9, sum = 0, product = 0;
        for (int64_t c = 0; c < channels; ++c) largest = std::max(largest, x[place(p, s, c)]);
        for (int64_t c = 0; c < channels; ++c) sum += std::exp(x[place(p, s, c)] - largest);
        for (int64_t c = 0; c < channels; ++c) product += y[place(p, s, c)] * dy[place(p, s, c)];
        for (int64_t c = 0; c < channels; ++c) {
          const size_t i = place(p, s, c);
          const double below = largest - x[i];
          const double exact = std::exp(-below) / sum;
          ExpectOperand(kY, i, exact, exact * (3 + below / 2) * std::exp2(-22.0));
          ExpectOperand(kDy, i, y[i] * (dy[i] - product), y[i] * channels * std::exp2(-21.0));
        }
        for (int64_t c = channels; c < job.bounds[0] * kCols; ++c) {
          EXPECT_EQ(Operand(kY, place(p, s, c)), 0) << "behind the channels";
        }
      }
    }
  }
}

TEST_P(Lanes, DropoutKeepsTheSameElementsForTheGradient) {
  scalars_[5] = std::bit_cast<uint32_t>(12.0f);
  const Program dropout = Dropout(0.25f, 5);
  const std::vector<double> x = PutRandom(kA, kCount);
  const std::vector<double> dy = PutRandom(kB, kCount);
  constexpr uint32_t kSeeds = 0x18000;
  for (size_t i = 0; i < kCount; ++i)
    PutWide(kSeeds, i, 1 + std::ldexp(static_cast<float>(i), -20));
  RunRows(dropout, kGroups, {{kA}, {kSeeds, true}, {kOut}});
  std::vector<bool> kept;
  int count = 0;
  for (size_t i = 0; i < kCount; ++i) {
    kept.push_back(Operand(kOut, i) != 0);
    count += kept[i];
    if (kept[i]) ExpectOperand(kOut, i, x[i] / 0.75);
  }
  EXPECT_NEAR(count, 0.75 * kCount, 40);
  RunRows(dropout, kGroups, {{kB}, {kSeeds, true}, {kOut}});
  for (size_t i = 0; i < kCount; ++i) EXPECT_EQ(Operand(kOut, i) != 0, kept[i]);
  auto expect_others = [&] {
    RunRows(dropout, kGroups, {{kB}, {kSeeds, true}, {kOut}});
    int same = 0;
    for (size_t i = 0; i < kCount; ++i) same += (Operand(kOut, i) != 0) == kept[i];
    EXPECT_LT(same, 0.75 * kCount) << "another seed";
  };
  scalars_[5] = std::bit_cast<uint32_t>(13.0f);
  expect_others();
  scalars_[5] = std::bit_cast<uint32_t>(12.0f);
  for (size_t i = 0; i < kCount; ++i)
    PutWide(kSeeds, i, 1.5f + std::ldexp(static_cast<float>(i), -20));
  expect_others();
}

TEST_P(Lanes, MeanSquareWithinItsBounds) {
  constexpr uint32_t kY = 0, kTarget = 0x8000, kDz = 0x10000, kLoss = 0x18000;
  const double ulp = std::ldexp(1.0, -24);
  for (const int values : {1, 4, 10, 39}) {
    const int slots = (values + kCols - 1) / kCols;
    const int dz_slots = slots + 2;
    // What lies behind the values does not count.
    for (size_t i = 0; i < 16u * slots * kCols; ++i) {
      PutWide(kY, i, std::normal_distribution<float>()(random_));
      PutWide(kTarget, i, std::normal_distribution<float>()(random_));
    }
    for (size_t i = 0; i < 16u * dz_slots * kCols; ++i) PutOperand(kDz, i, 77);
    Job job;
    job.groups = 16;
    job.bounds = {slots, 1, 1};
    job.level = 1;
    const int wide = 4 / OperandBytes();
    job.streams[0] = {kY, {slots * wide, wide, 0, 0}};
    job.streams[1] = {kTarget, {slots * wide, wide, 0, 0}};
    job.streams[2] = {kDz, {dz_slots, 1, 0, 0}};
    job.streams[3] = {kLoss, {wide, 0, 0, 0}};
    Run(MeanSquare(values, kCols, dz_slots), job);
    for (size_t sample = 0; sample < 16; ++sample) {
      double sum = 0;
      for (int i = 0; i < dz_slots * kCols; ++i) {
        const size_t place = sample * slots * kCols + i;
        double want = 0;
        if (i < values) {
          const auto difference =
              static_cast<double>(Wide(kY, place)) - static_cast<double>(Wide(kTarget, place));
          want = 2 * difference / values;
          sum += difference * difference;
        }
        ExpectOperand(kDz, sample * dz_slots * kCols + i, want, 3 * ulp * std::abs(want));
      }
      const double loss = sum / values;
      EXPECT_NEAR(static_cast<double>(Wide(kLoss, sample * kCols)), loss,
                  (values + 4) * ulp * loss);
    }
  }
}

TEST_P(Lanes, SigmoidAndTanhWithinTheirBounds) {
  double worst_sigmoid = 0, worst_tanh = 0;
  for (int round = 0; round < 60; ++round) {
    const std::vector<double> x = PutRandom(kA, kCount, std::exp2(round % 12 - 6));
    RunRows(SigmoidForward(), kGroups, {{kA}, {0, false, false}, {kOut}});
    const double bound = std::ldexp(1.0, -22);
    for (size_t i = 0; i < kCount; ++i) {
      const double exact = 1 / (1 + std::exp(-x[i]));
      ExpectOperand(kOut, i, exact, bound);
      worst_sigmoid =
          std::max(worst_sigmoid, std::abs(static_cast<double>(Operand(kOut, i)) - exact));
    }
    RunRows(TanhForward(), kGroups, {{kA}, {0, false, false}, {kOut}});
    for (size_t i = 0; i < kCount; ++i) {
      const double exact = std::tanh(x[i]);
      ExpectOperand(kOut, i, exact, 2 * bound);
      worst_tanh = std::max(worst_tanh, std::abs(static_cast<double>(Operand(kOut, i)) - exact));
    }
  }
  std::printf("sigmoid 2^%.2f, tanh 2^%.2f\n", std::log2(worst_sigmoid), std::log2(worst_tanh));
  // The far ends.
  for (size_t i = 0; i < 4; ++i) PutOperand(kA, i, i % 2 ? -1e30f : 1e30f);
  RunRows(SigmoidForward(), 1, {{kA}, {0, false, false}, {kOut}});
  EXPECT_EQ(Operand(kOut, 0), 1.0f);
  EXPECT_EQ(Operand(kOut, 1), 0.0f);
  RunRows(TanhForward(), 1, {{kA}, {0, false, false}, {kOut}});
  EXPECT_EQ(Operand(kOut, 0), 1.0f);
  EXPECT_EQ(Operand(kOut, 1), -1.0f);
}

TEST_P(Lanes, DerivativesOfSigmoidAndTanh) {
  const std::vector<double> dy = PutRandom(kA, kCount);
  std::vector<double> y;
  for (size_t i = 0; i < kCount; ++i) {
    y.push_back(static_cast<double>(PutOperand(kB, i, 0.999f * static_cast<float>(i) / kCount)));
  }
  RunRows(SigmoidBackward(), kGroups, {{kA}, {kB}, {kOut}});
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, dy[i] * y[i] * (1 - y[i]), 1e-6);
  RunRows(TanhBackward(), kGroups, {{kA}, {kB}, {kOut}});
  for (size_t i = 0; i < kCount; ++i) ExpectOperand(kOut, i, dy[i] * (1 - y[i] * y[i]), 1e-6);
}

TEST_P(Lanes, ExpWithinItsBound) {
  Program program;
  program.init.Constant(1, std::numbers::log2e_v<float>);
  program.body.MulWide(0, 1, 0).Exp2(0, 0).StoreWide(0, 2);
  double worst = 0;
  for (int round = 0; round < 40; ++round) {
    for (size_t i = 0; i < kCount; ++i) {
      PutWide(kA, i, (static_cast<float>(random_() % 2000001) - 1e6f) * 0.8e-4f);
    }
    RunRows(program, kGroups, {{kA, true}, {0, false, false}, {kOut, true}});
    for (size_t i = 0; i < kCount; ++i) {
      const auto x = static_cast<double>(Wide(kA, i));
      const double error = std::abs(static_cast<double>(Wide(kOut, i)) / std::exp(x) - 1);
      const double bound = std::ldexp(2 + 1.5 * std::abs(x), -24);
      ASSERT_LE(error, bound) << x;
      worst = std::max(worst, error / bound);
    }
  }
  std::printf("exp: worst %.2f of the bound\n", worst);
}

// ---- recurrent cells

TEST_P(Lanes, LstmForward) {
  constexpr size_t kCells = 24;
  constexpr uint32_t kGates = 0, kC = 0x8000, kH = 0x10000;
  std::normal_distribution<float> normal;
  const int slots = static_cast<int>(kCells) / kCols;
  const int wide = 4 / OperandBytes();
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (const bool first : {true, false}) {
    for (size_t i = 0; i < 4 * kCells; ++i) PutWide(kGates, i, normal(random_));
    std::vector<double> c;
    for (size_t i = 0; i < kCells; ++i) {
      PutWide(kC, i, normal(random_));
      c.push_back(first ? 0.0 : static_cast<double>(Wide(kC, i)));
    }
    RunRows(LstmForward(slots * wide, slots + 1, slots, first), slots,
            {{kGates, true}, {kC, true}, {kH}});
    auto gate = [&](size_t which, size_t i) {
      return static_cast<double>(Wide(kGates, which * kCells + i));
    };
    for (size_t i = 0; i < kCells; ++i) {
      const double in = sigmoid(gate(0, i)), out = sigmoid(gate(1, i)),
                   forget = sigmoid(gate(2, i));
      const double g = std::tanh(gate(3, i));
      const double next = forget * c[i] + in * g;
      EXPECT_NEAR(static_cast<double>(Wide(kC, i)), next, 2e-6);
      ExpectOperand(kH, i, out * std::tanh(next), 2e-6);
      size_t part = 0;
      for (double kept : {in, out, forget, g, std::tanh(next), c[i]}) {
        ExpectOperand(kH, kCols + ++part * kCells + i, kept, 2e-6);
      }
    }
  }
}

// With a gap of a slot between h and what is kept, and between the gradients of q and of n.
TEST_P(Lanes, GruForward) {
  constexpr size_t kCells = 24;
  constexpr uint32_t kSums = 0, kState = 0x8000, kH = 0x10000, kBias = 0x14000;
  std::normal_distribution<float> normal;
  const int slots = static_cast<int>(kCells) / kCols;
  const int wide = 4 / OperandBytes();
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (const bool first : {true, false}) {
    for (const bool bias : {true, false}) {
      for (size_t i = 0; i < 4 * kCells; ++i) PutWide(kSums, i, normal(random_));
      for (size_t i = 0; i < 3 * kCells; ++i) PutWide(kBias, i, normal(random_));
      std::vector<double> before;
      for (size_t i = 0; i < kCells; ++i) {
        PutWide(kState, i, normal(random_));
        before.push_back(first ? 0.0 : static_cast<double>(Wide(kState, i)));
      }
      RunRows(GruForward(slots * wide, slots + 1, slots, bias, first), slots,
              {{kSums, true}, {kState, true}, {kH}, {kBias, true}});
      for (size_t i = 0; i < kCells; ++i) {
        auto sum = [&](size_t which) {
          return static_cast<double>(Wide(kSums, which * kCells + i));
        };
        auto of_bias = [&](size_t which) {
          return bias ? static_cast<double>(Wide(kBias, which * kCells + i)) : 0.0;
        };
        const double z = sigmoid(sum(0) + of_bias(0)), r = sigmoid(sum(1) + of_bias(1));
        const double q = (first ? 0.0 : sum(3)) + of_bias(2);
        const double n = std::tanh(sum(2) + r * q);
        const double h = (1 - z) * n + z * before[i];
        EXPECT_NEAR(static_cast<double>(Wide(kState, i)), h, 2e-6);
        ExpectOperand(kH, i, h, 2e-6);
        size_t part = 0;
        for (double kept : {z, r, n, q, before[i]}) {
          ExpectOperand(kH, kCols + ++part * kCells + i, kept, 2e-6);
        }
      }
    }
  }
}

TEST_P(Lanes, GruBackward) {
  constexpr size_t kCells = 24;
  constexpr uint32_t kKept = 0, kState = 0x8000, kDy = 0x10000, kGradients = 0x14000;
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> share(0.05f, 0.95f);
  const int slots = static_cast<int>(kCells) / kCols;
  const int wide = 4 / OperandBytes();
  for (const bool first : {true, false}) {
    std::vector<double> back;
    for (size_t i = 0; i < 5 * kCells; ++i) {
      PutOperand(kKept, i, i < 3 * kCells ? share(random_) : normal(random_));
    }
    for (size_t i = 0; i < kCells; ++i) {
      PutOperand(kDy, i, normal(random_));
      PutWide(kState, i, normal(random_));
      PutWide(kState, kCells + i, normal(random_));
      back.push_back(first ? 0.0
                           : static_cast<double>(Wide(kState, i)) +
                                 static_cast<double>(Wide(kState, kCells + i)));
    }
    RunRows(GruBackward(slots, slots * wide, slots, 3 * slots + 1, first), slots,
            {{kKept}, {kState, true}, {kDy}, {kGradients}});
    for (size_t i = 0; i < kCells; ++i) {
      auto kept = [&](size_t which) {
        return static_cast<double>(Operand(kKept, which * kCells + i));
      };
      const double z = kept(0), r = kept(1), n = kept(2), q = kept(3), before = kept(4);
      const double dh = static_cast<double>(Operand(kDy, i)) + back[i];
      const double dn = dh * (1 - z) * (1 - n * n);
      EXPECT_NEAR(static_cast<double>(Wide(kState, i)), dh * z, 1e-5);
      ExpectOperand(kGradients, i, dh * (before - n) * z * (1 - z), 1e-5);
      ExpectOperand(kGradients, kCells + i, dn * q * r * (1 - r), 1e-5);
      ExpectOperand(kGradients, 2 * kCells + i, dn * r, 1e-5);
      ExpectOperand(kGradients, 3 * kCells + kCols + i, dn, 1e-5);
    }
  }
}

// Streams of both: 0 the sums z, r, n, 1 the state, 2 h and what is kept, 3 r h'.
TEST_P(Lanes, ResetGruForward) {
  constexpr size_t kCells = 24;
  constexpr uint32_t kSums = 0, kState = 0x8000, kH = 0x10000, kReset = 0x14000;
  std::normal_distribution<float> normal;
  const int slots = static_cast<int>(kCells) / kCols;
  const int wide = 4 / OperandBytes();
  auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (const bool first : {true, false}) {
    for (size_t i = 0; i < 3 * kCells; ++i) PutWide(kSums, i, normal(random_));
    std::vector<double> before;
    for (size_t i = 0; i < kCells; ++i) {
      PutWide(kState, i, normal(random_));
      before.push_back(first ? 0.0 : static_cast<double>(Wide(kState, i)));
    }
    if (!first) {
      RunRows(ResetGruGates(slots * wide, slots + 1, slots), slots,
              {{kSums, true}, {kState, true}, {kH}, {kReset}});
    }
    RunRows(ResetGruForward(slots * wide, slots + 1, slots, first), slots,
            {{kSums, true}, {kState, true}, {kH}});
    for (size_t i = 0; i < kCells; ++i) {
      auto sum = [&](size_t which) { return static_cast<double>(Wide(kSums, which * kCells + i)); };
      const double z = sigmoid(sum(0)), r = first ? 0.0 : sigmoid(sum(1)), n = std::tanh(sum(2));
      const double h = (1 - z) * n + z * before[i];
      EXPECT_NEAR(static_cast<double>(Wide(kState, i)), h, 2e-6);
      ExpectOperand(kH, i, h, 2e-6);
      if (!first) ExpectOperand(kReset, i, r * before[i], 2e-6);
      size_t part = 0;
      for (double kept : {z, r, n, before[i]}) {
        ExpectOperand(kH, kCols + ++part * kCells + i, kept, 2e-6);
      }
    }
  }
}

TEST_P(Lanes, ResetGruBackward) {
  constexpr size_t kCells = 24;
  constexpr uint32_t kKept = 0, kState = 0x8000, kDy = 0x10000, kGradients = 0x14000;
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> share(0.05f, 0.95f);
  const int slots = static_cast<int>(kCells) / kCols;
  const int wide = 4 / OperandBytes();
  for (const bool first : {true, false}) {
    std::vector<double> dh;
    for (size_t i = 0; i < 4 * kCells; ++i) {
      PutOperand(kKept, i, i < 3 * kCells ? share(random_) : normal(random_));
    }
    for (size_t i = 0; i < kCells; ++i) {
      PutOperand(kDy, i, normal(random_));
      PutWide(kState, i, normal(random_));
      PutWide(kState, kCells + i, normal(random_));
      const double back =
          static_cast<double>(Wide(kState, i)) + static_cast<double>(Wide(kState, kCells + i));
      dh.push_back(static_cast<double>(Operand(kDy, i)) + (first ? 0.0 : back));
    }
    const std::vector<Row> streams = {{kKept}, {kState, true}, {kDy}, {kGradients}};
    RunRows(ResetGruBackward(slots, slots * wide, slots, first), slots, streams);
    std::vector<double> passed, by_reset;
    for (size_t i = 0; i < kCells; ++i) {
      passed.push_back(static_cast<double>(Wide(kState, i)));
      ExpectOperand(kGradients, kCells + i, 0, 0);
      PutWide(kState, kCells + i, normal(random_));
      by_reset.push_back(static_cast<double>(Wide(kState, kCells + i)));
    }
    RunRows(ResetGruGatesBackward(slots, slots * wide, slots), slots, streams);
    for (size_t i = 0; i < kCells; ++i) {
      auto kept = [&](size_t which) {
        return static_cast<double>(Operand(kKept, which * kCells + i));
      };
      const double z = kept(0), r = kept(1), n = kept(2), before = kept(3);
      EXPECT_NEAR(passed[i], dh[i] * z, 1e-5);
      ExpectOperand(kGradients, i, dh[i] * (before - n) * z * (1 - z), 1e-5);
      ExpectOperand(kGradients, 2 * kCells + i, dh[i] * (1 - z) * (1 - n * n), 1e-5);
      ExpectOperand(kGradients, kCells + i, by_reset[i] * before * r * (1 - r), 1e-5);
      EXPECT_NEAR(static_cast<double>(Wide(kState, i)), dh[i] * z + by_reset[i] * r, 1e-5);
    }
  }
}

TEST_P(Lanes, LstmBackward) {
  constexpr size_t kCells = 24;
  constexpr uint32_t kKept = 0, kState = 0x8000, kDy = 0x10000, kGradients = 0x14000;
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<float> share(0.05f, 0.95f);
  const int slots = static_cast<int>(kCells) / kCols;
  const int wide = 4 / OperandBytes();
  for (const bool first : {true, false}) {
    std::vector<double> dc;
    for (size_t i = 0; i < 6 * kCells; ++i) {
      PutOperand(kKept, i, i < 3 * kCells ? share(random_) : normal(random_));
    }
    for (size_t i = 0; i < kCells; ++i) {
      PutOperand(kDy, i, normal(random_));
      PutWide(kState, i, normal(random_));
      PutWide(kState, kCells + i, normal(random_));
      dc.push_back(first ? 0.0 : static_cast<double>(Wide(kState, i)));
    }
    RunRows(LstmBackward(slots, slots * wide, slots, first), slots,
            {{kKept}, {kState, true}, {kDy}, {kGradients}});
    for (size_t i = 0; i < kCells; ++i) {
      auto kept = [&](size_t which) {
        return static_cast<double>(Operand(kKept, which * kCells + i));
      };
      const double in = kept(0), out = kept(1), forget = kept(2), g = kept(3), squashed = kept(4);
      const double dh = static_cast<double>(Operand(kDy, i)) +
                        (first ? 0.0 : static_cast<double>(Wide(kState, kCells + i)));
      const double all = dc[i] + dh * out * (1 - squashed * squashed);
      EXPECT_NEAR(static_cast<double>(Wide(kState, i)), all * forget, 1e-5);
      size_t part = 0;
      for (double gradient : {all * g * in * (1 - in), dh * squashed * out * (1 - out),
                              all * kept(5) * forget * (1 - forget), all * in * (1 - g * g)}) {
        ExpectOperand(kGradients, part++ * kCells + i, gradient, 1e-5);
      }
    }
  }
}

// ---- optimisers

// Every step from the state as it lies there, so that each meets its bounds by itself. Terms are
// the magnitudes of what is added: for v |momentum v| + |g| + |d w|, and so on.
class Optimisers : public Lanes {
 protected:
  static constexpr uint32_t kG = 0, kState = 0x8000, kSecond = 0xC000, kW = 0x10000;
  static constexpr float kStep = -0.0371f;
  static constexpr double kUlp = 0x1p-24;

  void SetUp() override {
    scalars_[3] = std::bit_cast<uint32_t>(kStep);
    for (size_t i = 0; i < kCount; ++i) PutWide(kW, i, Normal());
  }
  float Normal() { return std::normal_distribution<float>()(random_); }
  double At(uint32_t base, size_t i) const { return static_cast<double>(Wide(base, i)); }
  void ExpectWithin(uint32_t base, size_t i, double exact, double bound) {
    const double error = std::abs(At(base, i) - exact);
    ASSERT_LE(error, bound) << "element " << i << ": " << At(base, i) << ", exact " << exact;
    if (bound > 0) worst_ = std::max(worst_, error / bound);
  }

  // Takes steps of drawn gradients, some zero, and compares w and the states of each.
  void Train(const OptimiserConstants& c) {
    const auto step = static_cast<double>(kStep);
    for (int round = 0; round < 8; ++round) {
      for (size_t i = 0; i < kCount; ++i) {
        const float scale = std::ldexp(1.0f, 8 * static_cast<int>(i % 5) - 16);
        PutWide(kG, i, i % 7 == 0 ? 0 : scale * Normal());
      }
      const std::vector<uint8_t> before = spad_;
      RunRows(
          OptimiserStep(c, 3, (kSecond - kState) / static_cast<uint32_t>(kCols * OperandBytes())),
          kGroups, {{kG, true}, {kState, true}, {kW, true}});
      const std::vector<uint8_t> after = spad_;
      for (size_t i = 0; i < kCount; ++i) {
        spad_ = before;
        const double g = At(kG, i), w = At(kW, i), v = At(kState, i), q = At(kSecond, i);
        spad_ = after;
        ASSERT_NO_FATAL_FAILURE(Compare(c, step, i, g, w, v, q));
      }
    }
    std::printf("worst %.2f of the bound\n", worst_);
  }

  void Compare(const OptimiserConstants& c, double step, size_t i, double g, double w, double v,
               double q) {
    g = c.clip > 0 ? std::clamp(g, -c.clip, c.clip) : g;
    const double u = g + c.decay * w;
    const double terms = std::abs(g) + std::abs(c.decay * w);
    double next = 0, second = 0, change = 0;
    double next_terms = 0, second_terms = 0, change_terms = terms;
    switch (c.optimiser) {
      case Optimiser::kSgd:
        change = u;
        break;
      case Optimiser::kMomentum:
      case Optimiser::kNesterov:
        next = c.momentum * v + u;
        next_terms = std::abs(c.momentum * v) + terms;
        change = c.optimiser == Optimiser::kNesterov ? u + c.momentum * next : next;
        change_terms = next_terms;
        break;
      case Optimiser::kAdam: {
        next = c.beta1 * v + (1 - c.beta1) * u;
        next_terms = c.beta1 * std::abs(v) + (1 - c.beta1) * terms;
        second = c.beta2 * q + (1 - c.beta2) * u * u;
        second_terms = c.beta2 * q + (1 - c.beta2) * terms * terms;
        const double below = std::sqrt(second) + c.epsilon;
        change = next / below;
        // Where decay cancels the gradient, the root is less exact than its terms.
        change_terms = next_terms / below * (second > 0 ? second_terms / second : 1);
        break;
      }
    }
    ExpectWithin(kState, i, next, 10 * kUlp * next_terms);
    ExpectWithin(kSecond, i, second, 10 * kUlp * second_terms);
    const double want = w + step * change;
    const double bound =
        kUlp * (1 + kUlp) * std::abs(want) + 24 * kUlp * std::abs(step) * change_terms;
    ExpectWithin(kW, i, want, bound);
  }

  double worst_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Formats, Optimisers, testing::Values(2, 4),
                         [](const auto& info) { return info.param == 2 ? "bf16" : "fp32"; });

TEST_P(Optimisers, SgdWithinItsBound) {
  Train({Optimiser::kSgd, 0, 0, 0, 0, 0});
  Train({Optimiser::kSgd, 0.16, 0, 0, 0, 0});
}

TEST_P(Optimisers, ClippedWithinTheirBound) {
  Train({Optimiser::kSgd, 0, 0, 0, 0, 0, 0.25});
  Train({Optimiser::kAdam, 0.16, 0, 0.9, 0.999, 1e-6, 0.25});
}

TEST_P(Optimisers, MomentumWithinItsBound) {
  Train({Optimiser::kMomentum, 0, 0.9, 0, 0, 0});
  Train({Optimiser::kMomentum, 0.16, 0.9, 0, 0, 0});
}

TEST_P(Optimisers, NesterovWithinItsBound) {
  Train({Optimiser::kNesterov, 0, 0.9, 0, 0, 0});
  Train({Optimiser::kNesterov, 0.16, 0.9, 0, 0, 0});
}

TEST_P(Optimisers, AdamWithinItsBound) {
  Train({Optimiser::kAdam, 0, 0, 0.9, 0.999, 1.6e-7});
  Train({Optimiser::kAdam, 0.16, 0, 0.9, 0.999, 1.6e-7});
}

TEST_P(Optimisers, NoGradientLeavesTheWeight) {
  const double w = At(kW, 5);
  for (const Optimiser optimiser :
       {Optimiser::kSgd, Optimiser::kMomentum, Optimiser::kNesterov, Optimiser::kAdam}) {
    RunRows(OptimiserStep({optimiser, 0, 0.9, 0.9, 0.999, 1e-12}, 3, 64), kGroups,
            {{kG, true}, {kState, true}, {kW, true}});
    EXPECT_EQ(At(kW, 5), w);
  }
}

}  // namespace
}  // namespace vaultrain::lanes
