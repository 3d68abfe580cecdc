// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Small chains of convolutions, pooling and products with random windows, as ONNX with weights.

#ifndef VAULTRAIN_VERIF_UNIT_CHAIN_DRAW_H_
#define VAULTRAIN_VERIF_UNIT_CHAIN_DRAW_H_

#include <fmt/format.h>

#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "network/onnx_proto.h"
#include "onnx_builder.h"
#include "vaultrain/error.h"
#include "vaultrain/random.h"
#include "vaultrain/training_graph.h"

namespace vaultrain {

class ChainDraw {
 public:
  explicit ChainDraw(Random& random) : random_(random) {}

  // A chain that can be trained; text() says what it is.
  Graph Draw() {
    for (;;) {
      try {
        Graph graph = ParseOnnx(DrawBytes(), "drawn");
        Differentiate(graph, 1);
        return graph;
      } catch (const Error&) {
        // Windows that do not fit the image or see nothing of it; draw again.
      }
    }
  }

  const std::string& text() const { return text_; }
  // The ONNX file of what was drawn last.
  std::string bytes() const { return b_.Bytes(); }

 private:
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(high - low + 1)));
  }

  std::string DrawBytes() {
    rank_ = Between(1, 4) == 1 ? 1 : 2;
    b_ = OnnxBuilder();
    from_ = "x";
    layers_ = 0;
    convolved_ = false;
    channels_ = Between(1, 3);
    std::vector<int64_t> shape = {0, channels_};
    for (int i = 0; i < rank_; ++i) shape.push_back(Between(4, rank_ == 1 ? 14 : 9));
    b_.Input("x", shape);
    text_ = ShapeText(shape);
    for (int64_t n = Between(1, 4); n > 0; --n) {
      AddLayer(n);
      if (Between(0, 2) > 0 && convolved_) Step("Relu", {});
    }
    AddEnd();
    return b_.Bytes();
  }

  // The next node, from the output of the last.
  void Step(const std::string& op, std::vector<std::string> parameters) {
    parameters.insert(parameters.begin(), from_);
    from_ = fmt::format("t{}", layers_);
    b_.Node(op, fmt::format("{}{}", op, layers_), parameters, from_);
    text_ += " " + op;
    ++layers_;
  }

  void List(const std::string& key, const std::vector<int64_t>& values) {
    b_.WithInts(key, values);
    text_ += fmt::format(" {} {}", key, ShapeText(values));
  }

  void Int(const std::string& key, int64_t value) {
    b_.With(key, value);
    text_ += fmt::format(" {} {}", key, value);
  }

  std::vector<int64_t> Each(int64_t low, int64_t high, int count) {
    std::vector<int64_t> values;
    for (int i = 0; i < count; ++i) values.push_back(Between(low, high));
    return values;
  }

  void AddLayer(int64_t left) {
    const std::vector<int64_t> kernel = Each(1, 3, rank_);
    const int64_t kind = !convolved_ && (left == 1 || Between(0, 2) > 0) ? 0 : Between(0, 4);
    if (kind == 3) {
      Step("MaxPool", {});
      List("kernel_shape", kernel);
    } else if (kind == 4) {
      Step("AveragePool", {});
      List("kernel_shape", kernel);
      Int("count_include_pad", Between(0, 1));
    } else {
      const int64_t out = Between(1, 4);
      const int64_t groups = Between(0, 1) ? std::gcd(channels_, out) : 1;
      std::vector<int64_t> shape = {out, channels_ / groups};
      shape.insert(shape.end(), kernel.begin(), kernel.end());
      const std::string w = fmt::format("w{}", layers_), bias = fmt::format("b{}", layers_);
      b_.Drawn(w, shape, random_);
      channels_ = out;
      convolved_ = true;
      if (Between(0, 2) == 0) {
        Step("Conv", {w});
      } else {
        b_.Drawn(bias, {out}, random_);
        Step("Conv", {w, bias});
      }
      if (groups > 1) Int("group", groups);
    }
    if (Between(0, 1)) List("strides", Each(1, 3, rank_));
    if (kind < 4 && Between(0, 2) == 0) List("dilations", Each(1, 2, rank_));
    if (Between(0, 3) == 0) {
      const char* kModes[] = {"VALID", "SAME_UPPER", "SAME_LOWER"};
      const char* mode = kModes[Between(0, 2)];
      b_.WithText("auto_pad", mode);
      text_ += fmt::format(" {}", mode);
    } else if (Between(0, 1)) {
      std::vector<int64_t> pads;
      for (int i = 0; i < 2 * rank_; ++i) pads.push_back(Between(0, kernel[i % rank_] - 1));
      List("pads", pads);
    }
    if (kind >= 3 && Between(0, 2) == 0) Int("ceil_mode", 1);
  }

  void AddEnd() {
    if (Between(0, 3) == 0 && channels_ > 1 && convolved_) {
      Step(Between(0, 1) ? "GlobalAveragePool" : "GlobalMaxPool", {});
      b_.graph()->add_output()->set_name(from_);
      return;
    }
    Step("Flatten", {});
    b_.graph()->add_output()->set_name(from_);
    const Graph so_far = ParseOnnx(b_.Bytes(), "drawn");
    const int64_t features = so_far.tensors[so_far.output].shape[1];
    const int64_t classes = Between(2, 4);
    b_.Drawn("b", {classes}, random_);
    if (Between(0, 1)) {
      b_.Drawn("w", {classes, features}, random_);
      Step("Gemm", {"w", "b"});
      b_.With("transB", 1);
    } else {
      b_.Drawn("w", {features, classes}, random_);
      Step("MatMul", {"w"});
      Step("Add", {"b"});
    }
    b_.graph()->mutable_output(0)->set_name(from_);
  }

  Random& random_;
  OnnxBuilder b_;
  int rank_ = 2;
  int64_t channels_ = 1;
  bool convolved_ = false;
  int layers_ = 0;
  std::string from_, text_;
};

}  // namespace vaultrain

#endif  // VAULTRAIN_VERIF_UNIT_CHAIN_DRAW_H_
