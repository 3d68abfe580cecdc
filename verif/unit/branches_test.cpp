// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Networks that are no chains, and layers without weights, as the mapper maps them, on the golden
// machine beside the reference.

#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "unit/mapped_network.h"
#include "unit/onnx_builder.h"
#include "vaultrain/explain.h"
#include "vaultrain/networks.h"

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
  OnnxBuilder b_{21};
  std::map<std::string, Image> images_;
  int count_ = 0;
};

// Small networks at a large rate drift apart in bf16 within a few steps.
void ExpectFormatsTrain(const Graph& net, int batch, std::vector<std::string> overrides = {},
                        int narrow_steps = 2) {
  {
    SCOPED_TRACE("fp32");
    std::vector<std::string> wide = overrides;
    wide.insert(wide.end(), {"operand_format=fp32", "array.lanes=8"});
    ExpectTrainsLikeReference(MapGraph(net, batch, wide), 3, 4e-5);
  }
  {
    SCOPED_TRACE("gradients of fx32");
    ExpectTrainsLikeReference(MapGraph(net, batch, WithFx32Gradients(overrides)), narrow_steps,
                              0.25, 1e-3);
  }
  SCOPED_TRACE("bf16");
  ExpectTrainsLikeReference(MapGraph(net, batch, overrides), narrow_steps, 0.25, 1e-3);
}

TEST(Branches, ResidualsTrainLikeTheReference) {
  Net net({9, 7, 3});
  const std::string first = net.Relu(net.Conv("x", 12, 3));
  const std::string inside = net.Conv(net.Relu(net.Conv(first, 20, 3)), 12, 3);
  const std::string sum = net.Relu(net.Same("Add", {inside, first}));
  const std::string strided = net.Conv(sum, 24, 3, 2);
  const std::string shortcut = net.Conv(sum, 24, 1, 2);
  const Graph graph = net.FullyConnected(net.Relu(net.Same("Add", {strided, shortcut})), 7);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 21);
  ExpectFormatsTrain(graph, 32, Mesh(2, 1));
}

// Gradients without a mask that go back in two parts of their channels, of 16 samples that could
// take turns.
TEST(Branches, GradientsOfFx32InPartsOfTheirChannels) {
  Net net({4, 5, 3});
  const Graph graph = net.FullyConnected(net.Conv(net.Conv("x", 64, 3), 128, 3), 5);
  ExpectTrainsLikeReference(MapGraph(graph, 16, WithFx32Gradients({"scratchpad.kib=256"})), 1, 0.1,
                            1e-3);
}

TEST(Branches, ManyUsesOfOneOutput) {
  Net net({6, 6, 2});
  const std::string x = net.Relu(net.Conv("x", 8, 3));
  const std::string a = net.Conv(x, 8, 3);
  const std::string b = net.Conv(x, 8, 1);
  const std::string twice = net.Same("Add", {x, x});
  ExpectFormatsTrain(net.FullyConnected(net.Same("Add", {net.Same("Add", {a, b}), twice}), 5), 16);
}

// The classes are the channels of the last convolution.
TEST(Branches, AMeanAtTheEnd) {
  Net net({5, 4, 2});
  const std::string x = net.Conv(net.Relu(net.Conv("x", 12, 3)), 7, 3);
  net.builder().Node("GlobalAveragePool", "mean", {x}, "mean.y");
  net.builder().Node("Flatten", "flat", {"mean.y"}, "y").Output("y", {0, 7});
  const Graph graph = ParseOnnx(net.builder().Bytes(), "net");
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 34, Mesh(2, 1));
}

TEST(Branches, ActivationsAndProducts) {
  Net net({6, 5, 2});
  const std::string x = net.Same("LeakyRelu", {net.Conv("x", 12, 3)});
  const std::string gate = net.Same("Sigmoid", {net.Conv(x, 10, 3)});
  const std::string value = net.Same("Tanh", {net.Conv(x, 10, 3)});
  const Graph graph = net.FullyConnected(net.Relu(net.Same("Mul", {gate, value})), 5);
  ExpectFormatsTrain(graph, 20);
  ExpectFormatsTrain(graph, 32, Mesh(2, 1));
}

