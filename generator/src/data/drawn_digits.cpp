// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Draws handwritten-like digits: each class has one or more skeletons of strokes in a unit box,
// whose points are shaken and mapped affinely, then inked with a round pen.
//
// Only + - * / and sqrt are used, which IEEE 754 defines to the last bit (the build forbids
// contraction), so the bytes are the same on every machine.

#include <algorithm>
#include <cmath>
#include <limits>

#include "vaultrain/dataset.h"
#include "vaultrain/random.h"

namespace vaultrain {
namespace {

constexpr int kTrainSamples = 8000;
constexpr int kTestSamples = 2000;
constexpr uint64_t kDrawSeed = 1;  // the data set is one and the same for every run

struct Point {
  double x, y;
};

struct Stroke {
  enum Form { kLines, kCurve, kLoop } form;  // curve: Catmull-Rom through the points
  std::vector<Point> points;
};

using Skeleton = std::vector<Stroke>;

// x to the right, y down, both 0 to 1.
const std::vector<std::vector<Skeleton>>& Skeletons() {
  using enum Stroke::Form;
  static const std::vector<std::vector<Skeleton>> skeletons = {
      {{{kLoop,
         {{.5, .05},
          {.22, .2},
          {.13, .5},
          {.22, .8},
          {.5, .95},
          {.78, .8},
          {.87, .5},
          {.78, .2}}}}},
      {{{kLines, {{.5, .04}, {.5, .96}}}},
       {{kLines, {{.3, .26}, {.54, .04}, {.54, .96}}}},
       {{kLines, {{.32, .24}, {.52, .04}, {.52, .95}}}, {kLines, {{.28, .95}, {.76, .95}}}}},
      {{{kCurve, {{.2, .28}, {.3, .1}, {.55, .05}, {.77, .2}, {.72, .42}, {.45, .68}, {.18, .93}}},
        {kLines, {{.18, .93}, {.84, .93}}}},
       {{kCurve,
         {{.2, .2},
          {.5, .05},
          {.76, .22},
          {.66, .5},
          {.38, .82},
          {.2, .88},
          {.24, .74},
          {.48, .82},
          {.85, .92}}}}},
      {{{kCurve, {{.2, .15}, {.45, .05}, {.74, .17}, {.7, .38}, {.42, .47}}},
        {kCurve, {{.42, .47}, {.75, .56}, {.8, .77}, {.55, .95}, {.2, .85}}}},
       {{kLines, {{.2, .06}, {.76, .06}, {.45, .42}}},
        {kCurve, {{.45, .42}, {.76, .52}, {.78, .78}, {.52, .95}, {.2, .86}}}}},
      {{{kLines, {{.62, .05}, {.14, .66}, {.88, .66}}}, {kLines, {{.64, .3}, {.62, .96}}}},
       {{kLines, {{.26, .06}, {.2, .5}, {.8, .5}}}, {kLines, {{.76, .06}, {.7, .96}}}}},
      {{{kLines, {{.78, .06}, {.3, .06}, {.25, .45}}},
        {kCurve, {{.25, .45}, {.5, .38}, {.78, .5}, {.8, .74}, {.58, .94}, {.2, .87}}}}},
      {{{kCurve,
         {{.7, .05},
          {.42, .2},
          {.22, .5},
          {.2, .75},
          {.42, .95},
          {.7, .88},
          {.78, .68},
          {.6, .52},
          {.36, .56},
          {.22, .72}}}}},
      {{{kLines, {{.17, .08}, {.82, .08}, {.42, .96}}}},
       {{kLines, {{.17, .08}, {.82, .08}, {.42, .96}}}, {kLines, {{.34, .5}, {.74, .5}}}}},
      {{{kLoop,
         {{.72, .18},
          {.5, .05},
          {.27, .18},
          {.36, .4},
          {.65, .58},
          {.75, .8},
          {.5, .95},
          {.25, .8},
          {.36, .58},
          {.64, .4}}}}},
      {{{kCurve,
         {{.76, .28}, {.55, .06}, {.28, .16}, {.24, .38}, {.48, .5}, {.7, .42}, {.77, .24}}},
        {kLines, {{.77, .22}, {.74, .6}, {.62, .96}}}},
       {{kCurve,
         {{.76, .28}, {.55, .06}, {.28, .16}, {.24, .38}, {.48, .5}, {.7, .42}, {.77, .24}}},
        {kCurve, {{.77, .22}, {.76, .66}, {.58, .94}, {.26, .88}}}}},
  };
  return skeletons;
}

// The stroke as a chain of short lines.
std::vector<Point> Flatten(const Stroke& stroke) {
  if (stroke.form == Stroke::kLines) return stroke.points;
  constexpr int kPieces = 6;
  int n = static_cast<int>(stroke.points.size());
  bool loop = stroke.form == Stroke::kLoop;
  auto at = [&](int i) { return stroke.points[loop ? (i + n) % n : std::clamp(i, 0, n - 1)]; };
  std::vector<Point> chain = {at(0)};
  for (int i = 0; i < (loop ? n : n - 1); ++i) {
    Point p0 = at(i - 1), p1 = at(i), p2 = at(i + 1), p3 = at(i + 2);
    auto blend = [](double a, double b, double c, double d, double t) {
      return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)));
    };
    for (int piece = 1; piece <= kPieces; ++piece) {
      double t = static_cast<double>(piece) / kPieces;
      chain.push_back({blend(p0.x, p1.x, p2.x, p3.x, t), blend(p0.y, p1.y, p2.y, p3.y, t)});
    }
  }
  return chain;
}

