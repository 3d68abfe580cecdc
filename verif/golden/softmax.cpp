// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "golden/softmax.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "golden/fp32.h"

namespace vaultrain::golden {
namespace {

constexpr int64_t kLogitMax = (int64_t{1} << 35) - 1;
constexpr int64_t kExpOne = int64_t{1} << 34;
constexpr long double kLn2Exact = 0.693147180559945309417232121458176568L;
constexpr int64_t kLog2E = static_cast<int64_t>((1 << 26) / kLn2Exact + 0.5L);  // 2^26 log2 e
constexpr int64_t kLn2 = static_cast<int64_t>((1 << 30) * kLn2Exact + 0.5L);    // 2^30 ln 2

SoftmaxSegment Rounded(long double c0, long double c1, long double c2) {
  return {std::llrint(std::ldexp(c0, 30)), std::llrint(std::ldexp(c1, 24)),
          std::llrint(std::ldexp(c2, 16))};
}

using Table = std::array<SoftmaxSegment, 64>;

Table MakeTable(SoftmaxSegment (*segment)(int)) {
  Table table;
  for (int k = 0; k < 64; ++k) table[static_cast<size_t>(k)] = segment(k);
  return table;
}

// The quadratic at a fraction in units of 2^-28; the result is in units of 2^-30.
int64_t Evaluate(const Table& table, int64_t fraction) {
  const SoftmaxSegment& c = table[static_cast<size_t>(fraction / (1 << 22))];
  const int64_t u = fraction % (1 << 22) - (1 << 21);
  const int64_t s = (c.c1 * (1 << 20) + c.c2 * u) >> 20;
  return (c.c0 * (1 << 22) + u * s) >> 22;
}

// e^-distance; the distance in units of 2^-24, the result in units of 2^-34.
int64_t Exp(int64_t distance) {
  static const Table table = MakeTable(SoftmaxExpSegment);
  if (distance == 0) return kExpOne;
  if (distance >= int64_t{32} << 24) return 0;
  const int64_t t = distance * kLog2E / (1 << 22);
  const int64_t y = Evaluate(table, t % (1 << 28));
  return y * 16 >> (t >> 28);
}

// ln m for m in [1, 2) of 31 fraction bits; the result is in units of 2^-30.
int64_t Ln(int64_t m) {
  static const Table table = MakeTable(SoftmaxLnSegment);
  const int64_t fraction = (m - (int64_t{1} << 31)) / 8;
  return fraction == 0 ? 0 : Evaluate(table, fraction);
}

bool IsNan(uint32_t x) { return (x & 0x7FFFFFFF) > 0x7F800000; }

}  // namespace

SoftmaxSegment SoftmaxExpSegment(int segment) {
  const long double h = 1.0L / 64;
  const long double f = std::exp2(-(segment + 0.5L) * h);
  const long double lh = kLn2Exact * h;
  return Rounded(f, -kLn2Exact * f * (1 + lh * lh / 32), kLn2Exact * kLn2Exact * f / 2);
}

SoftmaxSegment SoftmaxLnSegment(int segment) {
  const long double h = 1.0L / 64;
  const long double a = 1 + (segment + 0.5L) * h;
  return Rounded(std::log(a), 1 / a + h * h / (16 * a * a * a), -1 / (2 * a * a));
}

int64_t SoftmaxFixedLogit(uint32_t x) {
  const bool negative = (x >> 31) != 0;
  const int exponent = static_cast<int>(x >> 23 & 0xFF);
  if (exponent == 0) return 0;
  if (exponent >= 138) return negative ? -kLogitMax - 1 : kLogitMax;
  // mantissa * 2^(exponent - 150) = magnitude * 2^-24
  const int64_t mantissa = (x & 0x007FFFFF) | 0x00800000;
  const int up = exponent - 126;
  int64_t magnitude;
  if (up >= 0) {
    magnitude = mantissa << up;
  } else {
    magnitude = up < -30 ? 0 : (mantissa + (int64_t{1} << (-up - 1))) >> -up;
  }
  return negative ? -magnitude : magnitude;
}

SoftmaxRowResult SoftmaxRow(const std::vector<uint32_t>& logits, uint32_t label, uint32_t scale,
                            size_t max_classes) {
  SoftmaxRowResult result;
  const size_t classes = std::min(logits.size(), max_classes);
  result.too_long = logits.size() > max_classes;
  const bool poison = result.too_long || std::any_of(logits.begin(), logits.end(), IsNan);
  if (poison) {
    result.gradient.assign(classes, Fp32Mul(kFp32Nan, scale));
    result.loss = kFp32Nan;
    return result;
  }

  std::vector<int64_t> x(classes);
  std::transform(logits.begin(), logits.begin() + static_cast<std::ptrdiff_t>(classes), x.begin(),
                 SoftmaxFixedLogit);
  const int64_t max = *std::max_element(x.begin(), x.end());
  std::vector<int64_t> e(classes);
  int64_t sum = 0;
  for (size_t j = 0; j < classes; ++j) {
    e[j] = Exp(max - x[j]);
    sum += e[j];
  }

  const int k = static_cast<int>(std::bit_width(static_cast<uint64_t>(sum))) - 35;
  const int64_t m = sum >> (k + 3);
  const int64_t reciprocal = (int64_t{1} << 60) / m;
  for (size_t j = 0; j < classes; ++j) {
    const int64_t p = (e[j] >> 4) * reciprocal >> (29 + k);
    const int64_t gradient = j == label ? p - (int64_t{1} << 30) : p;
    result.gradient.push_back(Fp32Mul(ScaledIntegerToFp32(gradient, -30), scale));
  }
  if (label >= classes) {
    result.loss = kFp32Nan;
  } else {
    const int64_t loss = (max - x[label]) * 64 + k * kLn2 + Ln(m);
    result.loss = ScaledIntegerToFp32(loss, -30);
  }
  return result;
}

}  // namespace vaultrain::golden