// Attention of `steps` steps of 6 values: products with either operand turned, and their softmax.
Graph Attention(int64_t steps, int64_t depth) {
  OnnxBuilder b(21);
  b.Input("x", {0, steps, 6});
  for (const char* name : {"q", "k", "v"}) {
    b.Input(std::string(name) + ".w", {6, depth});
    b.Node("MatMul", name, {"x", std::string(name) + ".w"}, std::string(name) + ".y");
  }
  b.Node("Transpose", "turn", {"k.y"}, "k.t").WithInts("perm", {0, 2, 1});
  // Small enough for numbers of fixed point.
  b.Scalar("scale", 0.5f / std::sqrt(static_cast<float>(depth)));
  b.Node("Mul", "scaled", {"q.y", "scale"}, "z").Node("MatMul", "scores", {"z", "k.t"}, "s");
  b.Node("Softmax", "weights", {"s"}, "p").Node("MatMul", "values", {"p", "v.y"}, "c");
  b.Scalar("steps", static_cast<float>(steps)).Node("Div", "share", {"c", "steps"}, "m");
  b.Node("Transpose", "back", {"m"}, "c.t").WithInts("perm", {0, 2, 1});
  b.Node("MatMul", "again", {"c.t", "k.y"}, "g");
  b.Node("Flatten", "flat", {"g"}, "f").Input("w", {depth * depth, 5});
  b.Node("MatMul", "fc", {"f", "w"}, "y").Output("y", {0, 5});
  return ParseOnnx(b.Bytes(), "net");
}

TEST(Branches, AttentionTrainsLikeTheReference) {
  ExpectFormatsTrain(Attention(5, 7), 16);
  ExpectFormatsTrain(Attention(16, 16), 21);
  ExpectFormatsTrain(Attention(19, 24), 32, Mesh(2, 1));
}

// Heads side by side in the channels, of whole accesses and not.
TEST(Branches, HeadsTrainLikeTheReference) {
  for (const int64_t depth : {16, 5}) {
    OnnxBuilder b(21);
    b.Input("x", {0, 6, 7}).Ints("split", {0, 6, 3, depth}).Ints("join", {0, 6, 3 * depth});
    for (const std::string name : {"q", "k", "v"}) {
      b.Input(name + ".w", {7, 3 * depth}).Node("MatMul", name, {"x", name + ".w"}, name + ".y");
      b.Node("Reshape", name + ".split", {name + ".y", "split"}, name + ".s");
      b.Node("Transpose", name + ".heads", {name + ".s"}, name + ".h");
      b.WithInts("perm",
                 name == "k" ? std::vector<int64_t>{0, 2, 3, 1} : std::vector<int64_t>{0, 2, 1, 3});
    }
    b.Scalar("scale", 0.5f / std::sqrt(static_cast<float>(depth)));
    b.Node("Mul", "scaled", {"q.h", "scale"}, "z").Node("MatMul", "scores", {"z", "k.h"}, "s");
    b.Node("Softmax", "weights", {"s"}, "p").Node("MatMul", "values", {"p", "v.h"}, "c");
    b.Node("Transpose", "back", {"c"}, "c.t").WithInts("perm", {0, 2, 1, 3});
    b.Node("Reshape", "joined", {"c.t", "join"}, "j").Input("o.w", {3 * depth, 7});
    b.Node("MatMul", "out", {"j", "o.w"}, "o").Node("Add", "residual", {"o", "x"}, "r");
    b.Node("Flatten", "flat", {"r"}, "f").Input("w", {42, 5});
    b.Node("MatMul", "fc", {"f", "w"}, "y").Output("y", {0, 5});
    const Graph graph = ParseOnnx(b.Bytes(), "net");
    ExpectFormatsTrain(graph, 16);
    ExpectFormatsTrain(graph, 6, Mesh(2, 1));
  }
}

// Rows of a matrix in several jobs, and few samples at a time.
TEST(Branches, LongAttention) {
  const Graph graph = Attention(150, 10);
  ExpectFormatsTrain(graph, 4, {"scratchpad.kib=256", "array.acc_depth=128"});
}

TEST(Branches, DifferencesAndQuotients) {
  Net net({6, 5, 2});
  const std::string x = net.Relu(net.Conv("x", 12, 3));
  const std::string a = net.Conv(x, 10, 3), b = net.Conv(x, 10, 1);
  const std::string difference = net.Relu(net.Same("Sub", {a, net.Relu(b)}));
  // 0.27 to 0.73, so that rounding errors do not grow.
  const std::string divisor = net.Same("Sigmoid", {net.Same("Tanh", {net.Conv(x, 10, 3)})});
  const std::string quotient = net.Same("Div", {net.Same("Tanh", {difference}), divisor});
  const Graph graph = net.FullyConnected(quotient, 5);
  ExpectFormatsTrain(graph, 20);
  ExpectFormatsTrain(graph, 32, Mesh(2, 1));
}

