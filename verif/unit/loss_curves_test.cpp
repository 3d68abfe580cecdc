// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Loss curves of the shipped networks on the golden engine beside double precision: the same
// starting weights, data order and recipe, 100 steps of 16. generator/networks/README.md has what
// was measured.
//
// With VAULTRAIN_FULL every network, minutes for each of the larger, else small ones; one of them
// alone:
//   VAULTRAIN_FULL=1 build/verif/loss_curves_test --gtest_filter='*/resnet_bf16'

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "shipped_network.h"
#include "vaultrain/random.h"
#include "vaultrain/reference.h"
#include "vaultrain/trainer.h"

namespace vaultrain {
namespace {

constexpr int64_t kSteps = 100;
constexpr size_t kLast = 20;

// How far a curve is from another.
struct Distance {
  double last = 0;     // mean of |difference| over the last 20 steps, of the other's mean there
  double largest = 0;  // of |difference| in any step
};

Distance DistanceOf(const std::vector<double>& curve, const std::vector<double>& from) {
  Distance d;
  double size = 0;
  for (size_t step = 0; step < from.size(); ++step) {
    const double difference = std::abs(curve[step] - from[step]);
    // Not std::max, which a NaN would pass.
    if (!(difference <= d.largest)) d.largest = difference;
    if (step + kLast < from.size()) continue;
    d.last += difference;
    size += from[step];
  }
  d.last /= size;
  return d;
}

// The bound of a format, twice what was measured or more: for all networks, and beside what weights
// that are moved make of the network in double precision. Where a sum falls on the other side of a
// ReLU by any error, however small, a curve parts from the other one for good; so the second tells
// errors of arithmetic from what the network makes of any.
struct Bound {
  Distance any;
  double of_moved = 0;
};

Bound BoundOf(const std::string& operands) {
  if (operands == "fp32") return {{1e-4, 1e-3}, 0.1};
  if (operands == "fp16") return {{0.3, 0.7}, 6};
  if (operands == "bf16") return {{0.31, 1.2}, 5};
  return {{0.65, 1.3}, 12};  // fx16 of 12 fraction bits, also with gradients of fx32
}

struct DoubleCurve {
  std::vector<double> loss;
  Distance moved;  // of the same training from weights that are moved by up to 2^-9 of themselves
};

// Once for all formats of a network.
const DoubleCurve& InDouble(const std::string& network, const ShippedTraining& s) {
  static std::map<std::string, DoubleCurve> curves;
  const auto [entry, is_new] = curves.try_emplace(network);
  DoubleCurve& curve = entry->second;
  if (!is_new) return curve;
  curve.loss = TrainReference(s.graph, s.recipe, s.data).loss;
  std::vector<std::vector<float>> parameters = StartingParameters(s.graph, s.recipe);
  Random random(1, "moved");
  for (std::vector<float>& tensor : parameters) {
    for (float& w : tensor) w *= static_cast<float>(1 + std::ldexp(2 * random.Uniform() - 1, -9));
  }
  curve.moved = DistanceOf(TrainReference(s.graph, s.recipe, s.data, parameters).loss, curve.loss);
  return curve;
}

class LossCurves : public testing::TestWithParam<ShippedCase> {};

TEST_P(LossCurves, StayByDoublePrecision) {
  const ShippedTraining s = CompileShipped(GetParam(), kSteps);
  const auto engine = MakeGoldenDevice(s.variant, s.dram);
  const auto evaluator = MakeGoldenDevice(s.variant, s.dram);
  const TrainReport report =
      Train(s.program, s.recipe, s.data, kSteps, *engine, nullptr, *evaluator);
  ASSERT_EQ(report.error, isa::ErrorCode::kNone);
  ASSERT_EQ(report.loss.size(), static_cast<size_t>(kSteps));
  const DoubleCurve& curve = InDouble(GetParam().network, s);
  const Distance d = DistanceOf(report.loss, curve.loss);
  const Distance& moved = curve.moved;
  fmt::print(
      "{}: {:.4f} -> {:.4f}, in double {:.4f}; last {:.3g}, largest {:.3g}; moved: last "
      "{:.3g}, largest {:.3g}\n",
      TestName(GetParam()), report.loss.front(), report.loss.back(), curve.loss.back(), d.last,
      d.largest, moved.last, moved.largest);
  const Bound bound = BoundOf(GetParam().operands.name);
  EXPECT_LE(d.last, bound.any.last);
  EXPECT_LE(d.largest, bound.any.largest);
  EXPECT_LE(d.last, bound.of_moved * moved.last);
  EXPECT_LE(d.largest, bound.of_moved * moved.largest);
}

// Before any sum has fallen on the other side of a ReLU only rounding is left.
TEST(FirstSteps, OfFp32DifferByRounding) {
  constexpr int64_t kFirst = 4;
  for (const std::string& network : NetworksOr({"tiny", "tiny-conv"})) {
    SCOPED_TRACE(network);
    const ShippedTraining s = CompileShipped({network, {"fp32", "nano-fp32", {}}}, kFirst);
    const auto engine = MakeGoldenDevice(s.variant, s.dram);
    const TrainReport report =
        Train(s.program, s.recipe, s.data, kFirst, *engine, nullptr, *engine);
    ASSERT_EQ(report.loss.size(), static_cast<size_t>(kFirst));
    const Distance d = DistanceOf(report.loss, TrainReference(s.graph, s.recipe, s.data).loss);
    fmt::print("{}: largest {:.3g}\n", network, d.largest);
    EXPECT_LE(d.largest, 2e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Shipped, LossCurves,
                         testing::ValuesIn(CasesOf(NetworksOr({"tiny", "tiny-conv"}))),
                         [](const auto& info) { return TestName(info.param); });

}  // namespace
}  // namespace vaultrain
