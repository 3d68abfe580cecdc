// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Convolutions as the mapper cuts them, on the golden machine beside the reference.

#include <gtest/gtest.h>

#include "unit/mapped_network.h"
#include "unit/onnx_builder.h"
#include "vaultrain/networks.h"

namespace vaultrain {
namespace {

struct Conv {
  int64_t channels;
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides = {1, 1};
  std::vector<int64_t> pads = {0, 0, 0, 0};  // top, left, bottom, right
  std::vector<int64_t> dilations = {1, 1};
  bool bias = true;
  bool relu = true;
  std::string op = "Conv";  // MaxPool and AveragePool keep the channels
  bool count_pad = false;
  int64_t groups = 1;
};

Conv Grouped(int64_t groups, Conv conv) {
  conv.groups = groups;
  return conv;
}

Conv Pool(const std::string& op, std::vector<int64_t> kernel, std::vector<int64_t> strides,
          std::vector<int64_t> pads = {0, 0, 0, 0}, bool count_pad = false) {
  return {0,  std::move(kernel), std::move(strides), std::move(pads), {1, 1}, false, false,
          op, count_pad};
}

void AddInts(onnx::NodeProto* node, const std::string& name, const std::vector<int64_t>& values) {
  onnx::AttributeProto* attribute = node->add_attribute();
  attribute->set_name(name);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (int64_t value : values) attribute->add_ints(value);
}

// Convolutions, then fully connected layers with ReLU between them.
Graph ConvNet(const Image& image, const std::vector<Conv>& convs, const std::vector<int64_t>& fc) {
  OnnxBuilder b;
  b.Input("x", {0, image.channels, image.height, image.width});
  std::string x = "x";
  Image at = image;
  for (size_t i = 0; i < convs.size(); ++i) {
    const Conv& c = convs[i];
    const bool is_conv = c.op == "Conv";
    const std::string name = fmt::format("{}{}", is_conv ? "conv" : "pool", i + 1);
    const int64_t channels = is_conv ? c.channels : at.channels;
    std::vector<std::string> inputs = {x};
    if (is_conv) {
      b.Input(name + ".w", {channels, at.channels / c.groups, c.kernel[0], c.kernel[1]});
      inputs.push_back(name + ".w");
    }
    if (c.bias) {
      b.Input(name + ".b", {c.channels});
      inputs.push_back(name + ".b");
    }
    b.Node(c.op, name, inputs, name + ".z");
    onnx::NodeProto* node = b.graph()->mutable_node(b.graph()->node_size() - 1);
    AddInts(node, "kernel_shape", c.kernel);
    AddInts(node, "strides", c.strides);
    AddInts(node, "pads", c.pads);
    if (c.op != "AveragePool") AddInts(node, "dilations", c.dilations);
    if (c.groups > 1) b.With("group", c.groups);
    if (c.count_pad) {
      onnx::AttributeProto* attribute = node->add_attribute();
      attribute->set_name("count_include_pad");
      attribute->set_type(onnx::AttributeProto::INT);
      attribute->set_i(1);
    }
    x = name + ".z";
    if (c.relu) {
      b.Node("Relu", name + ".relu", {x}, name + ".y");
      x = name + ".y";
    }
    auto extent = [&](int64_t size, int axis) {
      const int64_t reach = (c.kernel[axis] - 1) * c.dilations[axis] + 1;
      return (size + c.pads[axis] + c.pads[axis + 2] - reach) / c.strides[axis] + 1;
    };
    at = {extent(at.height, 0), extent(at.width, 1), channels};
  }
  b.Node("Flatten", "flat", {x}, "features");
  x = "features";
  int64_t in = at.features();
  for (size_t i = 0; i < fc.size(); ++i) {
    const std::string name = fmt::format("fc{}", i + 1);
    b.Input(name + ".w", {fc[i], in}).Input(name + ".b", {fc[i]});
    b.Node("Gemm", name, {x, name + ".w", name + ".b"}, name + ".z", {{"transB", 1}});
    x = name + ".z";
    if (i + 1 < fc.size()) {
      b.Node("Relu", name + ".relu", {x}, name + ".y");
      x = name + ".y";
    }
    in = fc[i];
  }
  b.Output(x, {0, in});
  return ParseOnnx(b.Bytes(), "net");
}

const std::vector<Conv> kTwo = {{8, {3, 3}, {1, 1}, {1, 1, 1, 1}},
                                {12, {3, 3}, {2, 2}, {1, 1, 1, 1}}};

// Layers of a net as operands of fp32 have no excuse; those of bf16 and fx16 must go the same way.
void ExpectFormatsTrain(const Graph& net, int batch, std::vector<std::string> overrides,
                        const MapOptions& options = {}) {
  ExpectTrainsLikeReference(MapGraph(net, batch, overrides, options), 2, 0.12);
  {
    SCOPED_TRACE("gradients of fx32");
    // At a second step sums of some nets leave +-16.
    ExpectTrainsLikeReference(MapGraph(net, batch, WithFx32Gradients(overrides), options), 1, 0.12,
                              1e-3);
  }
  overrides.insert(overrides.end(), {"operand_format=fp32", "array.lanes=8"});
  ExpectTrainsLikeReference(MapGraph(net, batch, overrides, options), 3, 2e-5);
}

// Of fx16 a unit is 2^-11; a tap of a window is a number of units, so that any is exact.
TEST(Windows, Fx16TrainsLikeTheReference) {
  const std::vector<std::string> overrides = {"operand_format=fx16", "fraction_bits=11",
                                              "rounding=stochastic"};
  ExpectTrainsLikeReference(MapGraph(ConvNet({9, 7, 3}, kTwo, {10}), 16, overrides), 2, 0.12);
  ExpectTrainsLikeReference(MapGraph(ConvNet({16, 14, 2},
                                             {{12, {3, 3}, {1, 1}, {1, 1, 1, 1}},
                                              Pool("MaxPool", {4, 4}, {3, 3}),
                                              {8, {3, 3}},
                                              Pool("AveragePool", {2, 2}, {1, 1})},
                                             {10}),
                                     16, overrides),
                            2, 0.12);
  ExpectTrainsLikeReference(MapGraph(ConvNet({9, 7, 3},
                                             {{24, {3, 3}, {1, 1}, {1, 1, 1, 1}},
                                              Grouped(24, {24, {3, 3}, {2, 2}, {1, 1, 1, 1}}),
                                              Grouped(3, {48, {1, 1}})},
                                             {10}),
                                     16, overrides),
                            2, 0.12);
}

TEST(Windows, TwoConvolutionsTrainLikeTheReference) {
  ExpectFormatsTrain(ConvNet({9, 7, 3}, kTwo, {10}), 16, {});
}

TEST(Windows, BatchesThatFillNoGroup) {
  ExpectFormatsTrain(ConvNet({9, 7, 3}, kTwo, {10}), 11, {});
  ExpectFormatsTrain(ConvNet({9, 7, 3}, kTwo, {24, 10}), 37, {});
}

TEST(Windows, StridesDilationsAndOddPads) {
  ExpectFormatsTrain(
      ConvNet({14, 11, 2}, {{20, {5, 3}, {3, 2}, {2, 0, 1, 3}}, {17, {2, 2}}}, {20, 7}), 16, {});
  ExpectFormatsTrain(ConvNet({13, 12, 18},
                             {{40, {3, 2}, {1, 1}, {2, 1, 2, 2}, {2, 3}, false},
                              {9, {3, 3}, {2, 3}, {0, 1, 1, 0}, {3, 2}, true, false}},
                             {5}),
                     16, {});
}

// Pixels between the strides have no gradient.
TEST(Windows, StridesLongerThanTheKernel) {
  ExpectFormatsTrain(
      ConvNet({8, 9, 4}, {{16, {3, 3}, {1, 1}, {1, 1, 1, 1}}, {20, {1, 1}, {2, 3}}}, {6}), 16, {});
}

TEST(Windows, OneDimension) {
  ExpectFormatsTrain(ConvNet({1, 40, 5}, {{24, {1, 7}, {1, 2}, {0, 3, 0, 3}}, {16, {1, 3}}}, {4}),
                     20, {});
}

TEST(Windows, TilesThatDoNotFitAtOnce) {
  const Graph net =
      ConvNet({12, 10, 3}, {{24, {3, 3}, {1, 1}, {1, 1, 1, 1}}, {32, {3, 3}, {2, 2}, {1, 1, 1, 1}}},
              {100, 10});
  ExpectFormatsTrain(net, 32, {"scratchpad.kib=128"});
  ExpectFormatsTrain(
      ConvNet({12, 10, 3},
              {{24, {3, 3}, {1, 1}, {1, 1, 1, 1}}, Pool("MaxPool", {3, 3}, {2, 2}), {32, {3, 3}}},
              {9}),
      32, {"scratchpad.kib=64"});
  const Mapped s = MapGraph(net, 32, {"scratchpad.kib=128"});
  std::string flows;
  for (const ProgramJob& job : s.program.jobs) flows += job.data_flow + "\n";
  EXPECT_NE(flows.find("tiles of 3 x 10 pixels"), std::string::npos) << flows;
}

TEST(Windows, WideAndTallArrays) {
  const Graph net = ConvNet({9, 7, 3}, kTwo, {10});
  ExpectTrainsLikeReference(
      MapGraph(net, 16, {"array.rows=2", "array.cols=8", "array.lanes=8", "array.align_bits=25"}),
      2, 0.12);
  ExpectTrainsLikeReference(
      MapGraph(net, 16, {"array.rows=2", "array.cols=16", "array.acc_depth=32"}), 2, 0.12);
}

// Words as long as an access of memory, and longer.
TEST(Windows, GradientsOfFx32InLongWords) {
  const Graph net = ConvNet({9, 7, 3},
                            {{48, {3, 3}, {1, 1}, {1, 1, 1, 1}},
                             Grouped(3, {72, {3, 3}, {2, 2}, {1, 1, 1, 1}}),
                             {20, {1, 1}}},
                            {10});
  for (const char* rows : {"array.rows=2", "array.rows=4"}) {
    SCOPED_TRACE(rows);
    ExpectTrainsLikeReference(
        MapGraph(net, 48, WithFx32Gradients({rows, "array.cols=8", "scratchpad.kib=256"})), 1, 0.12,
        1e-3);
  }
}

TEST(Windows, OverSeveralNodes) {
  const Graph net =
      ConvNet({9, 7, 3}, {{64, {3, 3}, {1, 1}, {1, 1, 1, 1}}, {128, {3, 3}, {2, 2}, {1, 1, 1, 1}}},
              {40, 10});
  ExpectFormatsTrain(net, 32, Mesh(2, 2), {.partition = Partition::kBatch});
  ExpectFormatsTrain(net, 32, Mesh(2, 2), {.partition = Partition::kHybrid});
  ExpectFormatsTrain(ConvNet({9, 7, 3}, kTwo, {10}), 48, Mesh(3, 1));
}

// fp32 operands; the step that a weight takes where its gradient is all rounding errors is one of
// the last bits of the loss.
void ExpectOptimisersTrain(const Graph& net, int batch, std::vector<std::string> overrides) {
  overrides.insert(overrides.end(), {"operand_format=fp32", "array.lanes=8"});
  for (const char* optimiser : {"sgd", "momentum", "nesterov", "adam"}) {
    SCOPED_TRACE(optimiser);
    Recipe recipe = DefaultRecipe();
    recipe.optimiser = optimiser;
    recipe.learning_rate = recipe.optimiser == "adam" ? 0.002 : 0.05;
    recipe.weight_decay = 0.01;
    const Mapped s = MapGraph(net, batch, overrides, {}, recipe);
    ExpectTrainsLikeReference(s, 3, 1e-4);
    if (recipe.optimiser != "sgd") EXPECT_GT(TensorOf(s.program, "fc1.mW").rows, 0);
  }
}

TEST(Optimisers, LikeTheReference) {
  ExpectOptimisersTrain(ConvNet({9, 7, 3}, kTwo, {20, 10}), 11, {});
  ExpectOptimisersTrain(ParseOnnx(MakeFullyConnected("net", {37, 21, 13, 5}), "net"), 24, {});
}

TEST(Optimisers, OverSeveralNodes) {
  ExpectOptimisersTrain(ConvNet({9, 7, 3}, {{64, {3, 3}}, {32, {3, 3}, {2, 2}}}, {20, 10}), 32,
                        Mesh(2, 2));
  ExpectOptimisersTrain(ParseOnnx(MakeFullyConnected("net", {96, 128, 64, 10}), "net"), 32,
                        Mesh(2, 2));
}

// Depthwise, then as many to 1 x 1 as there are channels: the bundles of nano have 16 groups.
TEST(Groups, DepthwiseTrainsLikeTheReference) {
  ExpectFormatsTrain(ConvNet({9, 7, 3},
                             {{24, {3, 3}, {1, 1}, {1, 1, 1, 1}},
                              Grouped(24, {24, {3, 3}, {2, 1}, {1, 1, 1, 0}}),
                              {40, {1, 1}},
                              Grouped(40, {80, {2, 3}, {1, 1}, {0, 0, 0, 0}, {1, 2}, false})},
                             {10}),
                     16, {});
}

// Groups of whole words, of parts of words, and of neither; the last bundle may have fewer.
TEST(Groups, OfEverySizeTrainLikeTheReference) {
  const Conv first = {96, {3, 3}, {2, 2}, {1, 1, 1, 1}};
  const Image image = {9, 8, 2};
  for (const auto& [groups, outputs] :
       std::vector<std::pair<int64_t, int64_t>>{{2, 64}, {3, 96}, {6, 48}, {12, 36}, {32, 160}}) {
    SCOPED_TRACE(fmt::format("{} groups, {} outputs", groups, outputs));
    ExpectFormatsTrain(
        ConvNet(image, {first, Grouped(groups, {outputs, {3, 3}, {1, 1}, {1, 1, 1, 1}})}, {7}), 16,
        {});
  }
  ExpectFormatsTrain(ConvNet({5, 6, 6}, {Grouped(3, {51, {2, 2}}), Grouped(17, {34, {3, 3}})}, {7}),
                     11, {});
}

TEST(Groups, OfLinesOfPointsAndOfWholeImages) {
  ExpectFormatsTrain(ConvNet({1, 40, 6},
                             {Grouped(2, {24, {1, 7}, {1, 2}, {0, 3, 0, 3}}),
                              Grouped(24, {24, {1, 3}, {1, 1}, {0, 0, 0, 4}, {1, 2}}),
                              Grouped(4, {16, {1, 1}, {1, 3}})},
                             {4}),
                     64, {});
  ExpectFormatsTrain(ConvNet({5, 4, 3}, {{20, {2, 2}}, Grouped(10, {30, {4, 3}})}, {6}), 48, {});
}

// The scratchpad then holds some bundles at a time, or a part of one.
TEST(Groups, ThatDoNotFitAtOnce) {
  const Conv first = {192, {3, 3}, {2, 2}, {1, 1, 1, 1}};
  for (const int64_t groups : {2, 4, 12, 192}) {
    SCOPED_TRACE(groups);
    const Graph net =
        ConvNet({8, 7, 2}, {first, Grouped(groups, {192, {3, 3}, {1, 1}, {1, 1, 1, 1}})}, {6});
    ExpectTrainsLikeReference(MapGraph(net, 16, {"scratchpad.kib=128"}), 1, 0.12);
    ExpectTrainsLikeReference(
        MapGraph(net, 16, {"scratchpad.kib=256", "operand_format=fp32", "array.lanes=8"}), 1, 2e-5);
  }
}

TEST(Groups, OverSeveralNodesAndWithOptimisers) {
  const Graph net = ConvNet({9, 7, 3},
                            {{32, {3, 3}, {2, 2}, {1, 1, 1, 1}},
                             Grouped(32, {32, {3, 3}, {1, 1}, {1, 1, 1, 1}}),
                             Grouped(2, {64, {3, 3}})},
                            {10});
  ExpectFormatsTrain(net, 32, Mesh(2, 1));
  ExpectFormatsTrain(net, 32, Mesh(2, 2), {.partition = Partition::kHybrid});
  ExpectFormatsTrain(net, 16, {"array.cols=8"});
  ExpectOptimisersTrain(net, 16, {});
  ExpectOptimisersTrain(net, 32, Mesh(2, 1));
}

TEST(Optimisers, CutGradients) {
  Recipe recipe = DefaultRecipe();
  recipe.clip_value = 0.01;
  for (const std::vector<std::string>& nodes : {std::vector<std::string>{}, Mesh(2, 1)}) {
    std::vector<std::string> wide = nodes;
    wide.insert(wide.end(), {"operand_format=fp32", "array.lanes=8"});
    const Graph net = ConvNet({9, 7, 3}, kTwo, {20, 10});
    ExpectTrainsLikeReference(MapGraph(net, 32, wide, {}, recipe), 3, 1e-4);
    ExpectTrainsLikeReference(MapGraph(net, 32, nodes, {}, recipe), 2, 0.25, 1e-3);
  }
}

const Conv kFirst = {8, {3, 3}, {1, 1}, {1, 1, 1, 1}};

TEST(Pools, LikeTheReference) {
  ExpectFormatsTrain(ConvNet({8, 10, 2},
                             {kFirst,
                              Pool("MaxPool", {2, 2}, {2, 2}),
                              {12, {3, 3}},
                              Pool("AveragePool", {2, 3}, {2, 3})},
                             {10}),
                     16, {});
}

TEST(Pools, WindowsThatOverlapOrLeavePixelsOut) {
  ExpectFormatsTrain(ConvNet({9, 8, 2},
                             {kFirst,
                              Pool("MaxPool", {3, 3}, {2, 2}),
                              {20, {2, 2}},
                              Pool("AveragePool", {2, 2}, {1, 1})},
                             {7}),
                     16, {});
  ExpectFormatsTrain(ConvNet({9, 11, 2},
                             {kFirst,
                              Pool("MaxPool", {3, 3}, {1, 1}),
                              {20, {2, 2}},
                              Pool("AveragePool", {1, 2}, {2, 3})},
                             {7}),
                     11, {});
}

TEST(Pools, EdgesSeeWhatLiesInTheImage) {
  ExpectFormatsTrain(ConvNet({9, 8, 2},
                             {kFirst,
                              Pool("MaxPool", {3, 3}, {2, 2}, {1, 1, 1, 1}),
                              {20, {2, 2}},
                              Pool("AveragePool", {3, 3}, {2, 2}, {1, 0, 1, 1}, true)},
                             {7}),
                     16, {});
}

// Each window divides by what it sees of the image.
TEST(Pools, MeansOfWhatLiesInTheImage) {
  ExpectFormatsTrain(ConvNet({9, 8, 2},
                             {kFirst,
                              Pool("AveragePool", {3, 3}, {1, 1}, {1, 1, 1, 1}),
                              {20, {2, 2}},
                              Pool("AveragePool", {3, 3}, {2, 2}, {1, 0, 1, 2})},
                             {7}),
                     16, {});
  ExpectFormatsTrain(ConvNet({9, 11, 2},
                             {kFirst,
                              Pool("AveragePool", {4, 5}, {3, 2}, {2, 3, 1, 4}),
                              {20, {2, 2}},
                              Pool("AveragePool", {2, 3}, {2, 3}, {1, 2, 0, 0})},
                             {7}),
                     11, {});
  ExpectFormatsTrain(
      ConvNet({7, 6, 2}, {kFirst, Pool("AveragePool", {5, 5}, {1, 1}, {2, 2, 2, 2})}, {7}), 16, {});
}

TEST(Pools, WholeImagesAndSeveralNodes) {
  const Graph net =
      ConvNet({20, 18, 2},
              {{8, {3, 3}, {2, 2}, {1, 1, 1, 1}}, Pool("AveragePool", {10, 9}, {1, 1})}, {20, 7});
  ExpectFormatsTrain(net, 20, {});
  ExpectFormatsTrain(net, 32, Mesh(2, 1));
}

TEST(Windows, KeptGradients) {
  const Mapped s =
      MapGraph(ConvNet({9, 7, 3}, kTwo, {10}), 16, Mesh(2, 1), {.keep_gradients = true});
  ExpectTrainsLikeReference(s, 1, 0.12);
  EXPECT_EQ(TensorOf(s.program, "conv2.dW").cols, 9 * 8);
}

// Where the sums of a layer come slice by slice, steps of one are late when the gradients of the
// next are stored; each node waits for its sums in the order in which they were begun. The velocity
// of the first step is the gradient.
TEST(Windows, KeptGradientsBesideStepsOfAnOptimiser) {
  Recipe recipe = DefaultRecipe();
  recipe.optimiser = "momentum";
  recipe.learning_rate = 0.05;
  const Graph net = ConvNet({9, 7, 3}, {{64, {3, 3}}, {96, {3, 3}, {2, 2}}}, {10});
  for (const int nodes : {1, 2}) {
    SCOPED_TRACE(nodes);
    const Mapped s = MapGraph(net, 16 * nodes, Mesh(nodes, 1, {"scratchpad.kib=128"}),
                              {.keep_gradients = true}, recipe);
    ExpectTrainsLikeReference(s, 1, 0.12);
    const std::unique_ptr<Device> device = MakeGoldenDevice(s.variant, s.dram);
    device->Load(s.program.image);
    Random random(8, "kept");
    TrainStep(s, DrawStep(s, 0, random), 0, 0.05F, *device);
    for (const char* layer : {"conv1", "conv2", "fc1"}) {
      for (const char* parameter : {"W", "b"}) {
        const std::vector<float> kept =
            Gather(TensorOf(s.program, fmt::format("{}.d{}", layer, parameter)), *device);
        EXPECT_EQ(kept,
                  Gather(TensorOf(s.program, fmt::format("{}.m{}", layer, parameter)), *device))
            << layer << "." << parameter;
      }
    }
  }
}

}  // namespace
}  // namespace vaultrain