// What functions and quotients make of the zeros behind the channels of a pixel does not get into
// the weights that meet it.
TEST(Branches, NothingComesFromBehindTheChannels) {
  for (const int64_t channels : std::vector<int64_t>{13, 8, 5}) {
    SCOPED_TRACE(channels);
    Net net({5, 4, 3});
    const std::string a = net.Same("Sigmoid", {net.Conv("x", channels, 3)});
    // Divided by 0.27 to 0.73, so that rounding errors do not grow.
    const std::string divisor = net.Same("Sigmoid", {net.Same("Tanh", {net.Conv(a, channels, 3)})});
    const std::string quotient = net.Same("Div", {net.Same("Tanh", {a}), divisor});
    ExpectFormatsTrain(net.FullyConnected(net.Conv(quotient, 6, 3), 5), 16);
  }
}

// Classes of steps as rows of a table, into an LSTM; those of tinyshakespeare, and one more than a
// word.
TEST(Embedding, TrainsLikeTheReference) {
  ExpectFormatsTrain(ParseOnnx(MakeTokens("net", 5, 65, 24, 32, 5), "net"), 16);
  ExpectFormatsTrain(ParseOnnx(MakeTokens("net", 3, 17, 20, 16, 5), "net"), 37);
  ExpectFormatsTrain(ParseOnnx(MakeTokens("net", 4, 65, 24, 32, 5), "net"), 32, Mesh(2, 1));
}

// The product with a one is the row itself, rounded to an operand once.
TEST(Embedding, GivesTheRowsOfTheTable) {
  const Mapped s = MapGraph(ParseOnnx(MakeTokens("net", 4, 65, 24, 32, 5), "net"), 16, {});
  const std::unique_ptr<Device> device = MakeGoldenDevice(s.variant, s.dram);
  device->Load(s.program.image);
  StepData batch;
  batch.inputs.resize(16 * 4 * 65);
  batch.labels.assign(16, 0);
  Random random(7, "embedding");
  std::vector<size_t> tokens;
  for (size_t i = 0; i < 16 * 4; ++i) {
    tokens.push_back(random.Below(65));
    batch.inputs[i * 65 + tokens.back()] = 1;
  }
  for (const ProgramSegment& segment : BatchSegments(s.program, batch)) {
    device->Write(segment.address, segment.bytes);
  }
  SetStep(*device, s.recipe, 0, 0.1f);
  ASSERT_EQ(device->Run(s.program.Stream("infer")).error, isa::ErrorCode::kNone);
  const std::vector<float> table = Gather(TensorOf(s.program, "embed.W"), *device);  // [24][65]
  const std::vector<float> y = Gather(TensorOf(s.program, "embed.Y"), *device);      // [16][24][4]
  ProgramTensor operand;
  operand.format = ElementFormat::kBf16;
  operand.rows = 1;
  operand.cols = 1;
  operand.pitch_bytes = isa::kAccessBytes;
  for (size_t i = 0; i < y.size(); ++i) {
    const size_t sample = i / 96, value = i / 4 % 24, step = i % 4;
    const float row = table[value * 65 + tokens[sample * 4 + step]];
    const std::vector<float> one = {row};
    EXPECT_EQ(y[i], DecodeTensor(operand, EncodeTensor(operand, one))[0]) << i;
  }
}

// x -> conv -> Relu -> Dropout -> conv -> Dropout -> fc.
Graph WithDropouts() {
  Net net({6, 5, 2});
  net.builder().Scalar("ratio", 0.25f).BoolScalar("on", true);
  auto dropped = [&](const std::string& x) { return net.Same("Dropout", {x, "ratio", "on"}); };
  const std::string x = dropped(net.Relu(net.Conv("x", 12, 3)));
  return net.FullyConnected(dropped(net.Conv(x, 20, 3)), 5);
}

TEST(Dropout, TrainsLikeTheReference) {
  ExpectFormatsTrain(WithDropouts(), 20);
  ExpectFormatsTrain(WithDropouts(), 64, Mesh(2, 1));
  // Tiles of the lanes that differ from those of what is around them.
  ExpectFormatsTrain(WithDropouts(), 64, {"scratchpad.kib=64"});
}