// How one writer forms one digit.
struct Hand {
  double xx, xy, yx, yy;  // affine map about the middle
  double dx, dy;          // place
  double shake;           // of the points
  double radius;          // of the pen, in image heights
  double ink;             // 0 to 1
};

Hand DrawHand(Random& random) {
  Hand hand;
  double turn = 0.15 * random.Normal();
  double slant = 0.22 * random.Normal();
  double height = random.Uniform(0.60, 0.76);
  double width = height * random.Uniform(0.58, 1.0);
  // A small turn as a shear in x and one in y.
  hand.xx = width;
  hand.xy = -(turn + slant) * width;
  hand.yx = turn * height;
  hand.yy = height;
  hand.dx = 0.5 + 0.04 * random.Normal();
  hand.dy = 0.5 + 0.04 * random.Normal();
  hand.shake = random.Uniform(0.01, 0.055);
  hand.radius = random.Uniform(0.026, 0.062);
  hand.ink = random.Uniform(0.8, 1.0);
  return hand;
}

// Lowers distance2 (squared, in image heights) to that of the pixel centres from the line a to b.
void TraceLine(Point a, Point b, double reach, int side, std::vector<double>& distance2) {
  auto first = [&](double low) { return std::max(0, static_cast<int>((low - reach) * side) - 1); };
  auto last = [&](double high) {
    return std::min(side - 1, static_cast<int>((high + reach) * side) + 1);
  };
  double ux = b.x - a.x, uy = b.y - a.y;
  double length2 = ux * ux + uy * uy;
  for (int row = first(std::min(a.y, b.y)); row <= last(std::max(a.y, b.y)); ++row) {
    for (int col = first(std::min(a.x, b.x)); col <= last(std::max(a.x, b.x)); ++col) {
      double px = (col + 0.5) / side - a.x, py = (row + 0.5) / side - a.y;
      double t = length2 > 0 ? std::clamp((px * ux + py * uy) / length2, 0.0, 1.0) : 0.0;
      double ex = px - t * ux, ey = py - t * uy;
      double& nearest = distance2[row * side + col];
      nearest = std::min(nearest, ex * ex + ey * ey);
    }
  }
}

