// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Values of a sample at other places: what Transpose, Reshape, Slice, Gather, Concat, broadcasting
// and LayerNormalization make of pixels and channels, on the golden machine beside the reference.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/mapped_network.h"
#include "unit/onnx_builder.h"
#include "vaultrain/error.h"

namespace vaultrain {
namespace {

class Net {
 public:
  explicit Net(const std::vector<int64_t>& input) { b_.Input("x", input); }

  // To images of the same size.
  std::string Conv(const std::string& x, int64_t from, int64_t to, int64_t kernel = 3) {
    const std::string y = Parameter({to, from, kernel, kernel}, "Conv", x);
    b_.WithInts("pads", {kernel / 2, kernel / 2, kernel / 2, kernel / 2});
    return y;
  }
  std::string MatMul(const std::string& x, int64_t from, int64_t to) {
    return Parameter({from, to}, "MatMul", x);
  }
  std::string Reshape(const std::string& x, const std::vector<int64_t>& shape) {
    const std::string list = Name("shape");
    b_.Ints(list, shape);
    return Node("Reshape", {x, list});
  }
  std::string Transpose(const std::string& x, const std::vector<int64_t>& perm) {
    const std::string y = Node("Transpose", {x});
    b_.WithInts("perm", perm);
    return y;
  }
  std::string Slice(const std::string& x, const std::vector<int64_t>& starts,
                    const std::vector<int64_t>& ends, const std::vector<int64_t>& axes,
                    const std::vector<int64_t>& steps) {
    const std::string list = Name("slice");
    b_.Ints(list + "s", starts).Ints(list + "e", ends).Ints(list + "a", axes).Ints(list, steps);
    return Node("Slice", {x, list + "s", list + "e", list + "a", list});
  }
  std::string Gather(const std::string& x, int64_t axis, const std::vector<int64_t>& places) {
    const std::string list = Name("places");
    b_.Ints(list, places);
    const std::string y = Node("Gather", {x, list});
    b_.With("axis", axis);
    return y;
  }
  std::string Concat(const std::vector<std::string>& inputs, int64_t axis) {
    const std::string y = Node("Concat", inputs);
    b_.With("axis", axis);
    return y;
  }
  std::string LayerNorm(const std::string& x, int64_t axis, const std::vector<int64_t>& shape) {
    const std::string list = Name("ln");
    b_.Input(list + ".s", shape).Input(list + ".b", shape);
    const std::string y = Node("LayerNormalization", {x, list + ".s", list + ".b"});
    b_.With("axis", axis);
    return y;
  }
  std::string BatchNorm(const std::string& x, int64_t channels, int64_t training) {
    const std::string list = Name("bn");
    for (const char* of : {".s", ".b", ".m", ".v"}) b_.Input(list + of, {channels});
    const std::string y =
        Node("BatchNormalization", {x, list + ".s", list + ".b", list + ".m", list + ".v"});
    b_.With("training_mode", training);
    return y;
  }
  std::string Node(const std::string& op, const std::vector<std::string>& inputs) {
    const std::string name = Name(op);
    b_.Node(op, name, inputs, name + ".y");
    return name + ".y";
  }
  Graph FullyConnected(const std::string& x, int64_t features, int64_t classes = 5) {
    b_.Node("Flatten", "flat", {x}, "flat.y").Input("fc.w", {classes, features});
    b_.Node("Gemm", "fc", {"flat.y", "fc.w"}, "y", {{"transB", 1}}).Output("y", {0, classes});
    return ParseOnnx(b_.Bytes(), "net");
  }
  OnnxBuilder& builder() { return b_; }

 private:
  std::string Name(const std::string& of) { return fmt::format("{}{}", of, ++count_); }
  std::string Parameter(const std::vector<int64_t>& shape, const std::string& op,
                        const std::string& x) {
    const std::string w = Name("w");
    b_.Input(w, shape);
    return Node(op, {x, w});
  }