// Values that a dropout keeps in one step after the other, by layer.
std::vector<std::vector<bool>> MasksOf(const Mapped& s, int steps) {
  const std::unique_ptr<Device> device = MakeGoldenDevice(s.variant, s.dram);
  device->Load(s.program.image);
  std::vector<std::vector<bool>> masks;
  for (int step = 0; step < steps; ++step) {
    Random random(7, "dropout");
    StepData batch;
    batch.inputs.resize(static_cast<size_t>(s.graph.batch * s.graph.features));
    for (float& x : batch.inputs) x = static_cast<float>(random.Normal());
    batch.labels.assign(static_cast<size_t>(s.graph.batch), 0);
    for (const ProgramSegment& segment : BatchSegments(s.program, batch)) {
      device->Write(segment.address, segment.bytes);
    }
    SetStep(*device, s.recipe, step, 0.0f);
    EXPECT_EQ(device->Run(s.program.Stream("train")).error, isa::ErrorCode::kNone);
    for (const TrainingOp& op : s.graph.ops) {
      if (op.kind == TrainingOpKind::kElementForward) masks.push_back(MaskOf(s, op, *device));
    }
  }
  return masks;
}

double Share(const std::vector<bool>& values) {
  return static_cast<double>(std::count(values.begin(), values.end(), true)) /
         static_cast<double>(values.size());
}

double Equal(const std::vector<bool>& a, const std::vector<bool>& b) {
  std::vector<bool> equal;
  for (size_t i = 0; i < a.size(); ++i) equal.push_back(a[i] == b[i]);
  return Share(equal);
}

// Of the second one, whose input is never zero: 64 samples of 600 values. Two draws agree in
// 0.75^2 + 0.25^2 of them.
TEST(Dropout, DrawsOtherValuesEachTimeAndTheSameAgain) {
  for (const std::vector<std::string>& nodes : {std::vector<std::string>{}, Mesh(2, 1)}) {
    const Mapped s = MapGraph(WithDropouts(), 64, nodes);
    const std::vector<std::vector<bool>> masks = MasksOf(s, 3);
    ASSERT_EQ(masks.size(), 6u);
    EXPECT_EQ(MasksOf(s, 3), masks);
    for (const size_t step : {1, 3, 5}) EXPECT_NEAR(Share(masks[step]), 0.75, 0.01);
    EXPECT_NEAR(Equal(masks[1], masks[3]), 0.625, 0.015);
    EXPECT_NEAR(Equal(masks[3], masks[5]), 0.625, 0.015);
    // Samples on other nodes, or of other jobs.
    const auto half = static_cast<std::ptrdiff_t>(masks[1].size() / 2);
    const std::vector<bool> first(masks[1].begin(), masks[1].begin() + half);
    const std::vector<bool> second(masks[1].begin() + half, masks[1].end());
    EXPECT_NEAR(Equal(first, second), 0.625, 0.02);
  }
}

// Channels in parts, one of which nothing takes, and one that is ragged; some also as a slice.
TEST(Branches, Splits) {
  Net net({6, 5, 2});
  const std::string x = net.Relu(net.Conv("x", 116, 3));
  OnnxBuilder& b = net.builder();
  b.Ints("sizes", {64, 32, 20}).Node("Split", "split", {x, "sizes"}, "a", {{"axis", 1}});
  b.AlsoGives("").AlsoGives("c");
  b.Ints("from", {32}).Ints("to", {64}).Ints("axis", {1});
  b.Node("Slice", "slice", {"a", "from", "to", "axis"}, "d");
  net.images()["a"] = {6, 5, 64};
  net.images()["c"] = {6, 5, 20};
  net.images()["d"] = {6, 5, 32};
  const std::string sum = net.Same("Add", {net.Conv("a", 12, 3), net.Conv("c", 12, 3)});
  const Graph graph = net.FullyConnected(net.Relu(net.Same("Sub", {sum, net.Conv("d", 12, 1)})), 5);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 34, Mesh(2, 1));
}