void DrawDigit(int digit, int side, Random& random, uint8_t* pixels) {
  const std::vector<Skeleton>& forms = Skeletons()[digit];
  const Skeleton& skeleton = forms[random.Below(forms.size())];
  Hand hand = DrawHand(random);
  // The pen's edge fades over one pixel.
  double edge = 1.0 / side;
  std::vector<double> distance2(side * side, std::numeric_limits<double>::max());
  for (Stroke stroke : skeleton) {
    for (Point& point : stroke.points) {
      double x = point.x - 0.5 + hand.shake * random.Normal();
      double y = point.y - 0.5 + hand.shake * random.Normal();
      point = {hand.dx + hand.xx * x + hand.xy * y, hand.dy + hand.yx * x + hand.yy * y};
    }
    std::vector<Point> chain = Flatten(stroke);
    for (size_t i = 1; i < chain.size(); ++i) {
      TraceLine(chain[i - 1], chain[i], hand.radius + edge, side, distance2);
    }
  }
  for (int i = 0; i < side * side; ++i) {
    double cover = std::clamp((hand.radius - std::sqrt(distance2[i])) / edge + 0.5, 0.0, 1.0);
    double grain = cover > 0 ? 0.08 * random.Normal() : 0.0;
    double level = std::clamp(cover * (hand.ink + grain), 0.0, 1.0);
    pixels[i] = static_cast<uint8_t>(level * 255 + 0.5);
  }
}

}  // namespace

Dataset DrawDigits(int side, int samples, const std::string& stream) {
  Dataset data;
  data.source = "drawn digits";
  data.rows = data.cols = side;
  data.pixels.resize(static_cast<size_t>(samples) * side * side);
  data.labels.resize(samples);
  Random random(kDrawSeed, stream);
  for (int i = 0; i < samples; ++i) {
    int digit = static_cast<int>(random.Below(10));
    data.labels[i] = static_cast<uint8_t>(digit);
    DrawDigit(digit, side, random, data.pixels.data() + static_cast<size_t>(i) * side * side);
  }
  return data;
}

Dataset DrawColourDigits(int samples, const std::string& stream) {
  constexpr int kSide = 32, kChannels = 3, kPixels = kSide * kSide;
  Dataset data;
  data.source = "drawn digits in colour";
  data.channels = kChannels;
  data.rows = data.cols = kSide;
  data.pixels.resize(static_cast<size_t>(samples) * kChannels * kPixels);
  data.labels.resize(samples);
  Random random(kDrawSeed, stream);
  std::vector<uint8_t> mask(kPixels);
  for (int i = 0; i < samples; ++i) {
    const int digit = static_cast<int>(random.Below(10));
    data.labels[i] = static_cast<uint8_t>(digit);
    DrawDigit(digit, kSide, random, mask.data());
    const bool light_ink = random.Below(2) == 1;
    for (int channel = 0; channel < kChannels; ++channel) {
      const double dark = random.Uniform(0, 0.45), light = random.Uniform(0.55, 1);
      const double ink = light_ink ? light : dark, ground = light_ink ? dark : light;
      const double across = random.Uniform(-0.2, 0.2), down = random.Uniform(-0.2, 0.2);
      uint8_t* pixels =
          data.pixels.data() + (static_cast<size_t>(i) * kChannels + channel) * kPixels;
      for (int at = 0; at < kPixels; ++at) {
        const int row = at / kSide;
        const double shade = across * (at % kSide) / kSide + down * row / kSide;
        const double cover = mask[at] / 255.0;
        const double level = cover * ink + (1 - cover) * (ground + shade) + 0.02 * random.Normal();
        pixels[at] = static_cast<uint8_t>(std::clamp(level, 0.0, 1.0) * 255 + 0.5);
      }
    }
  }
  return data;
}

TrainTest DrawnColourDigits() {
  return {DrawColourDigits(kTrainSamples, "colour digits/train"),
          DrawColourDigits(kTestSamples, "colour digits/test")};
}

TrainTest DrawnDigits(int side) {
  return {DrawDigits(side, kTrainSamples, "digits/train"),
          DrawDigits(side, kTestSamples, "digits/test")};
}

}  // namespace vaultrain