  OnnxBuilder b_{21};
  int count_ = 0;
};

int CountOf(const TrainingGraph& graph, TrainingOpKind kind) {
  return static_cast<int>(std::count_if(graph.ops.begin(), graph.ops.end(),
                                        [&](const TrainingOp& op) { return op.kind == kind; }));
}

// In FF, and in BP of what is taken at most once, not a bit changes.
void ExpectExact(const Mapped& s) {
  const std::unique_ptr<Device> device = MakeGoldenDevice(s.variant, s.dram);
  device->Load(s.program.image);
  Random random(7, "arrange");
  TrainStep(s, DrawStep(s, 0, random), 0, 0.01F, *device);
  if (testing::Test::HasFatalFailure()) return;
  auto values = [&](int tensor) {
    return Gather(TensorOf(s.program, s.graph.tensors[tensor].name), *device);
  };
  for (const TrainingOp& op : s.graph.ops) {
    if (op.kind != TrainingOpKind::kArrange) continue;
    const TrainingLayer& layer = s.graph.layers[op.layer];
    const bool forward = op.phase == Phase::kFeedForward;
    const int to = op.Tensor(forward ? Role::kY : Role::kDx);
    const std::vector<float> got = values(to);
    std::vector<float> want(got.size());
    std::vector<int> terms(got.size());
    const int64_t count = layer.to.features();
    int64_t first = forward ? 0 : op.first_place;
    for (const int from : op.Tensors(forward ? Role::kX : Role::kDz)) {
      const std::vector<float> source = values(from);
      const int64_t of_sample = s.graph.tensors[forward ? from : to].cols;
      for (int64_t i = 0; i < s.graph.batch * count; ++i) {
        const int64_t place = layer.places[i % count] - first;
        if (place < 0 || place >= of_sample) continue;
        const int64_t at = i / count * of_sample + place;
        want[forward ? i : at] = source[forward ? at : i];
        ++terms[forward ? i : at];
      }
      first += of_sample;
    }
    for (size_t i = 0; i < got.size(); ++i) {
      if (terms[i] > 1) continue;
      ASSERT_EQ(got[i], want[i]) << s.graph.tensors[to].name << " " << i;
    }
  }
}

// Small networks at a large rate drift apart in bf16 within a few steps.
void ExpectFormatsTrain(const Graph& net, int batch, std::vector<std::string> overrides = {}) {
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), overrides.begin(), overrides.end());
    return more;
  };
  const std::vector<std::vector<std::string>> formats = {
      with({"operand_format=fp32", "array.lanes=8"}), WithFx32Gradients(overrides), with({}),
      with({"operand_format=fp16", "array.align_bits=36"}),
      with({"operand_format=fx16", "array.align_bits=36", "rounding=stochastic"})};
  for (size_t i = 0; i < formats.size(); ++i) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(formats[i], " ")));
    const Mapped s = MapGraph(net, batch, formats[i]);
    if (i == 0) {
      ExpectTrainsLikeReference(s, 3, 4e-5);
    } else if (i < 3) {
      ExpectTrainsLikeReference(s, 2, 0.25, 1e-3);
    }
    ExpectExact(s);
    if (testing::Test::HasFatalFailure()) return;
  }
}

// Channels [C,2,2] become blocks of 2 x 2 pixels.
TEST(Arrange, APixelShuffle) {
  Net net({0, 3, 4, 5});
  std::string x = net.Node("Relu", {net.Conv("x", 3, 20)});
  x = net.Transpose(net.Reshape(x, {0, 5, 2, 2, 4, 5}), {0, 1, 4, 2, 5, 3});
  x = net.Node("Relu", {net.Conv(net.Reshape(x, {0, 5, 8, 10}), 5, 6)});
  const Graph graph = net.FullyConnected(x, 6 * 80);
  EXPECT_EQ(CountOf(Differentiate(graph, 4), TrainingOpKind::kArrange), 2);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 21, {"array.cols=8"});
  ExpectFormatsTrain(graph, 32, Mesh(2, 1));
}

// Products over the steps between products over the channels.
TEST(Arrange, StepsAndChannelsChangePlaces) {
  Net net({0, 6, 9});
  std::string x = net.LayerNorm(net.MatMul("x", 9, 21), 2, {21});
  std::string y = net.Node("Relu", {net.MatMul(net.Transpose(x, {0, 2, 1}), 6, 10)});
  y = net.Transpose(net.MatMul(y, 10, 6), {0, 2, 1});
  const Graph graph = net.FullyConnected(net.Node("Add", {x, y}), 6 * 21);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 37, {"array.cols=8"});
  ExpectFormatsTrain(graph, 32, Mesh(2, 1));
}