// Channels from anywhere to anywhere, the parts of which some overlap.
TEST(Branches, SplitsOfAnyChannels) {
  Net net({6, 5, 2});
  const std::string x = net.Relu(net.Conv("x", 61, 3));
  OnnxBuilder& b = net.builder();
  b.Ints("sizes", {7, 40, 14}).Node("Split", "split", {x, "sizes"}, "a", {{"axis", 1}});
  b.AlsoGives("b").AlsoGives("c");
  b.Ints("from", {5}).Ints("to", {22}).Ints("axis", {1});
  b.Node("Slice", "slice", {"b", "from", "to", "axis"}, "d");
  net.images()["a"] = {6, 5, 7};
  net.images()["c"] = {6, 5, 14};
  net.images()["d"] = {6, 5, 17};
  const std::string sum = net.Same("Add", {net.Conv("a", 12, 3), net.Conv("c", 12, 3)});
  const Graph graph = net.FullyConnected(net.Relu(net.Same("Sub", {sum, net.Conv("d", 12, 1)})), 5);
  ExpectFormatsTrain(graph, 16);
  ExpectFormatsTrain(graph, 34, Mesh(2, 1, {"array.cols=8"}));
}

// Rows of the image, each for a window of its own.
TEST(Branches, SplitPixels) {
  Net net({6, 5, 2});
  const std::string x = net.Relu(net.Conv("x", 24, 3));
  OnnxBuilder& b = net.builder();
  b.Ints("sizes", {4, 2}).Node("Split", "split", {x, "sizes"}, "top", {{"axis", 2}});
  b.AlsoGives("bottom").Node("Flatten", "f1", {"top"}, "u").Node("Flatten", "f2", {"bottom"}, "v");
  b.Input("w1", {5, 480}).Input("w2", {5, 240});
  b.Node("Gemm", "fc1", {"u", "w1"}, "y1", {{"transB", 1}});
  b.Node("Gemm", "fc2", {"v", "w2"}, "y2", {{"transB", 1}});
  b.Node("Sub", "sub", {"y1", "y2"}, "y").Output("y", {0, 5});
  ExpectFormatsTrain(ParseOnnx(b.Bytes(), "net"), 16);
}

TEST(Branches, Concatenations) {
  Net net({6, 5, 2});
  const std::string a = net.Relu(net.Conv("x", 64, 3));
  const std::string b = net.Relu(net.Conv(a, 20, 3));
  const std::string both = net.Same("Concat", {a, b});
  net.builder().With("axis", 1);
  net.images()[both] = {6, 5, 84};
  const Graph graph = net.FullyConnected(net.Relu(net.Conv(both, 12, 3)), 5);
  ExpectFormatsTrain(graph, 16);
}

// Parts that begin and end anywhere in words and in the array's columns.
TEST(Branches, ConcatenationsOfAnyChannels) {
  for (const std::vector<int64_t>& parts : std::vector<std::vector<int64_t>>{
           {20, 12, 9}, {7, 1, 30, 41}, {6, 40, 16, 3}, {35, 16, 64}, {3, 3, 3, 3, 20}}) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(parts, " ")));
    Net net({6, 5, 2});
    const std::string a = net.Relu(net.Conv("x", 8, 3));
    std::vector<std::string> inputs;
    int64_t channels = 0;
    for (const int64_t part : parts) {
      inputs.push_back(net.Relu(net.Conv(a, part, 1)));
      channels += part;
    }
    const std::string all = net.Same("Concat", inputs);
    net.builder().With("axis", 1);
    net.images()[all] = {6, 5, channels};
    const Graph graph = net.FullyConnected(net.Relu(net.Conv(all, 12, 3)), 5);
    ExpectFormatsTrain(graph, 13, {}, 1);
    ExpectFormatsTrain(graph, 16, {"array.cols=8", "scratchpad.kib=128"}, 1);
  }
}

// Group normalisation by its own operator.
std::string GroupNorm(Net& net, const std::string& x, int64_t groups) {
  const int64_t channels = net.images().at(x).channels;
  const std::string scale = x + ".scale", bias = x + ".bias";
  net.builder().Input(scale, {channels}).Input(bias, {channels});
  const std::string y = net.Same("GroupNormalization", {x, scale, bias});
  net.builder().With("num_groups", groups);
  return y;
}

