// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Networks that are no chains, and layers without weights, as the mapper maps them, on the golden
// machine beside the reference.

#include <gtest/gtest.h>

#include "unit/mapped_network.h"
#include "unit/onnx_builder.h"

namespace vaultrain {
namespace {

// Layers of one image format; every method returns the name of its output.
class Net {
 public:
  explicit Net(const Image& image) {
    b_.Input("x", {0, image.channels, image.height, image.width});
    images_["x"] = image;
  }

  std::string Conv(const std::string& x, int64_t channels, int64_t kernel, int64_t stride = 1) {
    const std::string name = fmt::format("conv{}", ++count_);
    const Image& from = images_.at(x);
    b_.Input(name + ".w", {channels, from.channels, kernel, kernel}).Input(name + ".b", {channels});
    b_.Node("Conv", name, {x, name + ".w", name + ".b"}, name + ".y");
    const int64_t pad = kernel / 2;
    b_.WithInts("pads", {pad, pad, pad, pad}).WithInts("strides", {stride, stride});
    auto out = [&](int64_t size) { return (size + 2 * pad - kernel) / stride + 1; };
    images_[name + ".y"] = {out(from.height), out(from.width), channels};
    return name + ".y";
  }
  // Of values of one shape, which the result has.
  std::string Same(const std::string& op, const std::vector<std::string>& inputs) {
    const std::string name = fmt::format("{}{}", op, ++count_);
    b_.Node(op, name, inputs, name + ".y");
    images_[name + ".y"] = images_.at(inputs[0]);
    return name + ".y";
  }
  std::string Relu(const std::string& x) { return Same("Relu", {x}); }
  Graph FullyConnected(const std::string& x, int64_t classes) {
    const int64_t features = images_.at(x).features();
    b_.Node("Flatten", "flat", {x}, "flat.y").Input("fc.w", {classes, features});
    b_.Node("Gemm", "fc", {"flat.y", "fc.w"}, "y", {{"transB", 1}}).Output("y", {0, classes});
    return ParseOnnx(b_.Bytes(), "net");
  }

  OnnxBuilder& builder() { return b_; }
  std::map<std::string, Image>& images() { return images_; }

 private:
  OnnxBuilder b_;
  std::map<std::string, Image> images_;
  int count_ = 0;
};

void ExpectBothFormatsTrain(const Graph& net, int batch, std::vector<std::string> overrides = {}) {
  {
    SCOPED_TRACE("fp32");
    std::vector<std::string> wide = overrides;
    wide.insert(wide.end(), {"operand_format=fp32", "array.lanes=8"});
    ExpectTrainsLikeReference(MapGraph(net, batch, wide), 3, 4e-5);
  }
  SCOPED_TRACE("bf16");
  ExpectTrainsLikeReference(MapGraph(net, batch, overrides), 2, 0.2);
}

TEST(Branches, ResidualsTrainLikeTheReference) {
  Net net({9, 7, 3});
  const std::string first = net.Relu(net.Conv("x", 12, 3));
  const std::string inside = net.Conv(net.Relu(net.Conv(first, 20, 3)), 12, 3);
  const std::string sum = net.Relu(net.Same("Add", {inside, first}));
  const std::string strided = net.Conv(sum, 24, 3, 2);
  const std::string shortcut = net.Conv(sum, 24, 1, 2);
  const Graph graph = net.FullyConnected(net.Relu(net.Same("Add", {strided, shortcut})), 7);
  ExpectBothFormatsTrain(graph, 16);
  ExpectBothFormatsTrain(graph, 21);
  ExpectBothFormatsTrain(graph, 32, Mesh(2, 1));
}

TEST(Branches, ManyUsesOfOneOutput) {
  Net net({6, 6, 2});
  const std::string x = net.Relu(net.Conv("x", 8, 3));
  const std::string a = net.Conv(x, 8, 3);
  const std::string b = net.Conv(x, 8, 1);
  const std::string twice = net.Same("Add", {x, x});
  ExpectBothFormatsTrain(net.FullyConnected(net.Same("Add", {net.Same("Add", {a, b}), twice}), 5),
                         16);
}

TEST(Branches, ActivationsAndProducts) {
  Net net({6, 5, 2});
  const std::string x = net.Same("LeakyRelu", {net.Conv("x", 12, 3)});
  const std::string gate = net.Same("Sigmoid", {net.Conv(x, 10, 3)});
  const std::string value = net.Same("Tanh", {net.Conv(x, 10, 3)});
  const Graph graph = net.FullyConnected(net.Relu(net.Same("Mul", {gate, value})), 5);
  ExpectBothFormatsTrain(graph, 20);
  ExpectBothFormatsTrain(graph, 32, Mesh(2, 1));
}

}  // namespace
}  // namespace vaultrain