TEST(Arrange, EverySecondAndBackwards) {
  Net net({0, 2, 6, 7});
  const std::string x = net.Node("Relu", {net.Conv("x", 2, 13)});
  const std::string strided = net.Slice(x, {1, 0}, {6, 7}, {2, 3}, {2, 2});         // [13,3,4]
  const std::string turned = net.Slice(x, {-1, -1}, {-99, -99}, {1, 3}, {-1, -1});  // [13,6,7]
  const std::string some = net.Slice(x, {12}, {-99}, {1}, {-5});                    // [3,6,7]
  const std::string all =
      net.Concat({net.Node("Flatten", {net.Conv(strided, 13, 5)}),
                  net.Node("Flatten", {net.Conv(turned, 13, 3)}), net.Node("Flatten", {some})},
                 1);
  const Graph graph = net.FullyConnected(all, 5 * 12 + 3 * 42 + 3 * 42);
  ExpectFormatsTrain(graph, 16);
}

// More lanes than a program has registers for.
TEST(Arrange, SixteenLanes) {
  Net net({0, 2, 4, 5});
  std::string x = net.Node("Relu", {net.Conv("x", 2, 50)});
  x = net.Gather(net.Transpose(x, {0, 2, 1, 3}), 2, {49, 3, 3, 3, 17, 3, 20, 0, 31});  // [4,9,5]
  const Graph graph = net.FullyConnected(net.Reshape(x, {0, 180}), 180);
  const Mapped s = MapGraph(graph, 32, {"array.cols=16", "array.lanes=32", "array.acc_depth=64"});
  ExpectTrainsLikeReference(s, 2, 0.25, 1e-3);
  ExpectExact(s);
}

// Values that are taken several times, and others that are not.
TEST(Arrange, PlacesTakenTwice) {
  Net net({0, 2, 5, 6});
  const std::string x = net.Node("Relu", {net.Conv("x", 2, 11)});
  const std::string channels = net.Gather(x, 1, {3, -1, 3, 0, 3, 3, 7});
  const std::string rows = net.Gather(channels, 2, {4, 4, 0});
  const Graph graph = net.FullyConnected(net.Conv(rows, 7, 4), 4 * 18);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 32, Mesh(2, 1));
}

TEST(Arrange, ConcatenationsOfPixels) {
  Net net({0, 2, 4, 5});
  const std::string a = net.Node("Relu", {net.Conv("x", 2, 11)});
  const std::string b = net.Conv(a, 11, 11);
  const std::string part = net.Slice(b, {0}, {2}, {3}, {1});
  const std::string wide = net.Concat({a, part, a}, 3);  // [11,4,12]
  const std::string both = net.Concat({wide, net.Concat({b, b, part}, 3)}, 2);
  const Graph graph = net.FullyConnected(net.Conv(both, 11, 3), 3 * 96);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 34, Mesh(2, 1));
}

TEST(Arrange, Broadcasts) {
  Net net({0, 2, 4, 5});
  const std::string x = net.Node("Relu", {net.Conv("x", 2, 12)});
  const std::string mean = net.Node("GlobalAveragePool", {net.Conv(x, 12, 12)});
  const std::string scaled = net.Node("Mul", {x, net.Node("Sigmoid", {mean})});
  // [12,4,1] and [1,1,5] meet in [12,4,5].
  const std::string column = net.Slice(net.Conv(x, 12, 12), {2}, {3}, {3}, {1});
  const std::string row = net.Slice(net.Conv(x, 12, 3), {1, 3}, {2, 4}, {1, 2}, {1, 1});
  const std::string sum = net.Node("Sub", {net.Node("Add", {column, row}), scaled});
  const Graph graph = net.FullyConnected(net.Node("Relu", {sum}), 240);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 34, Mesh(2, 1));
}