// Whatever a search may choose computes the same.
TEST(Schedules, AnyChoiceTrainsLikeTheReference) {
  Net net({14, 12, 2});
  const std::string a = net.Relu(GroupNorm(net, net.Conv("x", 16, 5, 2), 4));
  const std::string b = net.Relu(GroupNorm(net, net.Conv(a, 32, 3), 8));
  const std::string c = GroupNorm(net, net.Conv(b, 32, 3), 8);
  const Graph graph = net.FullyConnected(net.Relu(net.Same("Add", {b, c})), 5);
  std::mt19937 random(3);
  for (int draw = 0; draw < 12; ++draw) {
    SCOPED_TRACE(draw);
    MapOptions options;
    DrawTuning(random, 0, options.tuning);
    const std::vector<std::string> wide = {"operand_format=fp32", "array.lanes=16"};
    const bool alone = draw % 2 == 0;
    ExpectTrainsLikeReference(
        MapGraph(graph, alone ? 16 : 32, alone ? wide : Mesh(2, 1, wide), options), 2, 4e-5);
    ExpectTrainsLikeReference(
        MapGraph(graph, alone ? 32 : 64, alone ? Mesh(2, 1) : Mesh(2, 2), options), 1, 0.25, 1e-3);
    if (HasFatalFailure()) return;
  }
}

// Starting biases come from the file, also where nodes have a part of the outputs each; of the last
// layer, whose outputs would divide, too, all have all, as the loss does.
TEST(Branches, PartsOfTheOutputs) {
  OnnxBuilder b;
  Random random(3, "biases");
  b.Input("x", {0, 40}).Drawn("w1", {128, 40}, random).Drawn("b1", {128}, random);
  b.Node("Gemm", "fc1", {"x", "w1", "b1"}, "h", {{"transB", 1}}).Node("Relu", "relu", {"h"}, "r");
  b.Drawn("w2", {128, 128}, random).Drawn("b2", {128}, random);
  b.Node("Gemm", "fc2", {"r", "w2", "b2"}, "y", {{"transB", 1}}).Output("y", {0, 128});
  const Graph net = ParseOnnx(b.Bytes(), "net");
  for (const Partition partition : {Partition::kBatch, Partition::kOutputs, Partition::kHybrid}) {
    MapOptions options;
    options.partition = partition;
    SCOPED_TRACE(PartitionName(partition));
    const std::vector<std::string> wide = {"operand_format=fp32", "array.lanes=8"};
    ExpectTrainsLikeReference(MapGraph(net, 32, Mesh(2, 2, wide), options), 2, 4e-5);
  }
}

// The best of many is no slower than the first, and computes the same.
TEST(Schedules, ASearchEndsWithTheBestItFound) {
  Net net({14, 12, 2});
  const std::string a = net.Relu(GroupNorm(net, net.Conv("x", 16, 5, 2), 4));
  const Graph graph = net.FullyConnected(net.Relu(GroupNorm(net, net.Conv(a, 32, 3), 8)), 5);
  Explanation explanation;
  MapOptions options;
  options.search = 40;
  options.explanation = &explanation;
  const Mapped best = MapGraph(graph, 32, Mesh(2, 1), options);
  EXPECT_EQ(explanation.schedule.weighed, 40);
  EXPECT_LT(explanation.schedule.cycles, explanation.schedule.cycles_of_first);
  ExpectTrainsLikeReference(best, 1, 0.25, 1e-3);
  const Mapped again = MapGraph(graph, 32, Mesh(2, 1), options);
  EXPECT_TRUE(best.program.streams.back().nodes.back().descriptors ==
              again.program.streams.back().nodes.back().descriptors);
}

TEST(Normalisation, GroupsTrainLikeTheReference) {
  for (const int64_t groups : {1, 3, 12}) {
    SCOPED_TRACE(groups);
    Net net({7, 6, 2});
    const std::string a = net.Relu(GroupNorm(net, net.Conv("x", 12, 3), groups));
    const Graph graph = net.FullyConnected(net.Relu(GroupNorm(net, net.Conv(a, 16, 3, 2), 4)), 5);
    ExpectFormatsTrain(graph, 20);
  }
}

// The last columns of the array have no channels.
TEST(Normalisation, GroupsBesideWholeColumns) {
  const std::vector<std::pair<int64_t, int64_t>> channels_and_groups = {
      {6, 3}, {5, 5}, {2, 2}, {18, 9}};
  for (const auto& [channels, groups] : channels_and_groups) {
    SCOPED_TRACE(channels);
    Net net({7, 6, 2});
    const std::string a = net.Relu(GroupNorm(net, net.Conv("x", channels, 3), groups));
    ExpectFormatsTrain(net.FullyConnected(net.Conv(a, 7, 3, 2), 5), 20);
  }
}

TEST(Normalisation, TilesOptimisersAndNodes) {
  Net net({12, 10, 2});
  const std::string a = net.Relu(net.Conv("x", 32, 3));
  const std::string b = net.Relu(GroupNorm(net, net.Conv(a, 32, 3), 4));
  const std::string c = net.Relu(net.Same("Add", {GroupNorm(net, net.Conv(b, 32, 3), 8), a}));
  const Graph graph = net.FullyConnected(net.Relu(net.Conv(c, 16, 3, 3)), 5);
  ExpectFormatsTrain(graph, 32, {"scratchpad.kib=128"});
  ExpectFormatsTrain(graph, 32, Mesh(2, 1));
  ExpectFormatsTrain(graph, 16, {"array.cols=8"});
}

// Each step of a sequence over its channels, behind a cell and behind a product of steps.
TEST(Normalisation, StepsTrainLikeTheReference) {
  for (const int64_t steps : {1, 5, 12}) {
    SCOPED_TRACE(steps);
    OnnxBuilder b(21);
    b.Input("x", {0, steps, 9}).Input("cell.w", {1, 96, 9}).Input("cell.r", {1, 96, 32});
    b.Node("GRU", "cell", {"x", "cell.w", "cell.r"}, "cell.y",
           {{"hidden_size", 32}, {"layout", 1}});
    b.With("linear_before_reset", 1).Ints("to", {0, steps, 32});
    b.Node("Reshape", "shape", {"cell.y", "to"}, "h").Input("s1", {32}).Input("b1", {32});
    b.Node("LayerNormalization", "norm1", {"h", "s1", "b1"}, "n1", {{"axis", 2}});
    b.Input("w", {32, 20})
        .Node("MatMul", "each", {"n1", "w"}, "e")
        .Input("s2", {20})
        .Input("b2", {20});
    b.Node("LayerNormalization", "norm2", {"e", "s2", "b2"}, "n2", {{"axis", -1}});
    b.Node("Relu", "relu", {"n2"}, "r").Node("Flatten", "flat", {"r"}, "f");
    b.Input("fc.w", {5, 20 * steps}).Node("Gemm", "fc", {"f", "fc.w"}, "y", {{"transB", 1}});
    const Graph graph = ParseOnnx(b.Output("y", {0, 5}).Bytes(), "net");
    ExpectFormatsTrain(graph, 21);
    if (steps > 1) ExpectFormatsTrain(graph, 32, Mesh(2, 1));
  }
}

// Batch normalisation of images and of vectors, in the mode that trains.
Graph BatchNormalised(int64_t channels, int64_t classes) {
  Net net({7, 6, 2});
  auto norm = [&net](const std::string& x) {
    std::vector<std::string> inputs = {x};
    for (const char* parameter : {".scale", ".bias", ".mean", ".variance"}) {
      inputs.push_back(x + parameter);
      net.builder().Input(inputs.back(), {net.images().at(x).channels});
    }
    const std::string y = net.Same("BatchNormalization", inputs);
    net.builder().With("training_mode", 1);
    return y;
  };
  const std::string a = net.Relu(norm(net.Conv("x", channels, 3)));
  return net.FullyConnected(net.Relu(norm(net.Conv(a, 16, 3, 2))), classes);
}

TEST(BatchNormalisation, TrainsLikeTheReference) {
  ExpectFormatsTrain(BatchNormalised(12, 5), 16);
  ExpectFormatsTrain(BatchNormalised(20, 5), 21);
  ExpectFormatsTrain(BatchNormalised(20, 5), 16, {"array.cols=8"});
}

// Statistics over all samples, wherever they are: not those of a node.
TEST(BatchNormalisation, OverNodes) {
  const Mapped over_two = MapGraph(BatchNormalised(12, 5), 32, Mesh(2, 1));
  EXPECT_THAT(over_two.program.jobs[1].data_flow,
              testing::HasSubstr("statistics of 32 samples summed over 2 nodes"));
  ExpectFormatsTrain(BatchNormalised(12, 5), 32, Mesh(2, 1));
  ExpectFormatsTrain(BatchNormalised(20, 5), 44, Mesh(2, 2));
}