TEST(Arrange, LayerNormalisationFromAnyAxis) {
  Net net({0, 3, 4, 5});
  std::string x = net.LayerNorm("x", 3, {5});
  x = net.LayerNorm(net.Conv(x, 3, 7), 1, {7, 4, 5});
  x = net.LayerNorm(net.Node("Relu", {net.Conv(x, 7, 6)}), 2, {4, 5});
  const Graph graph = net.FullyConnected(x, 120);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 34, Mesh(2, 1));
}

// A sample's numbers as other images.
TEST(Arrange, ReshapesOfImages) {
  Net net({0, 60});
  const std::string x = net.Node("Relu", {net.Conv(net.Reshape("x", {0, 3, 4, 5}), 3, 8)});
  const std::string y = net.Conv(net.Reshape(x, {0, 5, 8, 4}), 5, 4);
  const std::string z = net.MatMul(net.Reshape(y, {0, 16, 8}), 8, 7);
  const Graph graph = net.FullyConnected(net.Node("Tanh", {z}), 112);
  ExpectFormatsTrain(graph, 16);
}

// The host lays out what the first node takes; other nodes take it from there.
TEST(Arrange, TheInputItself) {
  Net net({0, 4, 5, 3});
  const std::string x = net.Conv(net.Transpose("x", {0, 3, 1, 2}), 3, 6);
  const Graph first = net.FullyConnected(x, 120);
  EXPECT_EQ(CountOf(Differentiate(first, 4), TrainingOpKind::kArrange), 0);
  ExpectFormatsTrain(first, 16);

  Net both({0, 4, 5, 6});
  const std::string a = both.Conv(both.Transpose("x", {0, 3, 1, 2}), 6, 7);
  const std::string b = both.Conv(both.Slice("x", {-1}, {-99}, {3}, {-2}), 4, 7);  // [4,5,3]
  const Graph second = both.FullyConnected(
      both.Concat({both.Node("Flatten", {a}), both.Node("Flatten", {b})}, 1), 140 + 105);
  // The slice; and both flat images side by side, whose gradients go back one by one.
  EXPECT_EQ(CountOf(Differentiate(second, 4), TrainingOpKind::kArrange), 4);
  ExpectFormatsTrain(second, 16);
}

TEST(Arrange, NormalisationOfTheInput) {
  for (const int64_t training : {0, 1}) {
    Net net({0, 3, 4, 5});
    const Graph graph = net.FullyConnected(net.Conv(net.BatchNorm("x", 3, training), 3, 6), 120);
    ExpectFormatsTrain(graph, 16);
    ExpectFormatsTrain(graph, 34, Mesh(2, 1));
  }
}

TEST(Arrange, BatchNormalisationByFixedStatistics) {
  Net net({0, 3, 4, 5});
  std::string x = net.BatchNorm(net.Conv("x", 3, 14), 14, 0);
  x = net.BatchNorm(net.Conv(net.Node("Relu", {x}), 14, 6), 6, 0);
  const Graph graph = net.FullyConnected(x, 120);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 34, Mesh(2, 1));
}

// Tiles of some of the samples, of parts of long rows, and of parts of the result.
TEST(Arrange, ImagesThatDoNotFit) {
  Net net({0, 3, 24, 24});
  std::string x = net.Node("Relu", {net.Conv("x", 3, 16)});
  x = net.Transpose(net.Reshape(x, {0, 4, 2, 2, 24, 24}), {0, 1, 4, 2, 5, 3});
  x = net.Conv(net.Reshape(x, {0, 4, 48, 48}), 4, 1);
  x = net.LayerNorm(x, 1, {1, 48, 48});
  x = net.Node("MaxPool", {net.Conv(x, 1, 4)});
  net.builder().WithInts("kernel_shape", {4, 4}).WithInts("strides", {4, 4});
  const Graph graph = net.FullyConnected(x, 4 * 144);
  const Mapped s =
      MapGraph(graph, 16, {"operand_format=fp32", "array.lanes=8", "scratchpad.kib=512"});
  ExpectTrainsLikeReference(s, 1, 4e-5);
  ExpectExact(s);
}

}  // namespace
}  // namespace vaultrain