// A sequence [N,T,I] through layers of one kind; the last state, or all of them, to the classes.
// "reset GRU" resets the state before the product.
Graph Recurrent(const std::string& cell, int64_t steps, int64_t in, std::vector<int64_t> hidden,
                bool all_steps, const std::string& function = "") {
  OnnxBuilder b(21);
  b.Input("x", {0, steps, in});
  std::string x = "x";
  const std::string op = cell == "reset GRU" ? "GRU" : cell;
  const int64_t gates = op == "LSTM" ? 4 : op == "GRU" ? 3 : 1;
  for (size_t i = 0; i < hidden.size(); ++i) {
    const std::string name = fmt::format("cell{}", i + 1);
    b.Input(name + ".w", {1, gates * hidden[i], in})
        .Input(name + ".r", {1, gates * hidden[i], hidden[i]});
    b.Input(name + ".b", {1, 2 * gates * hidden[i]});
    const bool last = i + 1 == hidden.size() && !all_steps;
    b.Node(op, name, {x, name + ".w", name + ".r", name + ".b"}, last ? "" : name + ".y",
           {{"hidden_size", hidden[i]}, {"layout", 1}});
    if (cell == "GRU") b.With("linear_before_reset", 1);
    if (last) b.graph()->mutable_node(b.graph()->node_size() - 1)->add_output(name + ".y");
    in = hidden[i];
    b.Ints(name + ".to", last ? std::vector<int64_t>{0, in} : std::vector<int64_t>{0, steps, in});
    b.Node("Reshape", name + ".shape", {name + ".y", name + ".to"}, name + ".s");
    x = name + ".s";
  }
  if (!function.empty()) {
    b.Node(function, "function", {x}, "function.y");
    x = "function.y";
  }
  if (all_steps) {
    b.Node("Flatten", "flat", {x}, "f");
    x = "f";
    in *= steps;
  }
  b.Input("fc.w", {5, in})
      .Node("Gemm", "fc", {x, "fc.w"}, "y", {{"transB", 1}})
      .Output("y", {0, 5});
  return ParseOnnx(b.Bytes(), "net");
}

TEST(Recurrence, CellsTrainLikeTheReference) {
  for (const char* op : {"RNN", "LSTM", "GRU", "reset GRU"}) {
    SCOPED_TRACE(op);
    ExpectFormatsTrain(Recurrent(op, 5, 11, {32}, false), 16);
    ExpectFormatsTrain(Recurrent(op, 4, 20, {16, 48}, true), 37);
    ExpectFormatsTrain(Recurrent(op, 1, 20, {16}, false), 16);
  }
}

// Gates are whole words in memory and in the scratchpad, in the user's tensors they are not.
TEST(Recurrence, HiddenValuesNeedBeNoWholeWords) {
  for (const char* op : {"RNN", "LSTM", "GRU", "reset GRU"}) {
    SCOPED_TRACE(op);
    ExpectFormatsTrain(Recurrent(op, 4, 11, {5}, false), 16);
    ExpectFormatsTrain(Recurrent(op, 3, 20, {21, 3}, true), 37);
    // Of an added value it is not zero.
    ExpectFormatsTrain(Recurrent(op, 3, 20, {13}, true, "Sigmoid"), 16);
    Recipe recipe = ParseRecipe("optimiser = \"adam\"\nweight_decay = 0.01\n", "recipe");
    ExpectTrainsLikeReference(MapGraph(Recurrent(op, 3, 9, {5}, true), 16,
                                       {"operand_format=fp32", "array.lanes=8"}, {}, recipe),
                              3, 1e-4);
  }
  ExpectFormatsTrain(Recurrent("LSTM", 3, 24, {40}, false), 32, Mesh(2, 1));
  ExpectFormatsTrain(Recurrent("reset GRU", 3, 24, {9}, true), 16, {"array.cols=8"});
  ExpectFormatsTrain(Recurrent("GRU", 3, 24, {7}, true), 16, {"array.rows=2"});
}

TEST(Recurrence, WideArraysAndNodes) {
  for (const char* op : {"LSTM", "GRU", "reset GRU"}) {
    SCOPED_TRACE(op);
    ExpectFormatsTrain(Recurrent(op, 6, 24, {64}, false), 32, Mesh(2, 1));
    ExpectFormatsTrain(Recurrent(op, 3, 24, {64}, false), 16, {"array.cols=8"});
  }
}

}  // namespace
}  // namespace vaultrain
